/**
 * Element-wise operations on float32: of one tensor, of two with broadcasting of a value, a row or a column, selection,
 * and conversion. Stock kernels compute other types and broadcasts.
 */
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import {
  Abs,
  Add,
  AddN,
  broadcast_util,
  Cast,
  type CastAttrs,
  ClipByValue,
  type ClipByValueAttrs,
  type DataType,
  Identity,
  Maximum,
  Minimum,
  Multiply,
  Neg,
  NotEqual,
  RealDiv,
  Relu,
  Relu6,
  Select,
  Sign,
  Sqrt,
  Square,
  SquaredDifference,
  Step,
  type StepAttrs,
  Sub,
  type TensorInfo,
  Tile,
  util,
} from '@tensorflow/tfjs-core';
import type { KernelModule } from '../module.js';
import { address, share } from './heap.js';
import { floatKernel, type Kernel, type KernelCall, kernel, runKernel } from './kernel.js';

/** A copy by reference. The stock kernel copies the values. */
const identity = kernel(Identity, (call: KernelCall<{ x: TensorInfo }, object>, stock) =>
  call.inputs.x.dtype === 'string' ? stock(call) : share(call.backend, call.inputs.x),
);

/**
 * In the order of assembly/elementwise.ts. The stock `Sign` is wrong below 1e-7 and for NaN.
 */
const ofOne = [Relu, Relu6, Abs, Neg, Sign, Square, Sqrt, Step];

const unaryKernels: readonly Kernel[] = ofOne.map((name, operator) =>
  kernel(name, (call: KernelCall<{ x: TensorInfo }, Partial<StepAttrs>>, stock) => {
    const {
      inputs: { x },
      attrs,
      backend,
      module,
    } = call;
    const slope = name === Step && attrs.alpha !== 0;
    if (x.dtype !== 'float32' || slope) return stock(call);
    const out = backend.makeOutput(x.shape, 'float32');
    module.run('unary', [operator, util.sizeFromShape(x.shape), address(backend, x), address(backend, out)]);
    return out;
  }),
);

/** In the order of assembly/elementwise.ts. The gradient of ReLU follows. */
const ofTwo = [Add, Sub, Multiply, RealDiv, Maximum, Minimum, SquaredDifference];
const RELU_GRADIENT = ofTwo.length;
/** The layout of an operand, as in assembly/elementwise.ts: complete, one value per column, or one per row. */
const FULL = 0;
const COLUMNS = 1;
const ROWS = 2;

/** The length of a row, and the layouts of both operands; null for any other broadcast. */
function layouts(a: readonly number[], b: readonly number[], out: readonly number[]): [number, number, number] | null {
  const size = util.sizeFromShape([...out]);
  const [whole, other] = util.sizeFromShape([...a]) === size ? [a, b] : [b, a];
  if (util.sizeFromShape([...whole]) !== size) return null;
  const count = util.sizeFromShape([...other]);
  if (count === size) return [size, FULL, FULL];
  const shape = [...Array<number>(out.length - other.length).fill(1), ...other];
  const axes = [...out.keys()];
  const spread = axes.filter((axis) => shape[axis] !== out[axis]);
  const kept = axes.filter((axis) => shape[axis] === out[axis] && out[axis] !== 1);
  const layout = spread[0]! > (kept.at(-1) ?? -1) ? ROWS : spread.at(-1)! < kept[0]! ? COLUMNS : null;
  if (layout === null) return null;
  const columns = layout === ROWS ? size / count : count;
  return whole === a ? [columns, FULL, layout] : [columns, layout, FULL];
}

const binaryKernels: readonly Kernel[] = ofTwo.map((name, operator) =>
  kernel(name, (call: KernelCall<{ a: TensorInfo; b: TensorInfo }, object>, stock) => {
    const {
      inputs: { a, b },
      backend,
      module,
    } = call;
    const shape = broadcast_util.assertAndGetBroadcastShape(a.shape, b.shape);
    const size = util.sizeFromShape(shape);
    if (a.dtype !== 'float32' || b.dtype !== 'float32' || size === 0) return stock(call);
    const layout = layouts(a.shape, b.shape, shape);
    if (layout === null) return nanLosers.includes(name) ? withBroadcast(name, a, b, shape, backend) : stock(call);
    const out = backend.makeOutput(shape, 'float32');
    module.run('binary', [operator, size, ...layout, ...[a, b, out].map((tensor) => address(backend, tensor))]);
    return out;
  }),
);

/** Kernels whose stock versions treat a NaN as smaller or larger than any number. */
const nanLosers = [Maximum, Minimum];

