/** ZCA whitening: decorrelates the pixels of images, and changes the images as little as that allows. */
import { ConfigurationError } from '@ghl/core';
import { number, readOptions } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { generator } from '@tensorflow/tfjs-data';
import type { Batch, ImageSet, Split } from './image-set.js';

/** Options of {@link zca}. */
export interface ZcaOptions {
  /** ε, added to the variance in each direction, above 0. Default 1e-2. */
  readonly epsilon?: number;
}

/** The option `whiten` of the datasets that are loaded. */
export interface WhitenOptions {
  /**
   * Whether to whiten the images, and with which options: {@link zca}, after the scale and the augmentation. Default:
   * no whitening.
   */
  readonly whiten?: 'zca' | ZcaOptions;
}

/** A bound of the last steps, of which a few suffice. */
const STEPS = 20;

/**
 * Multiplies each image x, as one row of its d = height · width · channels normalised pixels, by a symmetric matrix:
 *
 *     x ← x·W,   W = (C + ε·I)^(−1/2),   C = Σ xᵀ·x / (n − 1) over the training images in use
 *
 * C is the second moment: channels are centred by the normalisation, pixels are not. With C = U·S·Uᵀ, the second moment
 * of the whitened training images is U·S/(S + ε)·Uᵀ. Validation and test images do not enter C. Augmentation comes
 * before the product.
 *
 * The root is computed by the coupled Newton-Schulz iteration on the current backend. It consists of matrix products,
 * 3 in each of about ten steps. An eigendecomposition in JavaScript takes more than ten minutes for the 3,072 pixels of
 * CIFAR. Both matrices hold d² numbers: 38 MB for CIFAR. Each batch costs one product of [batch, d] and [d, d]. An
 * iterator of batches that is abandoned before its end keeps a tensor of that size.
 *
 * @returns A set with the same images, labels and checksum, whose batches are whitened.
 * @throws ConfigurationError `UNKNOWN_OPTION`; `BAD_VALUE`, also for an ε with which the iteration does not converge.
 * @see Krizhevsky, Learning multiple layers of features from tiny images, 2009; Lagani et al., FastHebb, whose rules of
 * the winner-take-all family learn from images with ε = 1e-2; Higham, Functions of Matrices, 2008, section 6.7.
 * @example
 * ```ts
 * import { imageSet, zca } from '@ghl/datasets';
 * import * as tf from '@tensorflow/tfjs-core';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // Two pixels that always have the same value, −1 or 1: the variance in their common direction was 4, and becomes 1.
 * const train = [{ pixels: [0, 0, 255, 255], labels: [0, 1] }];
 * const source = { name: 'pairs', classes: ['dark', 'light'], shape: [1, 2, 1] as const, train, test: [] };
 * const set = await zca(imageSet(source, { validationSize: 0 }), { epsilon: 1e-4 });
 * await set.train.batches({ batchSize: 2, shuffle: false }).forEachAsync(({ xs, ys }) => {
 *   console.log(Array.from(xs.dataSync(), (x) => x.toFixed(2)).join()); // => 0.50,0.50,-0.50,-0.50
 *   tf.dispose([xs, ys]);
 * });
 * ```
 */
export async function zca(set: ImageSet, options: ZcaOptions = {}): Promise<ImageSet> {
  const { epsilon } = readOptions('zca', options, { epsilon: number(1e-2, { above: 0 }) });
  const moment = await secondMoment(set.train);
  const matrix = await inverseRoot(moment, epsilon);
  const whitened = (split: Split) => ({ ...split, batches: batchesTimes(split, matrix) });
  return { ...set, train: whitened(set.train), validation: whitened(set.validation), test: whitened(set.test) };
}

/** The set with the option `whiten`. */
export async function whitenedBy(set: ImageSet, { whiten }: WhitenOptions): Promise<ImageSet> {
  if (whiten === undefined) return set;
  if (typeof whiten === 'string' && whiten !== 'zca') {
    throw new ConfigurationError(
      'BAD_VALUE',
      `whiten is ${JSON.stringify(whiten)}.`,
      "give 'zca' or { epsilon: 1e-2 }.",
    );
  }
  return zca(set, whiten === 'zca' ? {} : whiten);
}

/** Images as rows, [batch, pixels]. */
function rowsOf(xs: tf.Tensor): tf.Tensor2D {
  return tf.reshape(xs, [xs.shape[0]!, -1]);
}

