/**
 * Sums and means over leading axes, trailing axes or all axes, the maximum over all axes, and the sum of a product over
 * leading axes, by the module. For other axes, the input is transposed first. Stock kernels compute other types. The
 * results of empty tensors are defined here.
 */
import { ALL_FINITE, OVERLAP } from '@ghl/core/backend';
import { checkNotEmpty } from '@ghl/core/plugin';
import {
  All,
  Any,
  ArgMax,
  ArgMin,
  Max,
  type MaxAttrs,
  Mean,
  Min,
  Prod,
  Sum,
  type SumAttrs,
  type TensorInfo,
  Transpose,
  util,
} from '@tensorflow/tfjs-core';
import { address } from './heap.js';
import { floatKernel, type Kernel, type KernelCall, kernel, runKernel } from './kernel.js';

/** The shape without the axes, or with 1 in their place. */
function outShape(shape: readonly number[], axes: readonly number[], keepDims: boolean): number[] {
  return shape.flatMap((size, axis) => (axes.includes(axis) ? (keepDims ? [1] : []) : [size]));
}

/** The result of a reduction of no values, if it is defined. */
const neutral: Readonly<Record<string, number>> = { All: 1, Any: 0, Mean: Number.NaN, Prod: 1, Sum: 0 };

interface ReductionAttrs {
  readonly axis?: number | number[];
  readonly reductionIndices?: number | number[];
  readonly keepDims?: boolean;
}

type Reduction = KernelCall<{ x: TensorInfo }, ReductionAttrs>;

/** @throws DataError `EMPTY_TENSOR` for a reduction of no values that is undefined, such as a maximum. */
function ofNothing(name: string, { inputs: { x }, attrs, backend }: Reduction): TensorInfo {
  const axes = util.parseAxisParam((attrs.axis ?? attrs.reductionIndices)!, x.shape);
  const shape = outShape(x.shape, axes, attrs.keepDims ?? false);
  if (neutral[name] === undefined && !shape.includes(0)) checkNotEmpty(name, { x });
  const counts = name === ArgMax || name === ArgMin || ((name === Sum || name === Prod) && x.dtype === 'bool');
  const out = backend.makeOutput(shape, name === Mean ? 'float32' : counts ? 'int32' : x.dtype);
  backend.typedArrayFromHeap(out).fill(neutral[name] ?? 0);
  return out;
}

/** Reductions by the stock kernels, unless the tensor is empty. */
const otherReductions: readonly Kernel[] = [All, Any, ArgMax, ArgMin, Min, Prod].map((name) =>
  kernel(name, (call: Reduction, stock) => (call.inputs.x.shape.includes(0) ? ofNothing(name, call) : stock(call))),
);

function sumOrMean(name: string, divide: boolean): Kernel {
  return kernel(name, (call: KernelCall<{ x: TensorInfo }, SumAttrs>, stock) => {
    const {
      inputs: { x },
      attrs: { axis, keepDims },
      backend,
      module,
    } = call;
    if (x.shape.includes(0)) return ofNothing(name, call);
    const axes = util.parseAxisParam(axis, x.shape).sort((a, b) => a - b);
    if (x.dtype !== 'float32' || axes.length === 0) return stock(call);
    const first = x.shape.length - axes.length;
    const leading = axes.every((each, i) => each === i);
    const trailing = axes.every((each, i) => each === first + i);
    if (!leading && !trailing) {
      const kept = [...x.shape.keys()].filter((each) => !axes.includes(each));
      const turned = runKernel(backend, Transpose, { x }, { perm: [...kept, ...axes] });
      const out = runKernel(backend, name, { x: turned }, { axis: axes.map((_, i) => first + i), keepDims: false });
      backend.disposeData(turned.dataId);
      return { ...out, shape: outShape(x.shape, axes, keepDims) };
    }

    const shape = outShape(x.shape, axes, keepDims);
    const out = backend.makeOutput(shape, 'float32');
    const kept = util.sizeFromShape(shape);
    const summed = util.sizeFromShape(x.shape) / kept;
    const rest = [divide ? summed : 1, address(backend, x), 0, address(backend, out)];
    if (kept === 1) module.run('sumAll', [1, summed, ...rest]);
    else if (leading) module.run('sumRows', [summed, kept, ...rest]);
    else module.run('sumColumns', [kept, summed, ...rest]);
    return out;
  });
}

const sum = sumOrMean(Sum, false);
const mean = sumOrMean(Mean, true);

const max = kernel(Max, (call: KernelCall<{ x: TensorInfo }, MaxAttrs>, stock) => {
  const {
    inputs: { x },
    attrs: { reductionIndices, keepDims },
    backend,
    module,
  } = call;
  const size = util.sizeFromShape(x.shape);
  if (size === 0) return ofNothing(Max, call);
  const axes = util.parseAxisParam(reductionIndices, x.shape);
  const shape = outShape(x.shape, axes, keepDims);
  if (x.dtype !== 'float32' || util.sizeFromShape(shape) > 1) return stock(call);
  const out = backend.makeOutput(shape, 'float32');
  module.run('maximumOfAll', [1, size, 1, address(backend, x), 0, address(backend, out)]);
  return out;
});

const overlap = floatKernel(
  OVERLAP,
  ({ inputs: { a, b }, backend, module }: KernelCall<{ a: TensorInfo; b: TensorInfo }, object>) => {
    const [rows, columns] = a.shape as [number, number];
    const out = backend.makeOutput([columns], 'float32');
    if (columns === 0) return out;
    module.run('sumRows', [rows, columns, 1, ...[a, b, out].map((tensor) => address(backend, tensor))]);
    return out;
  },
);

const allFinite = floatKernel(
  ALL_FINITE,
  ({ inputs: { x, before }, backend, module }: KernelCall<{ x: TensorInfo; before?: TensorInfo }, object>) => {
    const out = backend.makeOutput([], 'bool');
    const [a, b, y] = [x, before, out].map((tensor) => (tensor === undefined ? 0 : address(backend, tensor)));
    module.run('allFinite', [1, util.sizeFromShape(x.shape), 1, a!, b!, y!]);
    return out;
  },
);

export const kernels = [...otherReductions, sum, mean, max, overlap, allFinite];
