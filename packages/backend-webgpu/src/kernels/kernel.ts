/** A kernel of this backend, from a function of its call. */
import type { KernelOverride } from '@ghl/core/backend';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import type { KernelFunc, TensorInfo } from '@tensorflow/tfjs-core';

/** What TensorFlow.js hands to a kernel of this backend. */
export interface KernelCall<Inputs, Attrs> {
  readonly inputs: Inputs;
  readonly attrs: Attrs;
  readonly backend: WebGPUBackend;
}

/** A kernel from its name and what it does with what it is handed. */
export function kernel<Inputs, Attrs>(
  name: string,
  run: (call: KernelCall<Inputs, Attrs>) => TensorInfo | TensorInfo[],
): KernelOverride {
  return { name, create: () => run as unknown as KernelFunc };
}

/** A kernel that stands in for a stock one, but where channels come first, which that can and ours cannot. */
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
