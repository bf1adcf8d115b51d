/** Layer-wise phases: one layer learns at a time, as in the protocols of SoftHebb and FastHebb. */
import { unknownName } from '@ghl/core/plugin';
import type * as tfl from '@tensorflow/tfjs-layers';
import type { Assignment } from './assignment.js';
import { layersOf } from './tfjs/model-layers.js';

/**
 * Splits an assignment into one phase per selector, in the order in which the model runs the layers. In each phase one
 * selected layer learns, together with the layers between it and the previous one, such as a batch norm. In the last
 * phase the layers after it learn too. All other layers are frozen. Train each phase with an optimizer from
 * `plasticOptimizer(model, phase)`.
 *
 * @param assignment Its selectors are layer paths, including that of the classifier. `'*'` moves the other weights of a
 * phase.
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
  const ends = Object.keys(assignment).flatMap((selector) => {
    if (selector === '*') return [];
    const end = paths.indexOf(selector);
    if (end < 0) throw unknownName('layer', selector, paths);
    return [{ selector, end }];
  });
  ends.sort((a, b) => a.end - b.end);
  return ends.map(({ selector, end }, k) => {
    const start = (ends[k - 1]?.end ?? -1) + 1;
    const learns = (index: number) => index >= start && (index <= end || k === ends.length - 1);
    const frozen = paths.filter((_, index) => !learns(index)).map((path) => [path, null] as const);
    const rest = Object.entries(assignment).filter(([each]) => each === '*' || each === selector);
    return Object.fromEntries([...frozen, ...rest]);
  });
}
