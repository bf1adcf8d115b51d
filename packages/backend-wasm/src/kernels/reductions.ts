/**
 * Sums and means over leading axes, over trailing axes and over everything, the largest of everything, and the sum of a
 * product over leading axes, on our own module. Other axes and types are the stock kernels', which transpose first.
 */
import { OVERLAP } from '@ghl/core';
import { Max, type MaxAttrs, Mean, Sum, type SumAttrs, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { address, floats, type Kernel, type KernelCall, kernel } from './heap.js';

/** The shape without the axes, or with 1 in their place. */
function outShape(shape: readonly number[], axes: readonly number[], keepDims: boolean): number[] {
  return shape.flatMap((size, axis) => (axes.includes(axis) ? (keepDims ? [1] : []) : [size]));
}

function sumOrMean(name: string, divide: boolean): Kernel {
  return kernel(name, (call: KernelCall<{ x: TensorInfo }, SumAttrs>, stock) => {
    const {
      inputs: { x },
      attrs: { axis, keepDims },
      backend,
      module,
    } = call;
    const axes = util.parseAxisParam(axis, x.shape).sort((a, b) => a - b);
    const first = x.shape.length - axes.length;
    const leading = axes.every((each, i) => each === i);
    const trailing = axes.every((each, i) => each === first + i);
    if (x.dtype !== 'float32' || axes.length === 0 || !(leading || trailing)) return stock(call);

    const shape = outShape(x.shape, axes, keepDims);
    const out = backend.makeOutput(shape, 'float32');
    const [size, kept] = [util.sizeFromShape(x.shape), util.sizeFromShape(shape)];
    if (size === 0) {
      floats(backend, out).fill(divide ? Number.NaN : 0);
      return out;
    }
    const summed = size / kept;
    const rest = [divide ? summed : 1, address(backend, x), 0, address(backend, out)];
    if (kept === 1) module.run('sumAll', [1, summed, ...rest]);
    else if (leading) module.run('sumRows', [summed, kept, ...rest]);
    else module.run('sumColumns', [kept, summed, ...rest]);
    return out;
  });
}

export const sum = sumOrMean(Sum, false);
export const mean = sumOrMean(Mean, true);

export const max = kernel(Max, (call: KernelCall<{ x: TensorInfo }, MaxAttrs>, stock) => {
  const {
    inputs: { x },
    attrs: { reductionIndices, keepDims },
    backend,
    module,
  } = call;
  const axes = util.parseAxisParam(reductionIndices, x.shape);
  const shape = outShape(x.shape, axes, keepDims);
  const size = util.sizeFromShape(x.shape);
  if (x.dtype !== 'float32' || size === 0 || util.sizeFromShape(shape) > 1) return stock(call);
  const out = backend.makeOutput(shape, 'float32');
  module.run('maximumOfAll', [1, size, 1, address(backend, x), 0, address(backend, out)]);
  return out;
});

export const overlap = kernel(
  OVERLAP,
  ({ inputs: { a, b }, backend, module }: KernelCall<{ a: TensorInfo; b: TensorInfo }, object>) => {
    const [rows, columns] = a.shape as [number, number];
    const out = backend.makeOutput([columns], 'float32');
    if (columns === 0) return out;
    module.run('sumRows', [rows, columns, 1, ...[a, b, out].map((tensor) => address(backend, tensor))]);
    return out;
  },
);
