/**
 * A connection: where weights sit between activities, and nothing else. It knows two bilinear maps and the adjoint that
 * back-propagation needs:
 *
 *     forward(x, W)    y = x·W
 *     correlate(x, v)  Σₚ xₚ ⊗ vₚ, kernel-shaped: for a convolution the filter gradient with v as output cotangent
 *     backward(v, W)   v·Wᵀ, shaped like x
 *
 * so a rule never sees a stride or a padding. Convolutions are channels-last; no patches are ever formed.
 */
import * as tf from '@tensorflow/tfjs-core';
import { FILTER_GRADIENTS, hasKernel } from '../backend/kernels.js';
import { checkOptions } from '../checks.js';
import { ConfigurationError } from '../errors.js';
import type { Units } from '../units.js';
import { run } from './tensors.js';

/** A layer's geometry. Shapes are those of TensorFlow.js: dense [in, out], conv [kh, kw, cin, out], fan-out last. */
export interface Connection {
  /** Which geometry, named as in `tf.layers`. */
  readonly kind: 'dense' | 'conv1d' | 'conv2d' | 'depthwiseConv2d';
  /** Shape of W as the layer stores it: dense [in, out], conv1d [k, cin, out], conv2d [kh, kw, cin, out], … */
  readonly kernelShape: readonly number[];
  /** D, K and groups, with which W reshapes to the rule's [D, K]. */
  readonly units: Units;
  /** y = x·W, in the layer's own output shape, its last axis K. */
  forward(pre: tf.Tensor, kernel: tf.Tensor): tf.Tensor;
  /** Σₚ xₚ ⊗ vₚ for each of several v shaped like y, in one pass over x where the backend has it; kernel-shaped. */
  correlate(pre: tf.Tensor, cotangents: readonly tf.Tensor[]): tf.Tensor[];
  /** v·Wᵀ: the gradient of Σ v⊙y with respect to x, of shape `preShape`. */
  backward(cotangent: tf.Tensor, kernel: tf.Tensor, preShape: readonly number[]): tf.Tensor;
}

/** One padding amount for all sides, `'same'`, `'valid'`, or explicit amounts before and after, per spatial axis. */
export type Padding = 'same' | 'valid' | number | readonly (readonly [before: number, after: number])[];

/** Geometry of a convolution. Numbers hold for every spatial axis. */
export interface ConvolutionOptions {
  /** Default 1. */
  readonly strides?: number | readonly number[];
  /** Default `'valid'`. */
  readonly padding?: Padding;
  /** Default 1. Any, together with any stride. */
  readonly dilations?: number | readonly number[];
}

/**
 * A dense connection, kernel [in, out]. Leading axes of x, if more than one, are positions: [batch, time, in] has
 * P = batch·time.
 *
 * @throws ConfigurationError `BAD_VALUE`.
 */
export function dense(kernelShape: readonly [number, number]): Connection {
  checkShape('dense', kernelShape, 2);
  const [fanIn, fanOut] = kernelShape;
  const rows = (tensor: tf.Tensor, columns: number) => tf.reshape(tensor, [-1, columns]) as tf.Tensor2D;
  return {
    kind: 'dense',
    kernelShape,
    units: { fanIn, fanOut, taps: 1, groups: 1 },
    forward: (pre, kernel) =>
      tf.reshape(tf.matMul(rows(pre, fanIn), kernel as tf.Tensor2D), [
        ...pre.shape.slice(0, -1),
        kernel.shape[1] as number,
      ]),
    correlate: (pre, cotangents) =>
      cotangents.map((cotangent) => tf.matMul(rows(pre, fanIn), rows(cotangent, fanOut), true, false)),
    backward: (cotangent, kernel, preShape) =>
      tf.reshape(tf.matMul(rows(cotangent, fanOut), kernel as tf.Tensor2D, false, true), [...preShape]),
  };
}

/**
 * A 2-D convolution, kernel [kh, kw, cin, out], x [batch, h, w, cin].
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 */
export function conv2d(
  kernelShape: readonly [number, number, number, number],
  options: ConvolutionOptions = {},
): Connection {
  check('conv2d', kernelShape, 4, options);
  const [height, width, channels, filters] = kernelShape;
  return {
    kind: 'conv2d',
    kernelShape,
    units: { fanIn: height * width * channels, fanOut: filters, taps: height * width, groups: 1 },
    ...convolution(kernelShape, options, {
      forward: (x, filter, geometry) => run('Conv2D', { x, filter }, { ...geometry, dilations: [1, 1] }),
      correlate: (x, dys, geometry, filterShape) => {
        if (dys.length > 1 && hasKernel(FILTER_GRADIENTS)) {
          const inputs = { x, ...Object.fromEntries(dys.map((dy, i) => [`dy${i}`, dy])) };
          return tf.engine().runKernel(FILTER_GRADIENTS, inputs, { ...geometry, filterShape } as never) as tf.Tensor[];
        }
        const [h, w, c, k] = filterShape as [number, number, number, number];
        const dy = tf.concat([...dys], -1);
        const all = run('Conv2DBackpropFilter', { x, dy }, { ...geometry, filterShape: [h, w, c, k * dys.length] });
        return dys.length === 1 ? [all] : tf.split(all, dys.length, -1);
      },
      backward: (dy, filter, geometry, inputShape) =>
        run('Conv2DBackpropInput', { dy, filter }, { ...geometry, inputShape }),
    }),
  };
}

