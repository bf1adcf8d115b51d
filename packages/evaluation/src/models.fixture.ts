/** Models and examples for the tests of this package. */
import { numbers } from '@ghl/conformance/testing';
import * as tf from '@tensorflow/tfjs-core';
import { type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers';
import { afterEach, beforeEach } from 'vitest';

type Nested<Shape> = Shape extends readonly [number, number, number, number]
  ? number[][][][]
  : Shape extends readonly [number, number]
    ? number[][]
    : number[];

/** Seeded numbers in nested arrays of a shape. */
export function nested<const Shape extends readonly number[]>(seed: number, shape: Shape): Nested<Shape> {
  const values = numbers(seed, [...shape]);
  let at = 0;
  const fill = ([size, ...rest]: readonly number[]): unknown =>
    size === undefined ? values[at++] : Array.from({ length: size }, () => fill(rest));
  return fill(shape) as Nested<Shape>;
}

/** Runs each test in a scope of tensors, and disposes of its models. */
export function inScope(): void {
  beforeEach(() => {
    tf.engine().startScope();
  });
  afterEach(() => {
    tf.disposeVariables();
    tf.engine().endScope();
  });
}

/** A model that passes its input through a layer called `same`. */
export function identity(inputShape: number[]): LayersModel {
  return sequential({ layers: [layers.activation({ name: 'same', activation: 'linear', inputShape })] });
}

/** A small network for images of 8×8. */
export function smallNetwork(): LayersModel {
  const seeded = (seed: number) => tf.tensor4d(nested(seed, [3, 3, seed, 4]));
  return sequential({
    layers: [
      layers.conv2d({
        name: 'conv1',
        filters: 4,
        kernelSize: 3,
        padding: 'same',
        useBias: false,
        inputShape: [8, 8, 1],
        weights: [seeded(1)],
      }),
      layers.reLU({ name: 'relu1' }),
      layers.maxPooling2d({ name: 'pool1', poolSize: 2 }),
      layers.conv2d({ name: 'conv2', filters: 4, kernelSize: 3, useBias: false, weights: [seeded(4)] }),
      layers.flatten({ name: 'flatten' }),
      layers.dense({ name: 'head', units: 3, activation: 'softmax', kernelInitializer: 'ones' }),
    ],
  });
}

/** One-hot labels. */
export function oneHot(labels: readonly number[], classes: number): tf.Tensor2D {
  return tf.tensor2d(labels.map((label) => Array.from({ length: classes }, (_, c) => Number(c === label))));
}
