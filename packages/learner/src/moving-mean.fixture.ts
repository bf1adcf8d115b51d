/** A step-dependent layer with statistics and no trainable weight, as a batch norm without scale and shift. */
import type { StepCounter, StepFollower } from '@ghl/core/engine';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

/** Returns its input, and accumulates its mean square in training. */
export class MovingMean extends tfl.layers.Layer implements StepFollower {
  static className = 'MovingMean';
  /** The steps that it received. */
  readonly steps: (number | null)[] = [];
  #mean!: tfl.LayerVariable;

  override build(): void {
    this.#mean = this.addWeight('mean', [], 'float32', tfl.initializers.zeros(), undefined, false);
    this.built = true;
  }

  override call(inputs: tf.Tensor | tf.Tensor[], kwargs: { training?: boolean }): tf.Tensor {
    return tf.tidy(() => {
      const x = Array.isArray(inputs) ? (inputs[0] as tf.Tensor) : inputs;
      if (kwargs.training) this.#mean.write(tf.add(this.#mean.read(), tf.mean(tf.square(x))));
      return tf.clone(x);
    });
  }

  followStep(counter: StepCounter | null): void {
    this.steps.push(counter?.current ?? null);
  }
}
