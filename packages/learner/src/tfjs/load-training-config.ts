/** A hook into the loading of a compiled model. tfjs knows both the model and its optimizer only there. */
import type * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { refuseUnsaved } from './unsaved.js';

const patched = Symbol.for('@ghl/learner loads optimizers');

/**
 * Calls `bind` with each loaded model whose optimizer is one of ours.
 *
 * @param isOurs Whether an optimizer is one of ours.
 */
export function onLoadOfOptimizer<T extends tf.Optimizer>(
  isOurs: (optimizer: tf.Optimizer) => optimizer is T,
  bind: (optimizer: T, model: tfl.LayersModel) => void,
): void {
  const prototype = tfl.LayersModel.prototype as tfl.LayersModel & { [patched]?: true };
  if (prototype[patched]) return;
  prototype[patched] = true;
  const load = prototype.loadTrainingConfig;
  prototype.loadTrainingConfig = function (config) {
    let unsavedMetric: string | null = null;
    try {
      load.call(this, config);
    } catch (error) {
      unsavedMetric = /^Unknown metric (.*)/.exec((error as Error).message)?.[1] ?? null;
      if (unsavedMetric === null || !isOurs(this.optimizer)) throw error;
      this.optimizer.dispose();
      load.call(this, { ...config, metrics: [] });
    }
    const { optimizer } = this;
    if (!isOurs(optimizer)) return;
    refuseUnsaved(this, unsavedMetric);
    bind(optimizer, this);
  };
}