/**
 * A depthwise 2-D convolution, kernel [kh, kw, cin, multiplier], x [batch, h, w, cin], K = cin·multiplier. Unit
 * k sees channel ⌊k/multiplier⌋ only.
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 */
export function depthwiseConv2d(
  kernelShape: readonly [number, number, number, number],
  options: ConvolutionOptions = {},
): Connection {
  check('depthwiseConv2d', kernelShape, 4, options);
  const [height, width, channels, multiplier] = kernelShape;
  const dilations = [1, 1];
  return {
    kind: 'depthwiseConv2d',
    kernelShape,
    units: { fanIn: height * width, fanOut: channels * multiplier, taps: height * width, groups: channels },
    ...convolution(kernelShape, options, {
      forward: (x, filter, geometry) => run('DepthwiseConv2dNative', { x, filter }, { ...geometry, dilations }),
      correlate: (x, dys, geometry, filterShape) =>
        dys.map((dy) => run('DepthwiseConv2dNativeBackpropFilter', { x, dy }, { ...geometry, dilations, filterShape })),
      backward: (dy, filter, geometry, inputShape) =>
        run('DepthwiseConv2dNativeBackpropInput', { dy, filter }, { ...geometry, dilations, inputShape }),
    }),
  };
}

/**
 * A 1-D convolution, kernel [k, cin, out], x [batch, length, cin]: a 2-D one over images of height 1.
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 */
export function conv1d(kernelShape: readonly [number, number, number], options: ConvolutionOptions = {}): Connection {
  check('conv1d', kernelShape, 3, options);
  const [size, channels, filters] = kernelShape;
  const { padding = 'valid' } = options;
  const [stride] = perAxis('strides', options.strides, 1);
  const [dilation] = perAxis('dilations', options.dilations, 1);
  const wide = conv2d([1, size, channels, filters], {
    strides: [1, stride as number],
    dilations: [1, dilation as number],
    padding:
      padding === 'same' || padding === 'valid' ? padding : [[0, 0], explicit(padding, 1)[0] as [number, number]],
  });
  const image = (tensor: tf.Tensor) => tf.expandDims(tensor, 1);
  const filter = (kernel: tf.Tensor) => tf.expandDims(kernel, 0);
  return {
    kind: 'conv1d',
    kernelShape,
    units: wide.units,
    forward: (pre, kernel) => tf.squeeze(wide.forward(image(pre), filter(kernel)), [1]),
    correlate: (pre, cotangents) =>
      wide.correlate(image(pre), cotangents.map(image)).map((each) => tf.reshape(each, [...kernelShape])),
    backward: (cotangent, kernel, [batch, length, c]) =>
      tf.squeeze(wide.backward(image(cotangent), filter(kernel), [batch, 1, length, c] as number[]), [1]),
  };
}

interface Geometry {
  readonly strides: readonly number[];
  readonly pad: 'same' | 'valid';
  readonly dataFormat: 'NHWC';
  readonly dimRoundingMode: undefined;
}

/** The three maps of an undilated convolution with TensorFlow's own paddings, which every backend has. */
interface Kernels {
  forward(x: tf.Tensor, filter: tf.Tensor, geometry: Geometry): tf.Tensor;
  correlate(x: tf.Tensor, dys: readonly tf.Tensor[], geometry: Geometry, filterShape: readonly number[]): tf.Tensor[];
  backward(dy: tf.Tensor, filter: tf.Tensor, geometry: Geometry, inputShape: readonly number[]): tf.Tensor;
}

/**
 * Adds explicit padding and dilation to the kernels. Padding is done to x; a dilated kernel is a larger one with zeros
 * between its taps, so that its gradient is every d-th tap of the larger one's (TensorFlow.js has no dilation
 * gradient).
 */
