/** The entry point: creates the optimizer that moves the weights of a model. */
import { UnsupportedError } from '@ghl/core';
import { checkOptions } from '@ghl/core/plugin';
import * as tfl from '@tensorflow/tfjs-layers';
import type { Assignment } from './assignment.js';
import { PlasticOptimizer, type RequiredOptions } from './optimizer.js';
import type { SignalsOf } from './signals.js';

/**
 * Creates an optimizer for `model.compile`, or for a loop of `minimize`.
 *
 * A selector must cover every trainable weight of the model, and every selector must match something. The optimizer
 * creates its state now. `model.save(url, { includeOptimizer: true })` saves the model's weights and that state
 * together.
 *
 * @param model A built `tf.LayersModel`, Sequential or functional, nested or not.
 * @param assignment A plasticity, a tfjs optimizer, or null (frozen), by selector.
 * @param options None exist yet.
 * @returns An optimizer typed by the signals that the assignment reads. `minimize` requires those that the step cannot
 * compute itself.
 * @throws ConfigurationError `NO_WEIGHTS` for a model that is not built; `BAD_ASSIGNMENT` unless the assignment is a
 * record; `BAD_UPDATER` for a value that cannot move a weight, such as a rule; `UNKNOWN_LAYER`, `SELECTOR_UNMATCHED`,
 * `SELECTOR_CLAIMS_NOTHING`, `TWO_PATTERNS`, `UNCLAIMED_WEIGHT`, `RULE_ON_BIAS`, `UNKNOWN_OPTION`. UnsupportedError
 * `NOT_A_MODEL`; `UNSUPPORTED_LAYER` for a layer that a rule cannot move.
 * @example
 * ```ts
 * import { chain, maxAbs, scaleBy, sgd, threeFactor } from '@ghl/core';
 * import { plasticOptimizer } from '@ghl/learner';
 * import { sign } from '@ghl/modulator-sign';
 * import { swta } from '@ghl/rule-swta';
 * import * as tfl from '@tensorflow/tfjs-layers';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = tfl.sequential({
 *   layers: [
 *     tfl.layers.dense({ name: 'hidden', units: 4, useBias: false, inputShape: [3] }),
 *     tfl.layers.dense({ name: 'output', units: 1 }),
 *   ],
 * });
 * const ghl = chain(threeFactor(maxAbs(swta()), sign()), scaleBy(1e-2));
 * const optimizer = plasticOptimizer(model, { hidden: ghl, '*': sgd(1e-2) });
 * model.compile({ optimizer, loss: 'meanSquaredError' });
 * ```
 */
export function plasticOptimizer<const A extends Assignment>(
  model: tfl.LayersModel,
  assignment: A,
  options: Readonly<Record<string, never>> = {},
): PlasticOptimizer<RequiredOptions<SignalsOf<A>>> {
  checkOptions('plasticOptimizer', options, []);
  if (!(model instanceof tfl.LayersModel)) {
    const name = (model as object | null)?.constructor?.name;
    const value = name === undefined ? String(model) : `a ${name}`;
    throw new UnsupportedError(
      'NOT_A_MODEL',
      `plasticOptimizer() was given ${value}.`,
      'give it a tf.LayersModel; a graph model has no layers to learn in.',
    );
  }
  const optimizer = new PlasticOptimizer<RequiredOptions<SignalsOf<A>>>(assignment);
  try {
    optimizer.bind(model);
  } catch (error) {
    optimizer.dispose();
    throw error;
  }
  return optimizer;
}
