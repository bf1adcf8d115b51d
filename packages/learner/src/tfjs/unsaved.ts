/** Errors with codes for the losses and metrics that tfjs does not save because they are functions. */
import { StateError } from '@ghl/core';
import type * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { trainerOf } from './internals.js';

const AGAIN = 'Compile the model again with them: model.compile({ optimizer: model.optimizer, loss, metrics }).';

/** Makes a loaded model throw when it needs a loss or metric that was not saved, until it is compiled again. */
export function refuseUnsaved(model: tfl.LayersModel, unsavedMetric: string | null): void {
  const trainer = trainerOf(model);
  trainer.lossFunctions = trainer.lossFunctions?.map((lossOf, i) => {
    if (lossOf !== undefined && unsavedMetric === null) return lossOf;
    return () => {
      throw lossOf === undefined
        ? new StateError(
            'LOSS_NOT_SAVED',
            `The loss of output '${trainer.outputNames[i]}' was not saved with the model.`,
            `TensorFlow.js saves the name of a loss, and no function. ${AGAIN}`,
          )
        : new StateError(
            'METRIC_NOT_SAVED',
            `The metric '${unsavedMetric}' was not saved with the model.`,
            `TensorFlow.js saves the name of a metric, and no function. ${AGAIN}`,
          );
    };
  });
}

/** The private members of a model that saving uses. */
interface ModelInternals {
  readonly optimizer: tf.Optimizer | undefined;
  getLossIdentifiers(): unknown;
}

const optimizers = new WeakSet<tf.Optimizer>();
let patched = false;

/** Makes tfjs throw a StateError when it cannot save the losses of a model that this optimizer trains. */
export function codeUnsavedLosses(optimizer: tf.Optimizer): void {
  optimizers.add(optimizer);
  if (patched) return;
  patched = true;
  const prototype = tfl.LayersModel.prototype as unknown as ModelInternals;
  const identify = prototype.getLossIdentifiers;
  prototype.getLossIdentifiers = function () {
    try {
      return identify.call(this);
    } catch (cause) {
      if (this.optimizer === undefined || !optimizers.has(this.optimizer)) throw cause;
      throw new StateError(
        'LOSS_NOT_SAVED',
        'A loss in a list or record is a function, which cannot be saved.',
        'compile the model with losses by name, or save it without its optimizer.',
        cause,
      );
    }
  };
}
