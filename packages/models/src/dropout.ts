/**
 * Dropout whose mask follows from a seed and the training step, so that a resumed run drops what the uninterrupted one
 * would have dropped. TensorFlow.js's draws the same mask at every step when seeded, and cannot be repeated when not.
 */
import { ConfigurationError } from '@ghl/core';
import { DROPOUT, type DropoutAttributes, hasKernel } from '@ghl/core/backend';
import type { StepCounter, StepFollower } from '@ghl/core/engine';
import { checkNumber } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { layers } from '@tensorflow/tfjs-layers';
import { checkLayerOptions, type LayerOptions, onlyTensor, trains } from './layer.js';
import { dropMask, dropping } from './random.js';

/** Options of {@link dropout}, in addition to those of any layer. */
export interface DropoutOptions extends LayerOptions {
  /** Probability of dropping a unit, in [0, 1). */
  rate: number;
  /** Any whole number up to 2⁵³ in size. Two layers with the same seed and shape drop the same units. */
  seed: number;
}

/**
 * Inverted dropout: in training, y = x ⊙ m, each m independently 0 with probability `rate` and 1 / (1 − rate)
 * otherwise; at inference, with rate 0, and where `trainable` is false, y = x.
 *
 * The mask is a function of (seed, step, number of earlier training calls of this layer in the step, shape). It is the
 * same in any process and on any backend. The step is that of the counter that the optimizer of the learner passes to
 * `followStep`. Without a counter, the layer counts its training calls, from 0 in each process.
 *
 * @returns A layer from any shape to the same shape, which is a `StepFollower`.
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @see Srivastava et al., Dropout, JMLR 15, 2014.
 * @example
 * ```ts
 * import { dropout } from '@ghl/models';
 * import * as tfl from '@tensorflow/tfjs-layers';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = tfl.sequential({ layers: [dropout({ rate: 0.5, seed: 1, inputShape: [4] })] });
 * console.log(model.outputShape);
 * // => [ null, 4 ]
 * ```
 */
export function dropout(options: DropoutOptions): layers.Layer & StepFollower {
  checkLayerOptions('dropout', options, ['rate', 'seed']);
  return new Dropout(options);
}

/** The class behind {@link dropout}. */
export class Dropout extends layers.Layer implements StepFollower {
  static readonly className = 'GhlDropout';

  readonly #rate: number;
  readonly #seed: number;
  #counter: StepCounter | null = null;
  #ownCount = 0;
  #step = -1;
  #callsInStep = 0;

  constructor(options: DropoutOptions) {
    super(options);
    const { rate, seed } = options;
    checkNumber('dropout.rate', rate, { least: 0, below: 1 });
    checkSeed('dropout.seed', seed);
    this.#rate = rate;
    this.#seed = seed;
    this.supportsMasking = true;
  }

  followStep(counter: StepCounter | null): void {
    this.#counter = counter;
    this.#step = -1;
  }

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: { training?: boolean }): tf.Tensor {
    this.invokeCallHook(inputs, kwargs);
    const x = onlyTensor(inputs);
    if (!trains(this, kwargs) || this.#rate === 0) return x;
    const drops = this.#next();
    if (!hasKernel(DROPOUT) || x.dtype !== 'float32') {
      return tf.tidy(() => tf.mul(x, tf.tensor(dropMask(x.size, drops), x.shape, 'float32')));
    }
    const masked = (t: tf.Tensor) => tf.engine().runKernel(DROPOUT, { x: t }, { ...drops } as never) as tf.Tensor;
    // The gradient draws the mask again: quicker than to keep it.
    return tf.customGrad((t) => ({ value: masked(t as tf.Tensor), gradFunc: masked }))(x);
  }

  override getConfig(): tf.serialization.ConfigDict {
    return { ...super.getConfig(), rate: this.#rate, seed: this.#seed };
  }

  #next(): DropoutAttributes {
    const step = this.#counter?.current ?? this.#ownCount++;
    if (step !== this.#step) this.#callsInStep = 0;
    this.#step = step;
    return dropping(this.#rate, this.#seed, step, this.#callsInStep++);
  }
}

/**
 * Throws unless the seed is a whole number.
 *
 * @throws ConfigurationError `BAD_VALUE`.
 */
export function checkSeed(name: string, seed: unknown): void {
  if (Number.isSafeInteger(seed)) return;
  throw new ConfigurationError('BAD_VALUE', `${name} is ${String(seed)}.`, 'give a whole number.');
}
