/** Teaching tfjs to rebuild a saved optimizer. */
import type { Factory, GhlError } from '@ghl/core';
import { gate } from '@ghl/modulator-gate';
import { scalar } from '@ghl/modulator-scalar';
import { sign } from '@ghl/modulator-sign';
import { bcm } from '@ghl/rule-bcm';
import { hpca } from '@ghl/rule-hpca';
import { oja } from '@ghl/rule-oja';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { PlasticOptimizer } from './optimizer.js';
import { codeFiles, refuseUnsaved } from './unsaved.js';

const ofThisProject = { bcm, gate, hpca, oja, scalar, sign, swta };
const patched = Symbol.for('@ghl/learner loads optimizers');

/**
 * Makes `tf.loadLayersModel` rebuild an optimizer that was saved with `includeOptimizer: true`, from its spec. Call it
 * once before loading; of several calls, the last counts.
 *
 * @param plugins Factories of rules, modulators and transforms from elsewhere, by the name in their spec; those of this
 * project are known. A model whose optimizer cannot be rebuilt still loads and predicts; training it throws the reason.
 * So does one whose loss or metrics were functions, which TensorFlow.js does not save, until it is compiled again:
 * StateError `LOSS_NOT_SAVED`, `METRIC_NOT_SAVED`.
 */
export function register(plugins: Readonly<Record<string, Factory>> = {}): void {
  const factories = { ...ofThisProject, ...plugins };
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