async function secondMoment(split: Split): Promise<tf.Tensor2D> {
  let sum: tf.Tensor2D | undefined;
  await split.batches({ batchSize: 256, shuffle: false }).forEachAsync(({ xs, ys }) => {
    const before = sum;
    sum = tf.tidy(() => {
      const product = tf.matMul(rowsOf(xs), rowsOf(xs), true);
      return (before === undefined ? product : tf.add(before, product)) as tf.Tensor2D;
    });
    tf.dispose([xs, ys, ...(before === undefined ? [] : [before])]);
  });
  const total = sum as unknown as tf.Tensor2D; // a training part has at least one image
  const moment = tf.tidy(() => tf.div(total, Math.max(1, split.size - 1)) as tf.Tensor2D);
  total.dispose();
  return moment;
}

/**
 * (C + ε·I)^(−1/2) in float32, and disposes of C.
 *
 * Newton-Schulz: with A = (C + ε·I)/c, Y = A and Z = I, repeat T = (3·I − ρ·Z·Y)/2, Y ← √ρ·Y·T, Z ← √ρ·T·Z. Then Y
 * tends to A^½ and Z to A^(−½). A step maps each eigenvalue x of Z·Y, which is in (0, 1], to f(ρ·x), with
 * f(x) = x·(3 − x)²/4. For c the Frobenius norm, the least one is at least l = ε/c, and ρ = 3/(1 + √l + l) makes
 * f(ρ·l) = f(ρ) the next l. It halves the number of steps against ρ = 1.
 */
async function inverseRoot(moment: tf.Tensor2D, epsilon: number): Promise<Float32Array> {
  const [size] = moment.shape;
  const identity = tf.eye(size);
  const shifted = tf.tidy(() => tf.add(moment, tf.mul(identity, epsilon)));
  const norm = tf.norm(shifted);
  const scale = (await norm.data())[0]!;
  let y = tf.tidy(() => tf.div(shifted, norm) as tf.Tensor2D);
  let z = tf.clone(identity);
  tf.dispose([moment, shifted, norm]);
  /** One step. Returns the error before it, abs(I − Z·Y) per row. */
  const iterate = (rho: number): tf.Tensor => {
    const [nextY, nextZ, error] = tf.tidy(() => {
      const product = tf.matMul(z, y);
      const t = tf.mul(tf.sub(tf.mul(identity, 3), tf.mul(product, rho)), Math.sqrt(rho) / 2) as tf.Tensor2D;
      const distance = tf.div(tf.norm(tf.sub(identity, product)), Math.sqrt(size));
      return [tf.matMul(y, t), tf.matMul(t, z), distance] as const;
    });
    tf.dispose([y, z]);
    [y, z] = [nextY, nextZ];
    return error;
  };
  for (let least = epsilon / scale; least < 0.9; ) {
    const rho = 3 / (1 + Math.sqrt(least) + least);
    iterate(rho).dispose();
    least = (rho * least * (3 - rho * least) ** 2) / 4;
  }
  // Rounding errors leave the last eigenvalues to some steps with ρ = 1, until the error falls no more.
  let error = Number.POSITIVE_INFINITY;
  for (let step = 0, falls = true; falls && step < STEPS; step++) {
    const distance = iterate(1);
    const next = (await distance.data())[0]!;
    distance.dispose();
    falls = next < error && error > 1e-6;
    error = Math.min(error, next);
  }
  const root = tf.tidy(() => tf.div(tf.add(z, tf.transpose(z)), 2 * Math.sqrt(scale)));
  const matrix = (await root.data()) as Float32Array;
  tf.dispose([identity, y, z, root]);
  if (error < 1e-2) return matrix;
  throw new ConfigurationError(
    'BAD_VALUE',
    `epsilon is ${epsilon}; the inverse root of the second moment has a relative error of ${error.toPrecision(2)}.`,
    'give a larger epsilon: float32 resolves variances down to a millionth of the largest.',
  );
}

/** `split.batches`, with each image multiplied by a matrix. */
function batchesTimes(split: Split, matrix: Float32Array): Split['batches'] {
  return (options) => {
    const batches = split.batches(options);
    const side = Math.sqrt(matrix.length);
    return generator<Batch>(async function* () {
      const iterator = await batches.iterator();
      const weights = tf.tensor2d(matrix, [side, side]);
      try {
        for (;;) {
          const { value, done } = await iterator.next();
          if (done) return;
          const xs = tf.tidy(() => tf.reshape(tf.matMul(rowsOf(value.xs), weights), value.xs.shape));
          value.xs.dispose();
          yield { xs, ys: value.ys };
        }
      } finally {
        weights.dispose();
      }
    } as unknown as () => Generator<Batch>);
  };
}
