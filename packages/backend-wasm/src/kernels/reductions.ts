/**
 * Sums and means over leading axes, which biases, batch norm and every Σₚ over batch and positions take. The stock
 * kernels transpose the whole tensor first; here rows are added up in place, in double precision.
 */
import { Mean, Sum, type SumAttrs, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { floats, type Kernel, type KernelCall, kernel } from './heap.js';

function overLeadingAxes(name: string, divide: boolean): Kernel {
  return kernel(name, (call: KernelCall<{ x: TensorInfo }, SumAttrs>, stock) => {
    const {
      inputs: { x },
      attrs: { axis, keepDims },
      backend,
    } = call;
    const axes = util.parseAxisParam(axis, x.shape).sort((a, b) => a - b);
    const rest = x.shape.slice(axes.length);
    const columns = util.sizeFromShape(rest);
    const rows = util.sizeFromShape(x.shape) / columns;
    const leading = axes.every((a, i) => a === i);
    // Nothing to add up is ours too, since the stock kernel then leaves its result unwritten.
    if (x.dtype !== 'float32' || !leading || !(columns > 1 || rows === 0)) return stock(call);

    const out = backend.makeOutput(keepDims ? [...axes.map(() => 1), ...rest] : rest, 'float32');
    const values = floats(backend, x);
    const sums = new Float64Array(columns);
    // Four rows at a time: adding to memory is what costs.
    let row = 0;
    for (; row + 4 <= rows; row += 4) {
      const second = columns;
      const third = 2 * columns;
      const fourth = 3 * columns;
      for (let column = 0, at = row * columns; column < columns; column++, at++) {
        sums[column]! += values[at]! + values[at + second]! + (values[at + third]! + values[at + fourth]!);
      }
    }
    for (; row < rows; row++) {
      for (let column = 0, at = row * columns; column < columns; column++, at++) sums[column]! += values[at]!;
    }
    if (divide) for (let column = 0; column < columns; column++) sums[column]! /= rows;
    floats(backend, out).set(sums);
    return out;
  });
}

export const sumOverLeadingAxes = overLeadingAxes(Sum, false);
export const meanOverLeadingAxes = overLeadingAxes(Mean, true);
