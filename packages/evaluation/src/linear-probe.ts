/** The linear probe: how well a linear classifier separates the classes, from the output of one layer. */
import { ConfigurationError } from '@ghl/core';
import { checkOptions, number, readOptions } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { CholeskyDecomposition, Matrix } from 'ml-matrix';
import { type Examples, type Labelled, READ_OPTIONS, type ReadOptions } from './examples.js';
import { checkFinite, type FeatureOptions, featuresOf, labelsOf, largestIndex, poolReader } from './features.js';
import { feed, type Measure, measured, type Optional } from './measure.js';

/** Options of {@link linearProbe}. */
export interface LinearProbeOptions extends FeatureOptions, ReadOptions {
  /** The examples from which the classifier is computed. */
  readonly train: Examples;
  /** The examples on which it is tested. */
  readonly test: Examples;
  /** λ, the ridge penalty, above 0. Default 0.1. */
  readonly penalty?: number;
}

/** The result of {@link linearProbe}. */
export interface ProbeResult {
  /** Share of the test examples that are classified correctly. */
  readonly accuracy: number;
  /** Number of features of an example. */
  readonly features: number;
}

/** Most features: the solution takes memory ∝ features², and time ∝ features³. */
const MOST_FEATURES = 8192;

/**
 * Accuracy of a linear classifier on the features of one layer, the model fixed (Alain & Bengio, 2017).
 *
 * The classifier is ridge regression on one-hot labels, in closed form. With z the features standardized over the
 * training examples and N their number, it minimizes (1/N)·Σ ‖yₙ − ȳ − Bᵀzₙ‖² + λ·‖B‖²:
 *
 *     (ZᵀZ/N + λI)·B = ZᵀY/N        class = argmax_c (ȳ + Bᵀz)_c
 *
 * A probe trained by gradient descent has a step size, a batch size and a number of epochs, which suit one network
 * better than another. This one has a unique solution and no seed, and scaling a unit does not change it. Its
 * accuracy is usually somewhat below that of logistic regression.
 *
 * @param layerName A layer of the model, or the path of one in a nested model: `'inner/conv1'`.
 * @throws ConfigurationError `UNKNOWN_LAYER`, `BAD_VALUE`, `TOO_MANY_FEATURES`; UnsupportedError `UNSUPPORTED_LAYER`;
 * DataError `NO_EXAMPLES`; NonFiniteError `NON_FINITE_ACTIVATION`.
 * @see Alain & Bengio, "Understanding intermediate layers using linear classifier probes", ICLR workshop 2017; Rifkin,
 * Yeo & Poggio, "Regularized least-squares classification", 2003.
 * @example
 * ```ts
 * import { linearProbe } from '@ghl/evaluation';
 * import * as tf from '@tensorflow/tfjs-core';
 * import { layers, sequential } from '@tensorflow/tfjs-layers';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = sequential({ layers: [layers.reLU({ name: 'relu', inputShape: [1] })] });
 * // Of −1, 0, 1 and 2, ReLU leaves 0, 0, 1 and 2. A line separates the first two from the last two.
 * const examples = { xs: tf.tensor2d([[-1], [0], [1], [2]]), ys: tf.tensor2d([[1, 0], [1, 0], [0, 1], [0, 1]]) };
 * console.log(await linearProbe(model, 'relu', { train: examples, test: examples }));
 * // => { accuracy: 1, features: 1 }
 * ```
 */
export async function linearProbe(
  model: LayersModel,
  layerName: string,
  options: LinearProbeOptions,
): Promise<ProbeResult> {
  checkOptions('linearProbe', options, ['train', 'test', 'penalty', 'pool', ...READ_OPTIONS]);
  const { train, test, penalty, pool } = options;
  const fit = probeFit({ penalty, pool });
  try {
    await feed(model, new Map([[layerName, [fit]]]), 'train', train, options);
    return await measured(model, layerName, fit.test(), 'test', test, options);
  } finally {
    fit.dispose();
  }
}

/** Collects the moments of training features; then tests the classifier. */
export interface ProbeFit extends Pick<Measure<Labelled, ProbeResult>, 'add'> {
  /** Solves for the classifier, and tests it. */
  test(): Measure<Labelled, ProbeResult>;
  dispose(): void;
}

/** Sums over the training examples, of features less `shift` and divided by `scale`: those of the first batch. */
interface Moments {
  readonly shift: tf.Tensor1D;
  readonly scale: tf.Tensor1D;
  count: number;
  /** Σ z zᵀ, Σ z yᵀ, Σ z, Σ y. */
  readonly products: Float64Array;
  readonly targets: Float64Array;
  readonly sums: Float64Array;
  readonly labels: Float64Array;
}

