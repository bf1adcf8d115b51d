/**
 * The gradients of dilated convolutions, which TensorFlow.js refuses to compute. A dilated filter equals a larger
 * filter with zeros between its taps. ∂x is that of the larger filter; ∂filter is every d-th tap of the larger filter's
 * gradient.
 */
import * as tf from '@tensorflow/tfjs-core';

type GradientFunction = (
  dy: tf.Tensor,
  saved: tf.Tensor[],
  attrs: tf.NamedAttrMap,
) => { x(): tf.Tensor; filter(): tf.Tensor };

let registered = false;

/** Registers the gradients of dilated Conv2D, DepthwiseConv2dNative and Conv3D kernels, once. */
export function registerDilatedGradients(): void {
  if (registered) return;
  registered = true;
  for (const kernelName of [tf.Conv2D, tf.DepthwiseConv2dNative, tf.Conv3D]) {
    const stock = tf.getGradient(kernelName);
    if (stock === undefined) continue;
    const undilated = stock.gradFunc as unknown as GradientFunction;
    const gradFunc: GradientFunction = (dy, saved, attrs) => {
      const [x, filter] = saved as [tf.Tensor, tf.Tensor];
      const axes = filter.rank - 2;
      const dilations = perAxis(attrs.dilations as unknown as number | number[] | null, axes);
      if (dilations.every((dilation) => dilation === 1)) return undilated(dy, saved, attrs);
      const spread = (): tf.Tensor => spreadTaps(filter, dilations);
      const ofSpread = () => undilated(dy, [x, spread()], { ...attrs, dilations: Array(axes).fill(1) });
      return { x: () => ofSpread().x(), filter: () => everyTap(ofSpread().filter(), dilations) };
    };
    tf.unregisterGradient(kernelName);
    tf.registerGradient({ ...stock, gradFunc: gradFunc as unknown as tf.GradFunc });
  }
}

/** The dilation of each spatial axis. All filters have their channels last, also depthwise and Conv3D filters. */
function perAxis(dilations: number | number[] | null, axes: number): number[] {
  return Array.isArray(dilations) ? dilations : Array(axes).fill(dilations ?? 1);
}

/** [k, …] → [(k − 1)·d + 1, …] along each axis: d − 1 zeros between taps. */
function spreadTaps(filter: tf.Tensor, dilations: readonly number[]): tf.Tensor {
  return dilations.reduce((tensor, dilation, axis) => {
    const [rows, columns] = split(tensor.shape, axis);
    const taps = tf.reshape(tensor, [rows, columns]);
    const wide = tf.reshape(
      tf.pad(taps, [
        [0, 0],
        [0, columns * (dilation - 1)],
      ]),
      resized(tensor.shape, axis, dilation),
    );
    const size = (tensor.shape[axis] as number) * dilation - (dilation - 1);
    return tf.slice(
      wide,
      Array(wide.rank).fill(0),
      wide.shape.map((each, i) => (i === axis ? size : each)),
    );
  }, filter);
}

/** Undoes {@link spreadTaps}. */
function everyTap(spread: tf.Tensor, dilations: readonly number[]): tf.Tensor {
  return dilations.reduce((tensor, dilation, axis) => {
    const padded = tf.pad(
      tensor,
      tensor.shape.map((_, i) => [0, i === axis ? dilation - 1 : 0] as [number, number]),
    );
    const shape = resized(padded.shape, axis, 1 / dilation);
    const [rows, columns] = split(shape, axis);
    const taps = tf.slice(tf.reshape(padded, [rows, columns * dilation]), [0, 0], [rows, columns]);
    return tf.reshape(taps, shape);
  }, spread);
}

/** The number of entries up to an axis, and after it. */
function split(shape: readonly number[], axis: number): [rows: number, columns: number] {
  return [tf.util.sizeFromShape(shape.slice(0, axis + 1)), tf.util.sizeFromShape(shape.slice(axis + 1))];
}

function resized(shape: readonly number[], axis: number, factor: number): number[] {
  return shape.map((size, i) => (i === axis ? Math.round(size * factor) : size));
}
