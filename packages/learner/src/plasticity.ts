/** The way in: an optimizer that moves a model's weights as an assignment says. */
import { UnsupportedError } from '@ghl/core';
import { checkOptions } from '@ghl/core/plugin';
import * as tfl from '@tensorflow/tfjs-layers';
import type { Assignment } from './assignment.js';
import { PlasticOptimizer } from './optimizer.js';

/**
 * Makes the optimizer to compile a model with, or to call in a loop of one's own.
 *
 * Every trainable weight of the model must be claimed by a label; a label must match something. State starts now: the
 * model's weights and the optimizer's are saved together by `model.save(url, { includeOptimizer: true })`.
 *
 * @param model A built `tf.LayersModel`, Sequential or functional, nested or not.
 * @param assignment A plasticity, tfjs optimizer, or null (frozen), by selector.
 * @param options There are none yet; what is set for one step is given to `minimize`.
 * @throws ConfigurationError `NO_WEIGHTS` for a model that is not built; `BAD_ASSIGNMENT` unless the assignment is
 * a record, `BAD_UPDATER` for a rule, a modulator or anything else that moves nothing by itself; `UNKNOWN_LAYER`,
 * `SELECTOR_UNMATCHED` for a pattern, `SELECTOR_CLAIMS_NOTHING`, `TWO_PATTERNS`, `UNCLAIMED_WEIGHT`, `RULE_ON_BIAS`;
 * `UNKNOWN_OPTION`. UnsupportedError `NOT_A_MODEL`; `UNSUPPORTED_LAYER` where a rule is given to a layer that it cannot
 * move.
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
export function plasticOptimizer(
  model: tfl.LayersModel,
  assignment: Assignment,
  options: Readonly<Record<string, never>> = {},
): PlasticOptimizer {
  checkOptions('plasticity', options, []);
  if (!(model instanceof tfl.LayersModel)) {
    const name = (model as object | null)?.constructor?.name;
    const what = name === undefined ? String(model) : `a ${name}`;
    throw new UnsupportedError(
      'NOT_A_MODEL',
      `plasticOptimizer() was given ${what}.`,
      'give it a tf.LayersModel; a graph model has no layers to learn in.',
    );
  }
  const optimizer = new PlasticOptimizer(assignment);
  try {
    optimizer.bind(model);
  } catch (error) {
    optimizer.dispose();
    throw error;
  }
  return optimizer;
}
