/** The layers that a step overrides although no rule reads them. */
import type * as tf from '@tensorflow/tfjs-core';
import { type Plan, trainableOf } from './assignment.js';
import { connectionOf, dilatedIn, isConvolution } from './tfjs/connections.js';
import { variableOf } from './tfjs/internals.js';
import { inferenceCall, type LayerOverrides, type Listener, recordingCall } from './tfjs/layer-overrides.js';
import { isTrainable, type ModelLayer } from './tfjs/model-layers.js';

/** Whether each layer is frozen in a step with this list. */
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
 * Overrides for three kinds of layers: frozen layers run in inference mode; dilated convolutions get a gradient, which
 * tfjs lacks; other convolutions compute only the gradients that are read. tfjs computes both gradients of a
 * convolution at once, including the useless one of the input of the first layer.
 */
export function planOverrides(plan: Plan, varList: readonly tf.Variable[] | undefined): LayerOverrides {
  const isFrozen = frozenIn(plan, varList);
  const overrides: LayerOverrides = new Map();
  for (const owner of plan.layers) {
    const { layer } = owner;
    const frozen = isFrozen(owner);
    if (frozen) overrides.set(layer, inferenceCall(layer));
    const convolutions = isConvolution(owner) && !frozen ? [owner] : dilatedIn(owner);
    for (const each of convolutions)
      overrides.set(each.layer, recordingCall(each.layer, connectionOf(each), plainGradient(each)));
  }
  return overrides;
}

function plainGradient(owner: ModelLayer): Listener {
  const connection = connectionOf(owner);
  return { onKernelGradient: (cotangent, pre) => connection.correlate(pre, [cotangent])[0] as tf.Tensor };
}
