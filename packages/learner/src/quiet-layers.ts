/** Layers that a step must run in another way than tfjs does, although no rule looks at them. */
import type * as tf from '@tensorflow/tfjs-core';
import { type Plan, trainableOf } from './assignment.js';
import {
  connectionOf,
  dilatedIn,
  isConvolution,
  isTrainable,
  type Layer,
  type LayerCall,
  type ModelLayer,
  variableOf,
} from './model-layers.js';
import { atInference, type Listener, listening } from './stand-in.js';

/** Tells which layers are as at inference in a step with this list. */
export function frozenIn(plan: Plan, varList: readonly tf.Variable[] | undefined): (owner: ModelLayer) => boolean {
  const listed = varList && new Set(varList);
  const omits = listed !== undefined && trainableOf(plan).some(({ weight }) => !listed.has(variableOf(weight)));
  return (owner) => {
    if (plan.frozen.has(owner) || !isTrainable(owner)) return true;
    const { weights } = owner.layer;
    return omits && weights.length > 0 && !weights.some((weight) => listed?.has(variableOf(weight)));
  };
}

/**
 * Stand-ins for frozen layers; for dilated convolutions, of which tfjs has no gradient; and for all others, of which
 * tfjs computes both gradients at once, the first layer's useless one of its input among them.
 */
export function quietLayers(plan: Plan, varList: readonly tf.Variable[] | undefined): Map<Layer, LayerCall> {
  const isFrozen = frozenIn(plan, varList);
  const standIns = new Map<Layer, LayerCall>();
  for (const owner of plan.layers) {
    const { layer } = owner;
    const frozen = isFrozen(owner);
    if (frozen) standIns.set(layer, atInference(layer));
    const listeners = isConvolution(owner) && !frozen ? [owner] : dilatedIn(owner);
    for (const each of listeners)
      standIns.set(each.layer, listening(each.layer, connectionOf(each), plainGradient(each)));
  }
  return standIns;
}

function plainGradient(owner: ModelLayer): Listener {
  const connection = connectionOf(owner);
  return { onKernelGradient: (cotangent, pre) => connection.correlate(pre, [cotangent])[0] as tf.Tensor };
}