function convolution(kernelShape: readonly number[], options: ConvolutionOptions, kernels: Kernels) {
  const strides = perAxis('strides', options.strides, 2);
  const dilations = perAxis('dilations', options.dilations, 2);
  const { padding = 'valid' } = options;
  const amounts = padding === 'same' || padding === 'valid' ? null : explicit(padding, 2);
  const [top, left] = amounts?.map(([before]) => before) ?? [0, 0];
  const pad = padding === 'same' ? 'same' : 'valid';
  const geometry: Geometry = { strides, pad, dataFormat: 'NHWC', dimRoundingMode: undefined };
  const padded = (x: tf.Tensor) =>
    amounts === null ? x : tf.pad(x, [[0, 0], ...amounts, [0, 0]] as [number, number][]);
  const [dilationH, dilationW] = dilations as [number, number];
  const dilated = dilationH > 1 || dilationW > 1;
  const spreadShape = [
    ((kernelShape[0] as number) - 1) * dilationH + 1,
    ((kernelShape[1] as number) - 1) * dilationW + 1,
    ...kernelShape.slice(2),
  ];
  const spread = (kernel: tf.Tensor) => (dilated ? spreadTaps(kernel, dilationH, dilationW, spreadShape) : kernel);
  const taps = (kernel: tf.Tensor) =>
    dilated ? tf.stridedSlice(kernel, [0, 0, 0, 0], kernel.shape, [dilationH, dilationW, 1, 1]) : kernel;
  return {
    forward: (pre: tf.Tensor, kernel: tf.Tensor) => kernels.forward(padded(pre), spread(kernel), geometry),
    correlate: (pre: tf.Tensor, cotangents: readonly tf.Tensor[]) =>
      kernels.correlate(padded(pre), cotangents, geometry, spreadShape).map(taps),
    backward: (cotangent: tf.Tensor, kernel: tf.Tensor, preShape: readonly number[]) => {
      if (amounts === null) return kernels.backward(cotangent, spread(kernel), geometry, preShape);
      const shape = preShape.map((size, axis) => {
        const [before, after] = amounts[axis - 1] ?? [0, 0];
        return size + before + after;
      });
      const full = kernels.backward(cotangent, spread(kernel), geometry, shape);
      return tf.slice(full, [0, top as number, left as number, 0], [...preShape]);
    },
  };
}

function spreadTaps(kernel: tf.Tensor, dilationH: number, dilationW: number, shape: readonly number[]): tf.Tensor {
  const [height, width, channels, filters] = kernel.shape as [number, number, number, number];
  const depth = channels * filters;
  const rows = tf.reshape(kernel, [height * width, depth]);
  const wide = tf.concat([rows, tf.zeros([height * width, depth * (dilationW - 1)])], 1);
  const lines = tf.reshape(wide, [height, width * dilationW * depth]);
  const tall = tf.concat([lines, tf.zeros([height, width * dilationW * depth * (dilationH - 1)])], 1);
  const spread = tf.reshape(tall, [height * dilationH, width * dilationW, channels, filters]);
  return tf.slice(spread, [0, 0, 0, 0], [...shape.slice(0, 2), -1, -1]);
}

function check(kind: Connection['kind'], kernelShape: unknown, rank: number, options: ConvolutionOptions): void {
  checkShape(kind, kernelShape, rank);
  checkOptions(kind, options, ['strides', 'padding', 'dilations']);
}

function checkShape(kind: Connection['kind'], shape: unknown, rank: number): void {
  const whole = (size: unknown) => Number.isSafeInteger(size) && (size as number) > 0;
  if (Array.isArray(shape) && shape.length === rank && shape.every(whole)) return;
  throw new ConfigurationError(
    'BAD_VALUE',
    `The kernel of ${kind} has the shape ${JSON.stringify(shape)}.`,
    `give ${rank} whole numbers above 0.`,
  );
}

function perAxis(name: string, value: number | readonly number[] | undefined, axes: number): number[] {
  const values =
    value === undefined ? Array(axes).fill(1) : typeof value === 'number' ? Array(axes).fill(value) : [...value];
  if (values.length !== axes || !values.every((each) => Number.isInteger(each) && each >= 1)) {
    throw new ConfigurationError(
      'BAD_VALUE',
      `${name} is ${JSON.stringify(value)}.`,
      `give a whole number of at least 1, or ${axes} of them.`,
    );
  }
  return values;
}

function explicit(padding: Exclude<Padding, string>, axes: number): [number, number][] {
  const amounts =
    typeof padding === 'number'
      ? Array(axes).fill([padding, padding])
      : Array.isArray(padding)
        ? padding.map((pair) => [...pair])
        : [];
  if (amounts.length !== axes || !amounts.flat().every((each: number) => Number.isInteger(each) && each >= 0)) {
    throw new ConfigurationError(
      'BAD_VALUE',
      `padding is ${JSON.stringify(padding)}.`,
      `give 'same', 'valid', a whole number, or a [before, after] pair for each of ${axes} axes.`,
    );
  }
  return amounts as [number, number][];
}
