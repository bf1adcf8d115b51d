/** Registers the optimizer with TensorFlow.js, so that a saved model can be loaded with it. */
import type { Factory, GhlError } from '@ghl/core';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { PlasticOptimizer } from './optimizer.js';
import { codeFiles, refuseUnsaved } from './unsaved.js';

const patched = Symbol.for('@ghl/learner loads optimizers');

/**
 * Makes `tf.loadLayersModel` rebuild an optimizer that was saved with `includeOptimizer: true`. Call it before loading;
 * the last call counts.
 *
 * A model whose optimizer cannot be rebuilt still loads and predicts. Training it throws the reason: ConfigurationError
 * `UNKNOWN_FACTORY` if a factory is missing. A loss or metric that was a function is not saved by TensorFlow.js; training
 * throws StateError `LOSS_NOT_SAVED` or `METRIC_NOT_SAVED` until the model is compiled again.
 *
 * @param factories The factories of the rules, modulators and transforms that saved models use, by their names:
 * `{ swta, sign }`. Those of `@ghl/core` are known. `@ghl/recipes` exports all factories of the project.
 */
export function register(factories: Readonly<Record<string, Factory>>): void {
  tf.serialization.registerClass(
    class extends PlasticOptimizer {
      static override fromConfig<T extends tf.serialization.Serializable>(
        _: tf.serialization.SerializableConstructor<T>,
        config: tf.serialization.ConfigDict,
      ): T {
        return PlasticOptimizer.fromSaved(config, factories) as unknown as T;
      }
    },
  );
  codeFiles();
  const prototype = tfl.LayersModel.prototype as tfl.LayersModel & { [patched]?: true };
  if (prototype[patched]) return;
  prototype[patched] = true;
  const load = prototype.loadTrainingConfig;
  // tfjs hands the optimizer everything but the model; this is the one place where both are at hand.
  prototype.loadTrainingConfig = function (config) {
    let unsavedMetric: string | null = null;
    try {
      load.call(this, config);
    } catch (error) {
      unsavedMetric = /^Unknown metric (.*)/.exec((error as Error).message)?.[1] ?? null;
      if (unsavedMetric === null || !(this.optimizer instanceof PlasticOptimizer)) throw error;
      this.optimizer.dispose();
      load.call(this, { ...config, metrics: [] });
    }
    const { optimizer } = this;
    if (!(optimizer instanceof PlasticOptimizer)) return;
    refuseUnsaved(this, unsavedMetric);
    try {
      optimizer.bind(this);
    } catch (error) {
      // By its code, since another copy of this package has another class for it.
      if (typeof (error as Partial<GhlError>).code !== 'string') throw error;
      optimizer.fail(error as GhlError);
    }
  };
}
