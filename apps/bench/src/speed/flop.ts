/**
 * The floating-point operations of a training step, from which speeds are computed. Only products of weights with
 * activities count, as direct sums for any algorithm: a Winograd convolution does fewer.
 */
import { rulesOf } from '@ghl/core/engine';
import type { Assignment } from '@ghl/learner';
import type { LayersModel } from '@tensorflow/tfjs-layers';

/**
 * Operations for one image, a multiplication and an addition each. With P positions, fan-in D and K units, a layer's
 * forward product costs 2·P·D·K, and so does each of
 *
 *     the gradient of its weights    if their plasticity reads it
 *     the gradient of its input      if the weights of an earlier layer read theirs
 *     Σ x ⊗ gate                     for each local rule with a gate that updates it
 *
 * @param model A chain of layers, in order; dense layers and convolutions count.
 * @param assignment The updater of each layer, by layer name or `'*'`.
 */
export function flopPerImage(model: LayersModel, assignment: Assignment): number {
  let flop = 0;
  let readBefore = false;
  for (const layer of model.layers) {
    const label = Object.hasOwn(assignment, layer.name) ? layer.name : '*';
    const mover = assignment[label] ?? null;
    const reads = mover !== null && 'reads' in mover && mover.reads.includes('gradient');
    const rules = mover !== null && 'rule' in mover ? rulesOf(mover).filter(({ active }) => active !== false) : [];
    const kernel = layer.trainableWeights.map(({ shape }) => shape).find((shape) => shape.length >= 2);
    if (kernel !== undefined) {
      const output = layer.outputShape as (number | null)[];
      const positions = product(output.slice(1, -1));
      const products = 1 + Number(reads) + Number(readBefore) + rules.length;
      flop += products * 2 * positions * product(kernel);
    }
    readBefore ||= reads && layer.trainableWeights.length > 0;
  }
  return flop;
}

const product = (sizes: readonly (number | null)[]) => sizes.reduce((all: number, size) => all * (size ?? 1), 1);
