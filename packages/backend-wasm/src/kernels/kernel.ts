/** A kernel of this backend: its call, its stock kernel, and the checks of its inputs. */
import { DataError, UnsupportedError } from '@ghl/core';
import { checkNotEmpty } from '@ghl/core/plugin';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { type backend_util, getKernel, type TensorInfo } from '@tensorflow/tfjs-core';
import type { KernelModule } from '../module.js';

export type Shape4D = [number, number, number, number];

/** What TensorFlow.js hands to a kernel of this backend. */
export interface KernelCall<Inputs, Attrs> {
  readonly inputs: Inputs;
  readonly attrs: Attrs;
  readonly backend: BackendWasm;
  readonly module: KernelModule;
}

/** Runs what stock tfjs-wasm has under the same name, or what stands in for it (see safe-stock.ts). */
export type Stock = (call: { inputs: object; attrs: object; backend: BackendWasm }) => TensorInfo | TensorInfo[];

/** One kernel of ours, which may hand the calls that it has nothing better for to the stock kernel. */
export interface Kernel {
  readonly name: string;
  readonly run: (call: KernelCall<never, never>, stock: Stock) => TensorInfo | TensorInfo[];
}

/** A kernel from its name and what it does with what it is handed. */
export function kernel<Inputs, Attrs>(
  name: string,
  run: (call: KernelCall<Inputs, Attrs>, stock: Stock) => TensorInfo | TensorInfo[],
): Kernel {
  return { name, run };
}

/** A kernel of 32-bit floats, which hands calls with any other input to what stands in for it. */
export function floatKernel<Inputs extends object, Attrs>(
  name: string,
  run: (call: KernelCall<Inputs, Attrs>, stock: Stock) => TensorInfo | TensorInfo[],
): Kernel {
  return kernel<Inputs, Attrs & object>(name, (call, stock) =>
    Object.values(call.inputs).every((input) => input === undefined || input.dtype === 'float32')
      ? run(call, stock)
      : stock(call),
  );
}

/** What the kernel of this name, ours or the stock one, makes of tensors. */
export function runKernel(backend: BackendWasm, name: string, inputs: object, attrs: object = {}): TensorInfo {
  return getKernel(name, 'wasm').kernelFunc({ inputs: inputs as never, attrs: attrs as never, backend }) as TensorInfo;
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
    throw new UnsupportedError(
      'UNSUPPORTED_DATA_FORMAT',
      `${kernel} got data format '${dataFormat}'.`,
      "use 'NHWC' ('channelsLast'): the WebAssembly backend has no other.",
    );
  }
  checkNotEmpty(kernel, tensors);
}

/**
 * Refuses tensors that do not hold 32-bit floats.
 *
 * @throws UnsupportedError with code `UNSUPPORTED_DTYPE`.
 */
export function checkFloats(kernel: string, tensors: Readonly<Record<string, TensorInfo>>): void {
  for (const [name, { dtype }] of Object.entries(tensors)) {
    if (dtype === 'float32') continue;
    throw new UnsupportedError(
      'UNSUPPORTED_DTYPE',
      `${kernel} got ${name} of dtype '${dtype}'.`,
      "cast it first: tf.cast(x, 'float32').",
    );
  }
}

/**
 * Refuses a window that goes nowhere into its image: TensorFlow.js computes sizes below 0 for what comes out.
 *
 * @throws DataError with code `INPUT_TOO_SMALL`.
 */
export function checkWindow(kernel: string, info: backend_util.Conv2DInfo): void {
  const { inHeight, inWidth, outHeight, outWidth, effectiveFilterHeight, effectiveFilterWidth } = info;
  if (outHeight >= 0 && outWidth >= 0) return;
  const window = `${effectiveFilterHeight} × ${effectiveFilterWidth}`;
  throw new DataError(
    'INPUT_TOO_SMALL',
    `${kernel} got an image of ${inHeight} × ${inWidth} for a window of ${window}.`,
    "use larger images, a smaller window, or padding 'same'.",
  );
}
