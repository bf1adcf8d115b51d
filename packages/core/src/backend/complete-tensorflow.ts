/**
 * The functions that tfjs-layers calls and tfjs-core lacks.
 *
 * `@tensorflow/tfjs` imports the chained methods of tensors, such as `x.flatten()`; our installation does not. The
 * orthogonal initializer, which is the default of every recurrent layer, calls some of them. So do `metrics.r2Score`
 * and two gradients.
 *
 * Three layers have no gradient even with `@tensorflow/tfjs`: `conv3dTranspose`, and `masking` and `thresholdedReLU`
 * after another layer, which multiply by a comparison.
 */
import * as tf from '@tensorflow/tfjs-core';

type Method = (this: tf.Tensor, ...values: never[]) => unknown;

/**
 * The methods that tfjs-layers 4.22.0 and the gradients of tfjs-core 4.22.0 call, each with the function of that name.
 */
const methods: Readonly<Record<string, Method>> = {
  div(b: tf.Tensor) {
    return tf.div(this, b);
  },
  flatten() {
    return tf.reshape(this, [this.size]);
  },
  mean(axis?: number, keepDims?: boolean) {
    return tf.mean(this, axis, keepDims);
  },
  reshape(shape: number[]) {
    return tf.reshape(this, shape);
  },
  sign() {
    return tf.sign(this);
  },
  slice(begin: number | number[], size?: number | number[]) {
    return tf.slice(this, begin, size);
  },
  split(sizes: number | number[], axis?: number) {
    return tf.split(this, sizes, axis);
  },
  square() {
    return tf.square(this);
  },
  stridedSlice(...rest: DropFirst<Parameters<typeof tf.stridedSlice>>) {
    return tf.stridedSlice(this, ...rest);
  },
  sub(b: tf.Tensor) {
    return tf.sub(this, b);
  },
  sum(axis?: number, keepDims?: boolean) {
    return tf.sum(this, axis, keepDims);
  },
  transpose(perm?: number[]) {
    return tf.transpose(this, perm);
  },
};

type DropFirst<List extends unknown[]> = List extends [unknown, ...infer Rest] ? Rest : never;

/**
 * The gradient of the input gradient of conv3d, which `tf.conv3dTranspose` computes from ∂y and W. For ∂y it is a
 * convolution, and for W the filter gradient.
 */
const transposedGradient: tf.GradConfig = {
  kernelName: tf.Conv3DBackpropInputV2,
  inputsToSave: ['dy', 'filter'],
  gradFunc: (ddx, [dy, filter], attrs) => {
    const { strides, pad } = attrs as unknown as tf.Conv3DBackpropInputV2Attrs;
    const x = ddx as tf.Tensor5D;
    return {
      dy: () => tf.conv3d(x, filter as tf.Tensor5D, strides, pad),
      filter: () => {
        const shape = { strides, pad, filterShape: filter!.shape };
        return tf.engine().runKernel(tf.Conv3DBackpropFilterV2, { x, dy: dy! }, shape as never) as tf.Tensor;
      },
    };
  },
};

/** The gradients of comparisons are 0. */
function zeroGradient(kernelName: string, ...inputs: readonly string[]): tf.GradConfig {
  return {
    kernelName,
    inputsToSave: [...inputs],
    gradFunc: (_, saved) => Object.fromEntries(saved.map(({ shape }, i) => [inputs[i]!, () => tf.zeros(shape)])),
  };
}

const gradients: readonly tf.GradConfig[] = [
  transposedGradient,
  zeroGradient(tf.Any, 'x'),
  zeroGradient(tf.Greater, 'a', 'b'),
  zeroGradient(tf.NotEqual, 'a', 'b'),
];

/**
 * Adds the missing functions, so that every layer, initializer, metric and loss of tfjs-layers works without
 * `@tensorflow/tfjs`. Existing methods stay. Packages that use layers call it at import, because a model may be built
 * before any of their functions is called.
 */
export function completeTensorFlow(): void {
  const prototype = tf.Tensor.prototype as unknown as Record<string, Method>;
  for (const [name, method] of Object.entries(methods)) prototype[name] ??= method;
  for (const gradient of gradients) {
    if (tf.getGradient(gradient.kernelName) === undefined) tf.registerGradient(gradient);
  }
}
