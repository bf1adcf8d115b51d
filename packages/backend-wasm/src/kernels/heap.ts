/**
 * Tensors on the WebAssembly heap as kernels see them: stock kernels called directly, intermediate results that the
 * kernel itself must release, and typed views on memory.
 *
 * A view dies when the heap grows, and any allocation may grow it: take views after the last `makeOutput`.
 */

import { DataError, UnsupportedError } from '@ghl/core';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { getKernel, type TensorInfo } from '@tensorflow/tfjs-core';

export type Shape4D = [number, number, number, number];

/** What TensorFlow.js hands to a kernel of this backend. */
export interface KernelCall<Inputs, Attrs> {
  readonly inputs: Inputs;
  readonly attrs: Attrs;
  readonly backend: BackendWasm;
}

/** Runs what stock tfjs-wasm has under the same name. */
export type Stock = (call: { inputs: object; attrs: object; backend: BackendWasm }) => TensorInfo;

/** One kernel of ours, which may hand the calls that it has nothing better for to the stock kernel. */
export interface Kernel {
  readonly name: string;
  readonly run: (call: KernelCall<never, never>, stock: Stock) => TensorInfo;
}

/** A kernel from its name and what it does with what it is handed. */
export function kernel<Inputs, Attrs>(
  name: string,
  run: (call: KernelCall<Inputs, Attrs>, stock: Stock) => TensorInfo,
): Kernel {
  return { name, run };
}

/** Runs a registered kernel outside the engine: the caller releases the result. */
export function runKernel(backend: BackendWasm, name: string, inputs: object, attrs: object): TensorInfo {
  return getKernel(name, 'wasm').kernelFunc({ inputs, attrs, backend } as never) as TensorInfo;
}

/** Transposes: axis i of the result is axis `perm[i]` of `x`. */
export function transpose(backend: BackendWasm, x: TensorInfo, perm: readonly number[]): TensorInfo {
  return runKernel(backend, 'Transpose', { x }, { perm });
}

/** The convolution of `x` [B, H, W, Cin] with `filter` [kh, kw, Cin, Cout], x padded at top, bottom, left and right. */
export function conv2d(
  backend: BackendWasm,
  x: TensorInfo,
  filter: TensorInfo,
  [top, bottom, left, right]: readonly [number, number, number, number],
  dilations: readonly [number, number] = [1, 1],
): TensorInfo {
  return runKernel(
    backend,
    'Conv2D',
    { x, filter },
    {
      strides: [1, 1],
      dilations,
      pad: [
        [0, 0],
        [top, bottom],
        [left, right],
        [0, 0],
      ],
      dataFormat: 'NHWC',
    },
  );
}

/** The same values under another shape. Not to be released. */
export function view({ dataId, dtype }: TensorInfo, shape: number[]): TensorInfo {
  return { dataId, shape, dtype };
}

/** The values of a float32 tensor, in place. */
export function floats(backend: BackendWasm, tensor: TensorInfo): Float32Array {
  return backend.typedArrayFromHeap(tensor) as Float32Array;
}

/** Releases intermediate results. */
export function release(backend: BackendWasm, ...tensors: TensorInfo[]): void {
  for (const { dataId } of tensors) backend.disposeData(dataId);
}

/**
 * Refuses what a convolution gradient cannot be taken of.
 *
 * @throws DataError with code `EMPTY_TENSOR` where a size is 0; UnsupportedError with code `UNSUPPORTED_DATA_FORMAT`
 * for channels first.
 */
export function checkConvolution(
  kernel: string,
  tensors: Readonly<Record<string, TensorInfo>>,
  dataFormat = 'NHWC',
): void {
  if (dataFormat !== 'NHWC') {
    throw new UnsupportedError('UNSUPPORTED_DATA_FORMAT', `${kernel} got data format '${dataFormat}'.`, {
      help: "use 'NHWC' ('channelsLast'): the WebAssembly backend has no other.",
    });
  }
  for (const [name, { shape }] of Object.entries(tensors)) {
    if (shape.includes(0)) {
      throw new DataError(
        'EMPTY_TENSOR',
        `${kernel} got ${name} of shape [${shape.join(', ')}], which holds no values.`,
        {
          help: 'drop empty batches before training on them.',
        },
      );
    }
  }
}
