/** A kernel of this backend, from a function of its call. */
import type { KernelOverride } from '@ghl/core/backend';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import type { KernelFunc, TensorInfo } from '@tensorflow/tfjs-core';

/** The call of a kernel by TensorFlow.js. */
export interface KernelCall<Inputs, Attrs> {
  readonly inputs: Inputs;
  readonly attrs: Attrs;
  readonly backend: WebGPUBackend;
}

/** Creates a kernel. */
export function kernel<Inputs, Attrs>(
  name: string,
  run: (call: KernelCall<Inputs, Attrs>) => TensorInfo | TensorInfo[],
): KernelOverride {
  return { name, create: () => run as unknown as KernelFunc };
}

/** Creates a kernel for channels last. The stock kernel computes calls with channels first. */
export function channelsLast<Inputs, Attrs extends { readonly dataFormat: string }>(
  name: string,
  run: (call: KernelCall<Inputs, Attrs>) => TensorInfo,
): KernelOverride {
  return {
    name,
    create: (stock) => (call) => {
      const ours = call as unknown as KernelCall<Inputs, Attrs>;
      return ours.attrs.dataFormat === 'NCHW' ? stock!(call) : run(ours);
    },
  };
}
