/** Registers the optimizer with TensorFlow.js, so that a saved model can be loaded with it. */
import type { Factory, GhlError } from '@ghl/core';
import * as tf from '@tensorflow/tfjs-core';
import { PlasticOptimizer } from './optimizer.js';
import { onLoadOfOptimizer } from './tfjs/load-training-config.js';
import { codeFileErrors } from './tfjs/node-files.js';

/**
 * Makes `tf.loadLayersModel` rebuild an optimizer that was saved with `includeOptimizer: true`. Call it before loading;
 * the last call counts.
 *
 * A model whose optimizer cannot be rebuilt still loads and predicts. Training it throws the reason: ConfigurationError
 * `UNKNOWN_FACTORY` if a factory is missing. TensorFlow.js does not save a loss or metric that is a function. Training
 * such a model throws StateError `LOSS_NOT_SAVED` or `METRIC_NOT_SAVED` until it is compiled again.
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
        return PlasticOptimizer.fromSaved(config, factories) as tf.serialization.Serializable as T;
      }
    },
  );
  codeFileErrors();
  onLoadOfOptimizer(
    (optimizer) => optimizer instanceof PlasticOptimizer,
    (optimizer, model) => {
      try {
        optimizer.bind(model);
      } catch (error) {
        // Tests the code, since another copy of this package has another class of errors.
        if (typeof (error as Partial<GhlError>).code !== 'string') throw error;
        optimizer.fail(error as GhlError);
      }
    },
  );
}
