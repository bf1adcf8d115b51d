/**
 * An optimizer's state as named tensors, for checkpoints: the step, each plasticity's state under its weight's path, and
 * the weights of tfjs optimizers under their label.
 */
import { leaves, mapLeaves, type PlasticityState, StateError } from '@ghl/core';
import * as tf from '@tensorflow/tfjs-core';
import type { Binding } from './binding.js';

/** A tensor with its name, as `tf.Optimizer` has its weights. */
export type NamedTensor = Awaited<ReturnType<tf.Optimizer['getWeights']>>[number];

/** The live tensors. */
export async function readState({ managed, optimizers }: Binding, stepVariable: tf.Variable): Promise<NamedTensor[]> {
  const named: NamedTensor[] = [{ name: 'step', tensor: stepVariable }];
  for (const { planned, state } of managed) {
    named.push(...leaves(state).map(([path, tensor]) => ({ name: `${planned.path}/${path}`, tensor })));
  }
  for (const [optimizer, planned] of optimizers) {
    const weights = await optimizer.getWeights();
    named.push(...weights.map(({ name, tensor }) => ({ name: `${planned[0]?.label}//${name}`, tensor })));
    const unsaved = unsavedVariables(optimizer);
    named.push(...unsaved.map(([key, tensor]) => ({ name: `${planned[0]?.label}//~${key}`, tensor })));
  }
  return named;
}

/**
 * Takes back what {@link readState} gave; the tensors stay the caller's. Returns the step.
 *
 * @throws StateError `STATE_MISMATCH`; nothing is changed then.
 */
export async function writeState(
  { managed, optimizers }: Binding,
  stepVariable: tf.Variable,
  weights: readonly NamedTensor[],
): Promise<number> {
  if (!Array.isArray(weights)) throw mismatch(`should be a list of named tensors, but is ${weights}`);
  const own = new Map(weights.map(({ name, tensor }) => [name, tensor]));
  const taken = new Set<string>();
  const take = (name: string, like: tf.Tensor) => {
    const tensor = own.get(name);
    if (tensor === undefined || !tf.util.arraysEqual(tensor.shape, like.shape)) {
      const found = tensor === undefined ? 'missing' : `[${tensor.shape}]`;
      throw mismatch(`'${name}' should be [${like.shape}], but is ${found}`);
    }
    taken.add(name);
    return tensor;
  };
  const ofOptimizers = [...optimizers].map(([optimizer, planned]) => {
    const prefix = `${planned[0]?.label}//`;
    take(`${prefix}iter`, stepVariable);
    const unsaved = unsavedVariables(optimizer).map(
      ([key, variable]) => [variable, take(`${prefix}~${key}`, variable)] as const,
    );
    const theirs = weights.filter(({ name }) => name.startsWith(prefix) && !name.startsWith(`${prefix}~`));
    for (const { name } of theirs) taken.add(name);
    const named = theirs.map(({ name, tensor }) => ({ name: name.slice(prefix.length), tensor }));
    return { optimizer, named, unsaved };
  });
  const step = take('step', stepVariable);
  const states = managed.map(({ planned, state }) =>
    mapLeaves(state, (leaf, path) => take(`${planned.path}/${path}`, leaf)),
  );
  const extra = weights.find(({ name }) => !taken.has(name));
  if (extra !== undefined) throw mismatch(`'${extra.name}' is none of this optimizer's`);
  const current = (await step.data())[0] as number;
  managed.forEach((each, i) => {
    const old = leaves(each.state);
    each.state = mapLeaves(states[i] as PlasticityState, (leaf) => tf.keep(tf.clone(leaf)));
    for (const [, leaf] of old) leaf.dispose();
  });
  tf.tidy(() => stepVariable.assign(tf.scalar(current, 'int32')));
  for (const { optimizer, named, unsaved } of ofOptimizers) {
    await optimizer.setWeights(named);
    for (const [variable, tensor] of unsaved) tf.tidy(() => variable.assign(tf.clone(tensor))); // may be itself
  }
  return current;
}

/**
 * What a tfjs optimizer remembers besides its weights: Adam's powers of β, which its setWeights() only computes anew, so that
 * the next step would differ in the last bit.
 */
function unsavedVariables(optimizer: tf.Optimizer): [key: string, variable: tf.Variable][] {
  return Object.entries(optimizer).filter((entry): entry is [string, tf.Variable] => entry[1] instanceof tf.Variable);
}

function mismatch(what: string): StateError {
  return new StateError('STATE_MISMATCH', `Optimizer state ${what}.`, {
    help: 'load the state of an optimizer with the same assignment, on a model of the same shape.',
  });
}
