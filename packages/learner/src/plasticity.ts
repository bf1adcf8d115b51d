/** The way in: an optimizer that moves a model's weights as an assignment says. */
import { UnsupportedError } from '@ghl/core';
import * as tfl from '@tensorflow/tfjs-layers';
import type { Assignment } from './assignment.js';
import { PlasticityOptimizer } from './optimizer.js';

/**
 * Makes the optimizer to compile a model with, or to call in a loop of one's own.
 *
 * Every trainable weight of the model must be claimed by a label; a label must match something. State starts now: the
 * model's weights and the optimizer's are saved together by `model.save(url, { includeOptimizer: true })`.
 *
 * @param model A built `tf.LayersModel`, Sequential or functional, nested or not.
 * @param assignment A plasticity, tfjs optimizer, or null (frozen), by label.
 * @throws ConfigurationError `NO_WEIGHTS`, `UNKNOWN_LAYER`, `LABEL_UNMATCHED`, `LABEL_CLAIMS_NOTHING`, `TWO_PATTERNS`,
 * `RULE_ON_BIAS`, `UNCLAIMED_WEIGHT`, `BAD_MOVER`; UnsupportedError `UNSUPPORTED_LAYER`, `NOT_A_MODEL`.
 */
export function plasticity(model: tfl.LayersModel, assignment: Assignment): PlasticityOptimizer {
  if (!(model instanceof tfl.LayersModel)) {
    const name = (model as object | null)?.constructor?.name ?? String(model);
    throw new UnsupportedError('NOT_A_MODEL', `plasticity() was given a ${name}.`, {
      help: 'give it a tf.LayersModel; a graph model has no layers to learn in.',
    });
  }
  const optimizer = new PlasticityOptimizer(assignment);
  try {
    optimizer.bind(model);
  } catch (error) {
    optimizer.dispose();
    throw error;
  }
  return optimizer;
}
