/** The information bottleneck: a third factor per activity, from kernels of the inputs, the labels and the layer. */
import type { Hyperparameter, Signals } from '@ghl/core';
import {
  checkNotEmpty,
  hyperparameter,
  number,
  type PerActivityModulator,
  readOptions,
  type Stateless,
  specOf,
  valueAt,
  whole,
} from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { normalized } from './normalized.js';

/** Options of {@link ib} and {@link ibExact}. The defaults are those published for CIFAR-10. */
export interface IbOptions {
  /** γ ≥ 0, a number or a schedule: how much the labels count, compared with the inputs. Default 50. */
  readonly gamma?: Hyperparameter;
  /** N ≥ 2: the examples of a window. A smaller batch is one window. Default 6. */
  readonly window?: number;
  /** σ_x > 0: the width of the kernel of the inputs, times the root of their dimension. Default 1. */
  readonly sigmaInput?: number;
  /** σ_y > 0: likewise for the labels. Default 0.1. */
  readonly sigmaTarget?: number;
  /** σ_z > 0: likewise for the activity of the layer. Default 0.5. */
  readonly sigmaLayer?: number;
}

/**
 * The information bottleneck as published: −ξ·∂z/∂y for each activity, to be multiplied by `presynaptic()`. z is
 * LayerNorm(ReLU(y)) over the units of a position. In each window of N consecutive examples, only the last example n
 * learns:
 *
 * ξ = Σₚ (dₚ + d_n) · 2·k_z(n, p)·(z_n − z_p)/(σ_z²·dim z) / (N·(N − 1)²) with d = diag(K̄_x − γ·K̄_y)
 *
 * K̄ is an RBF kernel matrix minus its row means; σ·√dim is its width. The window slides over the batch by one example,
 * and the factor is the mean over the windows. ξ is not the gradient of an objective: see {@link ibExact}.
 *
 * @returns A modulator without state. It reads the inputs and labels of the batch, which `fit` provides.
 * @throws ConfigurationError `BAD_VALUE`, `UNKNOWN_OPTION`.
 * @see Daruwalla and Lipasti, "Information bottleneck-based Hebbian learning rule naturally ties working memory and
 * synaptic updates", Frontiers in Computational Neuroscience 18, 2024, and its code.
 * @example
 * ```ts
 * import { modulateEach } from '@ghl/conformance/testing';
 * import { ib } from '@ghl/modulator-ib';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // Two examples of one class with very different inputs. Unit 1 is active in both, unit 2 only in the last: the last
 * // one learns to be like the first.
 * const y = [
 *   [1, 0, 1, 0],
 *   [1, 1, 0, 0],
 * ];
 * const signals = { input: [[0], [100]], target: [[1], [1]] };
 * const [factors] = modulateEach(ib({ sigmaLayer: 1 }), y, [signals], 2);
 * console.log(factors!.map((row) => row.map((m) => (m * Math.E).toFixed(2)).join(' ')));
 * // => [ '0.00 0.00 0.00 0.00', '0.50 -0.50 0.00 0.00' ]
 * ```
 */
export function ib(options: IbOptions = {}): PerActivityModulator<'input' | 'target', Stateless> {
  return bottleneck('ib', options, ({ means, last, size }) => tf.div(tf.neg(tf.add(means, last)), size));
}

/**
 * The information bottleneck with the exact gradient: as {@link ib}, but ξ is the gradient with respect to z_n of
 * HSIC(x, z) − γ·HSIC(y, z) in the window, HSIC = tr(K·H·K_z·H)/(N − 1)², H = 1 − 1/N:
 *
 * ξ = −Σₚ [H·(K_x − γ·K_y)·H]_np · 2·k_z(n, p)·(z_n − z_p)/(σ_z²·dim z) / (N − 1)²
 *
 * @returns A modulator without state. It reads the inputs and labels of the batch, which `fit` provides.
 * @throws ConfigurationError `BAD_VALUE`, `UNKNOWN_OPTION`.
 * @see Ma, Lewis and Kleijn, "The HSIC bottleneck: deep learning without back-propagation", AAAI 2020.
 * @example
 * ```ts
 * import { modulateEach } from '@ghl/conformance/testing';
 * import { ibExact } from '@ghl/modulator-ib';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // Two examples of different classes with one input. Unit 1 is active in both, unit 2 only in the last: the last one
 * // learns to differ from the first.
 * const y = [
 *   [1, 0, 1, 0],
 *   [1, 1, 0, 0],
 * ];
 * const signals = { input: [[1], [1]], target: [[0], [1]] };
 * const [factors] = modulateEach(ibExact({ gamma: 2, sigmaLayer: 1 }), y, [signals], 2);
 * console.log(factors!.map((row) => row.map((m) => (m * Math.E).toFixed(2)).join(' ')));
 * // => [ '0.00 0.00 0.00 0.00', '-1.00 1.00 0.00 0.00' ]
 * ```
 */