/** A probe that has seen nothing yet. */
export function probeFit(options: Optional<LinearProbeOptions, 'penalty' | 'pool'>): ProbeFit {
  const { penalty, pool } = readOptions('linearProbe', options, {
    penalty: number(0.1, { above: 0 }),
    pool: poolReader,
  });
  let moments: Moments | null = null;
  const owned: tf.Tensor[] = [];

  return {
    async add(output, { ys }) {
      const features = featuresOf(output, pool);
      try {
        if (moments === null) {
          moments = begin(features, ys.shape[1]);
          owned.push(moments.shift, moments.scale);
        }
        const { shift, scale } = moments;
        const sums = tf.tidy(() => {
          const z = tf.div(tf.sub(features, shift), scale) as tf.Tensor2D;
          return [tf.matMul(z, z, true), tf.matMul(z, ys, true), tf.sum(z, 0), tf.sum(ys, 0)];
        });
        const [products, targets, each, labels] = await Promise.all(sums.map((sum) => sum.data()));
        tf.dispose(sums);
        checkFinite(each as Float32Array);
        accumulate(moments.products, products as Float32Array);
        accumulate(moments.targets, targets as Float32Array);
        accumulate(moments.sums, each as Float32Array);
        accumulate(moments.labels, labels as Float32Array);
        moments.count += features.shape[0];
      } finally {
        features.dispose();
      }
    },
    test() {
      const { shift, scale, sums, labels } = moments as Moments;
      const [size, classes] = [sums.length, labels.length];
      const { weights, bias } = solve(moments as Moments, penalty);
      const kernel = tf.tensor2d(weights, [size, classes]);
      const offset = tf.tensor1d(bias);
      owned.push(kernel, offset);
      let [correct, count] = [0, 0];
      return {
        async add(output, { ys }) {
          const predictions = tf.tidy(() =>
            tf.add(tf.matMul(tf.div(tf.sub(featuresOf(output, pool), shift), scale), kernel), offset),
          );
          const values = await predictions.data();
          predictions.dispose();
          checkFinite(values);
          (await labelsOf(ys)).forEach((label, i) => {
            if (largestIndex(values.subarray(i * classes, (i + 1) * classes)) === label) correct += 1;
            count += 1;
          });
        },
        result: () => ({ accuracy: correct / count, features: size }),
      };
    },
    dispose: () => tf.dispose(owned),
  };
}

function begin(features: tf.Tensor2D, classes: number): Moments {
  const size = features.shape[1];
  if (size > MOST_FEATURES) {
    throw new ConfigurationError(
      'TOO_MANY_FEATURES',
      `The layer has ${size} features.`,
      `linearProbe solves for at most ${MOST_FEATURES}: give a smaller pool, or a layer with fewer units.`,
    );
  }
  const [shift, scale] = tf.tidy(() => {
    const { mean, variance } = tf.moments(features, 0);
    const deviation = tf.sqrt(variance);
    return [mean, tf.where(tf.greater(deviation, 0), deviation, tf.onesLike(deviation))];
  }) as [tf.Tensor1D, tf.Tensor1D];
  return {
    shift,
    scale,
    count: 0,
    products: new Float64Array(size * size),
    targets: new Float64Array(size * classes),
    sums: new Float64Array(size),
    labels: new Float64Array(classes),
  };
}

function accumulate(sums: Float64Array, values: Float32Array): void {
  for (let i = 0; i < sums.length; i++) sums[i] = (sums[i] as number) + (values[i] as number);
}

/** The classifier on features less `shift`, divided by `scale`: kernel [features, classes] and bias. */
function solve(moments: Moments, penalty: number): { weights: Float32Array; bias: Float32Array } {
  const { count, products, targets, sums, labels } = moments;
  const [size, classes] = [sums.length, labels.length];
  const means = Array.from(sums, (sum) => sum / count);
  /** 1 / σ; 0 for a feature that does not vary beyond rounding. */
  const inverse = means.map((mean, i) => {
    const square = (products[i * size + i] as number) / count;
    const variance = square - mean * mean;
    return variance > 1e-6 * square ? 1 / Math.sqrt(variance) : 0;
  });
  const correlation = Matrix.zeros(size, size);
  const rightSide = Matrix.zeros(size, classes);
  for (let i = 0; i < size; i++) {
    const [mean, factor] = [means[i] as number, inverse[i] as number];
    for (let j = 0; j <= i; j++) {
      const covariance = (products[i * size + j] as number) / count - mean * (means[j] as number);
      const value = covariance * factor * (inverse[j] as number) + (i === j ? penalty : 0);
      correlation.set(i, j, value);
      correlation.set(j, i, value);
    }
    for (let c = 0; c < classes; c++) {
      const target = (targets[i * classes + c] as number) / count - (mean * (labels[c] as number)) / count;
      rightSide.set(i, c, target * factor);
    }
  }
  const solution = new CholeskyDecomposition(correlation).solve(rightSide);
  const weights = new Float32Array(size * classes);
  const bias = Float32Array.from(labels, (sum, c) => {
    let value = sum / count;
    for (let i = 0; i < size; i++) {
      const weight = solution.get(i, c) * (inverse[i] as number);
      weights[i * classes + c] = weight;
      value -= weight * (means[i] as number);
    }
    return value;
  });
  return { weights, bias };
}
