/** Layer-wise phases: one layer learns at a time, as SoftHebb's and FastHebb's protocols have it. */
import { unknownName } from '@ghl/core/plugin';
import type * as tfl from '@tensorflow/tfjs-layers';
import type { Assignment } from './assignment.js';
import { layersOf } from './model-layers.js';

/**
 * Splits an assignment into one phase per label, in the order in which the model runs the layers. In phase k the
 * labelled layer learns, and so do the layers between it and the one before (batch norm its statistics); in the last
 * phase also those after it. Everything else is frozen, as at inference. Train with `plasticOptimizer(model, phase)`
 * for each.
 *
 * @param assignment Labels that are layer paths, the classifier's included; `'*'` moves other weights of the phase.
 * @throws ConfigurationError `UNKNOWN_LAYER`.
 * @example
 * ```ts
 * import { chain, maxAbs, scaleBy, sgd, threeFactor } from '@ghl/core';
 * import { layerwise } from '@ghl/learner';
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
 * const phases = layerwise(model, { hidden: ghl, output: sgd(1e-2) });
 * console.log(phases.length);
 * // => 2
 * ```
 */
export function layerwise(model: tfl.LayersModel, assignment: Assignment): Assignment[] {
  const paths = layersOf(model).map(({ path }) => path);
  const ends = Object.keys(assignment).flatMap((label) => {
    if (label === '*') return [];
    const end = paths.indexOf(label);
    if (end < 0) throw unknownName('layer', label, paths);
    return [{ label, end }];
  });
  ends.sort((a, b) => a.end - b.end);
  return ends.map(({ label, end }, k) => {
    const start = (ends[k - 1]?.end ?? -1) + 1;
    const learns = (index: number) => index >= start && (index <= end || k === ends.length - 1);
    const frozen = paths.filter((_, index) => !learns(index)).map((path) => [path, null] as const);
    const rest = Object.entries(assignment).filter(([each]) => each === '*' || each === label);
    return Object.fromEntries([...frozen, ...rest]);
  });
}