export function ibExact(options: IbOptions = {}): PerActivityModulator<'input' | 'target', Stateless> {
  return bottleneck('ibExact', options, ({ kernel, means, last, mean }) =>
    tf.sub(tf.sub(tf.add(means, last), mean), kernel),
  );
}

/** K_x − γ·K_y of a batch of B examples, less its diagonal 1 − γ. Row n is the window whose last example is n. */
interface Windows {
  /** For each pair of examples: [B, B]. */
  readonly kernel: tf.Tensor;
  /** Example p's mean over window n: [B, B]. */
  readonly means: tf.Tensor;
  /** The mean of the last example of window n: [B, 1]. */
  readonly last: tf.Tensor;
  /** The mean over all pairs of window n: [B, 1]. */
  readonly mean: tf.Tensor;
  /** N, the examples of a window. */
  readonly size: number;
}

/** @param weigh The weight of z_n − z_p in ξ of window n, without its kernel k_z(n, p) and constants: [B, B]. */
function bottleneck(
  name: string,
  options: IbOptions,
  weigh: (windows: Windows) => tf.Tensor,
): PerActivityModulator<'input' | 'target', Stateless> {
  const { gamma, window, sigmaInput, sigmaTarget, sigmaLayer } = readOptions(name, options, {
    gamma: hyperparameter(50, { least: 0 }),
    window: whole(6, { least: 2 }),
    sigmaInput: number(1, { above: 0 }),
    sigmaTarget: number(0.1, { above: 0 }),
    sigmaLayer: number(0.5, { above: 0 }),
  });
  return {
    spec: specOf(name, { gamma, window, sigmaInput, sigmaTarget, sigmaLayer }),
    actsOn: 'activity',
    reads: ['input', 'target'],
    init: () => ({}),
    factor({ input, target }: Pick<Signals, 'input' | 'target'>, { post, batch, step }, state) {
      checkNotEmpty(name, { post });
      const size = Math.min(window, batch);
      const inWindow = windowsOf(batch, size);
      const { z, toInput } = normalized(post);
      const rows = tf.reshape(z, [batch, -1]) as tf.Tensor2D;
      // Without their 1, small distances do not cancel.
      const labels = tf.mul(lessOne(rowsOf(target), sigmaTarget), valueAt(gamma, step));
      const kernel = tf.sub(lessOne(rowsOf(input), sigmaInput), labels);
      const means = tf.div(tf.matMul(inWindow, kernel), size);
      const own = tf.eye(batch);
      const weights = weigh({
        kernel,
        means,
        last: tf.sum(tf.mul(means, own), 1, true),
        mean: tf.div(tf.sum(tf.mul(means, inWindow), 1, true), size),
        size,
      });
      // z_n − z_n is 0: its large weight would only round the others off.
      const others = tf.mul(inWindow, tf.sub(1, own));
      const coupling = tf.mul(tf.mul(weights, tf.add(lessOne(rows, sigmaLayer), 1)), others) as tf.Tensor2D;
      const xi = tf.sub(tf.mul(tf.sum(coupling, 1, true), rows), tf.matMul(coupling, rows));
      const scale = 2 / (sigmaLayer ** 2 * rows.shape[1] * Math.max(size - 1, 1) ** 2 * (batch - size + 1));
      return { factor: toInput(tf.reshape(tf.mul(xi, -scale), post.shape)), state };
    },
  };
}

/** 1 where example p is in the window whose last example is n: [B, B]. A row without a complete window is 0. */
function windowsOf(batch: number, size: number): tf.Tensor2D {
  const inWindow = (n: number, p: number) => Number(n >= size - 1 && p <= n && p > n - size);
  const flat = Float32Array.from({ length: batch * batch }, (_, i) => inWindow(Math.floor(i / batch), i % batch));
  return tf.tensor2d(flat, [batch, batch]);
}

/** One row of numbers for each example. */
const rowsOf = (signal: tf.Tensor) =>
  tf.reshape(tf.cast(signal, 'float32'), [signal.shape[0] as number, -1]) as tf.Tensor2D;

/** exp(−‖a − b‖²/(2·σ²·dim)) − 1 for each pair of rows: [B, B]. */
function lessOne(rows: tf.Tensor2D, sigma: number): tf.Tensor {
  const squares = tf.sum(tf.square(rows), 1, true);
  const products = tf.matMul(rows, rows, false, true);
  const distances = tf.relu(tf.sub(tf.add(squares, tf.transpose(squares)), tf.mul(products, 2)));
  return tf.expm1(tf.mul(distances, -1 / (2 * sigma ** 2 * rows.shape[1])));
}
