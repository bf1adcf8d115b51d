/** Layers that a step must run in another way than tfjs does, although no rule looks at them. */
import type * as tf from '@tensorflow/tfjs-core';
import type { Plan } from './assignment.js';
import {
  connectionOf,
  isConvolution,
  isDilated,
  isTrainable,
  type Layer,
  type ModelLayer,
  variableOf,
} from './model-layers.js';
import { atInference, type LayerCall, type Listener, listening } from './stand-in.js';

/**
 * Stand-ins for frozen layers; for dilated convolutions, of which tfjs has no gradient; and for all others, of which tfjs
 * computes both gradients at once, the first layer's useless one of its input among them.
 */
export function quietLayers(plan: Plan, varList: readonly tf.Variable[] | undefined): Map<Layer, LayerCall> {
  const listed = varList && new Set(varList);
  const omits = plan.weights.some(
    ({ owner, weight }) => isTrainable(owner) && listed !== undefined && !listed.has(variableOf(weight)),
  );
  const isFrozen = (owner: ModelLayer) => {
    if (plan.frozen.has(owner) || !isTrainable(owner)) return true;
    const { weights } = owner.layer;
    return omits && weights.length > 0 && !weights.some((weight) => listed?.has(variableOf(weight)));
  };
  const standIns = new Map<Layer, LayerCall>();
  for (const owner of plan.layers) {
    const { layer } = owner;
    const frozen = isFrozen(owner);
    if (isDilated(owner) || (isConvolution(owner) && !frozen))
      standIns.set(layer, listening(layer, connectionOf(owner), plainGradient(owner)));
    else if (frozen) standIns.set(layer, atInference(layer));
  }
  return standIns;
}

function plainGradient(owner: ModelLayer): Listener {
  const connection = connectionOf(owner);
  return { onKernelGradient: (cotangent, pre) => connection.correlate(pre, [cotangent])[0] as tf.Tensor };
}