/** Runs the kernel on both operands, repeated to the shape of the result. */
function withBroadcast(name: string, a: TensorInfo, b: TensorInfo, out: number[], backend: BackendWasm): TensorInfo {
  const spread = ({ dataId, dtype, shape }: TensorInfo) => {
    const from = [...Array<number>(out.length - shape.length).fill(1), ...shape];
    return runKernel(
      backend,
      Tile,
      { x: { dataId, dtype, shape: from } },
      { reps: out.map((size, axis) => size / from[axis]!) },
    );
  };
  const [left, right] = [spread(a), spread(b)];
  const result = runKernel(backend, name, { a: left, b: right });
  for (const { dataId } of [left, right]) backend.disposeData(dataId);
  return result;
}

/** Adds values at two addresses. The sums may replace either operand. */
export function add(module: KernelModule, size: number, a: number, b: number, sum: number): void {
  module.run('binary', [ofTwo.indexOf(Add), size, size, FULL, FULL, a, b, sum]);
}

/** The sum of one tensor is that tensor. */
const addN = kernel(AddN, (call: KernelCall<TensorInfo[], object>, stock) => {
  const { inputs, backend, module } = call;
  const [first, second, ...others] = inputs;
  if (second === undefined) return share(backend, first!);
  const size = util.sizeFromShape(second.shape);
  if (second.dtype !== 'float32' || size === 0) return stock(call);
  const out = backend.makeOutput(second.shape, 'float32');
  const at = (tensor: TensorInfo) => address(backend, tensor);
  add(module, size, at(first!), at(second), at(out));
  for (const other of others) add(module, size, at(out), at(other), at(out));
  return out;
});

/** ∂y · step(y) in one kernel. TensorFlow.js multiplies by the cast of a step. */
export const reluGradient = floatKernel(
  'GhlReluGrad',
  ({ inputs: { dy, y }, backend, module }: KernelCall<{ dy: TensorInfo; y: TensorInfo }, object>) => {
    const out = backend.makeOutput(y.shape, 'float32');
    const size = util.sizeFromShape(y.shape);
    const at = [dy, y, out].map((tensor) => address(backend, tensor));
    module.run('binary', [RELU_GRADIENT, size, Math.max(1, size), FULL, FULL, ...at]);
    return out;
  },
);

const select = kernel(
  Select,
  (call: KernelCall<{ condition: TensorInfo; t: TensorInfo; e: TensorInfo }, object>, stock) => {
    const {
      inputs: { condition, t, e },
      backend,
      module,
    } = call;
    const float = t.dtype === 'float32' && e.dtype === 'float32';
    if (!float || !util.arraysEqual(condition.shape, t.shape) || !util.arraysEqual(e.shape, t.shape)) {
      return stock(call);
    }
    const out = backend.makeOutput(t.shape, 'float32');
    const at = [condition, t, e, out].map((tensor) => address(backend, tensor));
    module.run('select', [util.sizeFromShape(t.shape), ...at]);
    return out;
  },
);

const cast = kernel(Cast, (call: KernelCall<{ x: TensorInfo }, CastAttrs>, stock) => {
  const {
    inputs: { x },
    attrs: { dtype },
    backend,
    module,
  } = call;
  if (x.dtype === dtype && dtype !== 'string') return share(backend, x);
  if (dtype === 'bool' && (x.dtype === 'float32' || x.dtype === 'int32')) return isNotZero(x, backend);
  if (dtype !== 'float32' || (x.dtype !== 'bool' && x.dtype !== 'int32')) return stock(call);
  const out = backend.makeOutput(x.shape, 'float32');
  const bytes = util.bytesPerElement(x.dtype);
  module.run('convert', [util.sizeFromShape(x.shape), bytes, address(backend, x), address(backend, out)]);
  return out;
});

/** The stock kernel keeps the last eight bits of a number. */
function isNotZero(x: TensorInfo, backend: BackendWasm): TensorInfo {
  const zero = scalar(backend, 0, x.dtype);
  const out = runKernel(backend, NotEqual, { a: x, b: zero });
  backend.disposeData(zero.dataId);
  return out;
}

/** min(max(x, least), most). The stock kernel turns NaN into the least. */
const clip = kernel(ClipByValue, (call: KernelCall<{ x: TensorInfo }, ClipByValueAttrs>, stock) => {
  const {
    inputs: { x },
    attrs: { clipValueMin, clipValueMax },
    backend,
  } = call;
  if (x.dtype !== 'float32' || x.shape.includes(0)) return stock(call);
  const [least, most] = [scalar(backend, clipValueMin, 'float32'), scalar(backend, clipValueMax, 'float32')];
  const above = runKernel(backend, Maximum, { a: x, b: least });
  const out = runKernel(backend, Minimum, { a: above, b: most });
  for (const { dataId } of [least, most, above]) backend.disposeData(dataId);
  return out;
});

function scalar(backend: BackendWasm, value: number, dtype: DataType): TensorInfo {
  const out = backend.makeOutput([], dtype);
  backend.typedArrayFromHeap(out).set([value]);
  return out;
}

export const kernels = [identity, ...unaryKernels, ...binaryKernels, addN, reluGradient, select, cast, clip];
