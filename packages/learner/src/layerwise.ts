/** Layer-wise phases: one layer learns at a time, as SoftHebb's and FastHebb's protocols have it. */
import { unknownName } from '@ghl/core';
import type * as tfl from '@tensorflow/tfjs-layers';
import type { Assignment } from './assignment.js';
import { layersOf } from './model-layers.js';

/**
 * Splits an assignment into one phase per label, in the order in which the model runs the layers. In phase k the labelled
 * layer moves, and so do the layers between it and the one before (their batch norm learns its statistics); everything
 * below and above is frozen, as at inference. Train with `plasticity(model, phase)` for each.
 *
 * @param assignment Labels that are layer paths, the classifier's included; `'*'` moves what lies between them.
 * @throws ConfigurationError `UNKNOWN_LAYER`.
 */
export function layerwise(model: tfl.LayersModel, assignment: Assignment): Assignment[] {
  const paths = layersOf(model).map(({ path }) => path);
  const { '*': rest = null, ...named } = assignment;
  const ends = Object.keys(named).map((label) => {
    const end = paths.indexOf(label);
    if (end < 0) throw unknownName('layer', label, paths);
    return { label, end };
  });
  ends.sort((a, b) => a.end - b.end);
  return ends.map(({ label, end }, k) => {
    const start = (ends[k - 1]?.end ?? -1) + 1;
    const between = paths.slice(start, k === ends.length - 1 ? undefined : end).filter((path) => path !== label);
    const moved = (path: string) => [path, rest] as const;
    return { ...Object.fromEntries(between.map(moved)), [label]: named[label] ?? null, '*': null };
  });
}
