/** What tfjs does not save, said with a code: losses and metrics that are functions, and anything to a file in Node. */
import { StateError, UnsupportedError } from '@ghl/core';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { trainerOf } from './model-layers.js';

const AGAIN = 'compile the model again with them: model.compile({ optimizer: model.optimizer, loss, metrics }).';

/** Has a loaded model throw where it needs a loss or a metric that was not saved, until it is compiled again. */
export function refuseUnsaved(model: tfl.LayersModel, unsavedMetric: string | null): void {
  const trainer = trainerOf(model);
  trainer.lossFunctions = trainer.lossFunctions?.map((lossOf, i) => {
    if (lossOf !== undefined && unsavedMetric === null) return lossOf;
    return () => {
      throw lossOf === undefined
        ? new StateError(
            'LOSS_NOT_SAVED',
            `The loss of output '${trainer.outputNames[i]}' was not saved with the model.`,
            `TensorFlow.js saves a loss by its name only, not a function; ${AGAIN}`,
          )
        : new StateError(
            'METRIC_NOT_SAVED',
            `The metric '${unsavedMetric}' was not saved with the model.`,
            `TensorFlow.js saves a metric by its name only, not a function; ${AGAIN}`,
          );
    };
  });
}

/** The parts of a model that saving uses. */
interface Saving {
  readonly optimizer: tf.Optimizer | undefined;
  getLossIdentifiers(): unknown;
}

const coded = new WeakSet<tf.Optimizer>();
let patched = false;

/**
 * From now on, what tfjs says where it cannot save the losses of a model that this optimizer trains is a StateError.
 */
export function codeUnsavedLosses(optimizer: tf.Optimizer): void {
  coded.add(optimizer);
  if (patched) return;
  patched = true;
  const prototype = tfl.LayersModel.prototype as unknown as Saving;
  const identify = prototype.getLossIdentifiers;
  prototype.getLossIdentifiers = function () {
    try {
      return identify.call(this);
    } catch (cause) {
      if (this.optimizer === undefined || !coded.has(this.optimizer)) throw cause;
      throw new StateError(
        'LOSS_NOT_SAVED',
        'A loss in a list or record is a function, which cannot be saved.',
        'compile the model with losses by name, or save it without its optimizer.',
        cause,
      );
    }
  };
}

const routed = Symbol.for('@ghl/learner codes files in Node');

/**
 * From now on, saving to or loading from a place that TensorFlow.js cannot reach in Node, such as a file without
 * tfjs-node, throws UnsupportedError `NO_IO_HANDLER` where it would say that a fetch has failed.
 */
export function codeFiles(): void {
  const scope = globalThis as { process?: { versions?: { node?: string } }; [routed]?: true };
  if (scope.process?.versions?.node === undefined || scope[routed]) return;
  scope[routed] = true;
  let asking = false;
  /** Whether no other router, such as that of tfjs-node, has a handler. */
  const alone = (handlersOf: () => readonly unknown[]) => {
    if (asking) return false;
    asking = true;
    try {
      return handlersOf().length === 0;
    } finally {
      asking = false;
    }
  };
  tf.io.registerSaveRouter((url) => {
    if (!alone(() => tf.io.getSaveHandlers(url))) return NONE;
    return {
      save: async () => {
        throw unreachable(`save to '${url}'`, 'model.save(tf.io.withSaveHandler(write))');
      },
    };
  });
  tf.io.registerLoadRouter((url, options) => {
    if (!alone(() => tf.io.getLoadHandlers(url))) return NONE;
    return {
      load: async () => {
        try {
          return (await tf.io.browserHTTPRequest(url as string, options).load?.()) as tf.io.ModelArtifacts;
        } catch (cause) {
          throw unreachable(`load from '${url}'`, 'tf.loadLayersModel(tf.io.fromMemory(artifacts))', cause);
        }
      },
    };
  });
}

/** What a router returns that has no handler; tfjs compares with it, and its types leave it out. */
const NONE = null as unknown as tf.io.IOHandler;

function unreachable(what: string, instead: string, cause?: unknown): UnsupportedError {
  return new UnsupportedError(
    'NO_IO_HANDLER',
    `TensorFlow.js cannot ${what} in Node.`,
    `without tfjs-node it reaches http only; use ${instead}, as the README of @ghl/learner does under "Saving".`,
    cause,
  );
}
