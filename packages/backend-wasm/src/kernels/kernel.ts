/** A kernel of this backend: its call, its stock kernel, and the checks of its inputs. */
import { DataError, UnsupportedError } from '@ghl/core';
import { checkNotEmpty } from '@ghl/core/plugin';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { type backend_util, getKernel, type TensorInfo } from '@tensorflow/tfjs-core';
import type { KernelModule } from '../module.js';

export type Shape4D = [number, number, number, number];

/** The call of a kernel by TensorFlow.js. */
export interface KernelCall<Inputs, Attrs> {
  readonly inputs: Inputs;
  readonly attrs: Attrs;
  readonly backend: BackendWasm;
  readonly module: KernelModule;
}

/** The stock kernel of the same name, or its substitute (see safe-stock.ts). */
export type Stock = (call: { inputs: object; attrs: object; backend: BackendWasm }) => TensorInfo | TensorInfo[];

/** A kernel of this package, which may leave calls to the stock kernel. */
export interface Kernel {
  readonly name: string;
  readonly run: (call: KernelCall<never, never>, stock: Stock) => TensorInfo | TensorInfo[];
}

/** Creates a kernel. */
export function kernel<Inputs, Attrs>(
  name: string,
  run: (call: KernelCall<Inputs, Attrs>, stock: Stock) => TensorInfo | TensorInfo[],
): Kernel {
  return { name, run };
}

/** Creates a kernel for float32, which leaves calls with any other input to the stock kernel. */
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

/** Runs the registered kernel of a name. */
export function runKernel(backend: BackendWasm, name: string, inputs: object, attrs: object = {}): TensorInfo {
  return getKernel(name, 'wasm').kernelFunc({ inputs: inputs as never, attrs: attrs as never, backend }) as TensorInfo;
}

/**
 * Checks the tensors and the data format of a convolution gradient.
 *
 * @throws DataError `EMPTY_TENSOR` if a size is 0; UnsupportedError `UNSUPPORTED_DATA_FORMAT` for channels first.
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
      "use 'NHWC' ('channelsLast'), the only format of the WebAssembly backend.",
    );
  }
  checkNotEmpty(kernel, tensors);
}

/**
 * Checks that tensors are float32.
 *
 * @throws UnsupportedError `UNSUPPORTED_DTYPE`.
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
 * Checks that a window fits into its image: otherwise, TensorFlow.js computes output sizes below 0.
 *
 * @throws DataError `INPUT_TOO_SMALL`.
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
