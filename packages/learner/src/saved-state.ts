/**
 * The state of an optimizer as named tensors, for checkpoints. It consists of the step, the step scale, the variables
 * of schedules, and the state of each updater: of a plasticity under the path of its weight, and of a tfjs optimizer
 * under its selector.
 */
import { StateError, UnsupportedError } from '@ghl/core';
import { leaves, mapLeaves, type PlasticityState, variablesIn } from '@ghl/core/engine';
import * as tf from '@tensorflow/tfjs-core';
import { isPlasticity } from './assignment.js';
import { type Binding, checkUnchanged } from './binding.js';
import { outOfJournals } from './tfjs/journal.js';
import { hasOwnWeights, memoryOf, setIterations } from './tfjs/tfjs-optimizer.js';

/** A tensor with its name, the type of the weights of a `tf.Optimizer`. */
export type NamedTensor = Awaited<ReturnType<tf.Optimizer['getWeights']>>[number];

/** The step and the step scale on the device, for saving. */
export class Progress {
  /** The number of updates so far. */
  readonly step = outOfJournals(tf.tidy(() => tf.variable(tf.scalar(0, 'int32'), false)));
  /** The bits of the step scale, a 64-bit number, which a float32 tensor would round. */
  readonly stepScale = outOfJournals(tf.tidy(() => tf.variable(bitsOf(1), false)));
  /** The bits of the variables of schedules, in the order of the assignment; null until they are saved. */
  variables: tf.Variable | null = null;

  /** Stores the number of updates so far. */
  noteStep(step: number): void {
    tf.tidy(() => this.step.assign(tf.scalar(step, 'int32')));
  }

  /** Stores the step scale. */
  noteScale(scale: number): void {
    tf.tidy(() => this.stepScale.assign(bitsOf(scale)));
  }

  /** Stores the values of the variables of schedules. */
  noteVariables(values: readonly number[]): tf.Variable {
    this.variables ??= outOfJournals(tf.tidy(() => tf.variable(bitsOf(...values), false)));
    tf.tidy(() => this.variables?.assign(bitsOf(...values)));
    return this.variables;
  }

  dispose(): void {
    tf.dispose([this.step, this.stepScale, ...(this.variables === null ? [] : [this.variables])]);
  }
}

const bitsOf = (...numbers: number[]) => tf.tensor1d(new Int32Array(Float64Array.from(numbers).buffer), 'int32');
const numbersOf = (bits: ArrayLike<number>) => [...new Float64Array(Int32Array.from(bits).buffer)];

/** The variables of the schedules of an assignment. */
const variablesOf = ({ plan }: Binding) =>
  variablesIn(
    Object.values(plan.assignment).flatMap((updater) => (isPlasticity(updater) ? [updater.spec] : [])) as never,
  );

/**
 * Returns the live tensors.
 *
 * @throws UnsupportedError `OPTIMIZER_NOT_SAVED`.
 */
export async function readState(binding: Binding, progress: Progress): Promise<NamedTensor[]> {
  const named: NamedTensor[] = [
    { name: 'step', tensor: progress.step },
    { name: 'stepScale', tensor: progress.stepScale },
  ];
  const values = variablesOf(binding).map(({ value }) => value);
  if (values.length > 0) named.push({ name: 'variables', tensor: progress.noteVariables(values) });
  for (const { planned, state } of binding.managed) {
    named.push(...leaves(state).map(([path, tensor]) => ({ name: `${planned.path}/${path}`, tensor })));
  }
  for (const { optimizer, prefix, iterations, memory } of tfjsOptimizers(binding)) {
    if (memory === null) {
      refuseUnsaved(optimizer);
      const weights = await optimizer.getWeights();
      named.push(...weights.map(({ name, tensor }) => ({ name: prefix + name, tensor })));
      continue;
    }
    tf.tidy(() => iterations.assign(tf.scalar(optimizer.iterations, 'int32')));
    named.push({ name: `${prefix}iter`, tensor: iterations });
    named.push(...memory.map(([name, tensor]) => ({ name: prefix + name, tensor })));
  }
  return named;
}

/**
 * Restores the result of {@link readState}. The tensors remain the caller's.
 *
 * @returns The step and the step scale, which is 1 in old states that lack it.
 * @throws StateError `STATE_MISMATCH`. Nothing changes then.
 */
export async function writeState(
  binding: Binding,
  progress: Progress,
  weights: readonly NamedTensor[],
): Promise<{ readonly step: number; readonly stepScale: number }> {
  if (!Array.isArray(weights)) throw mismatch(`should be a list of named tensors, but is ${weights}`);
  const { managed } = binding;
  const own = new Map(weights.map(({ name, tensor }) => [name, tensor]));
  const taken = new Set<string>();
  const take = (name: string, like: tf.Tensor) => {
    const tensor = own.get(name);
    if (tensor === undefined || describe(tensor) !== describe(like)) {
      throw mismatch(`'${name}' should be ${describe(like)}, but is ${tensor ? describe(tensor) : 'missing'}`);
    }
    taken.add(name);
    return tensor;
  };
  const ofOptimizers = tfjsOptimizers(binding).map(({ optimizer, prefix, iterations, memory }) => {
    if (memory !== null) {
      const count = take(`${prefix}iter`, iterations);
      const remembered = memory.map(([name, variable]) => ({ variable, tensor: take(prefix + name, variable) }));
      return { optimizer, iterations: count, remembered };
    }
    const theirs = weights.filter(({ name }) => name.startsWith(prefix));
    for (const { name } of theirs) taken.add(name);
    return { optimizer, theirs: theirs.map(({ name, tensor }) => ({ name: name.slice(prefix.length), tensor })) };
  });
  const stepTensor = take('step', progress.step);
  const scaleTensor = own.has('stepScale') ? take('stepScale', progress.stepScale) : null;
  const variables = variablesOf(binding);
  const variableTensor =
    variables.length === 0 ? null : take('variables', progress.noteVariables(variables.map(({ value }) => value)));
  const states = managed.map(({ planned, state }) =>
    mapLeaves(state, (leaf, path) => take(`${planned.path}/${path}`, leaf)),
  );
  const extra = weights.find(({ name }) => !taken.has(name));
  if (extra !== undefined) throw mismatch(`'${extra.name}' is not a name in the state of this optimizer`);
  const step = (await stepTensor.data())[0] as number;
  const stepScale = scaleTensor === null ? 1 : (numbersOf(await scaleTensor.data())[0] as number);
  if (!(stepScale >= 0 && stepScale < Infinity))
    throw mismatch(`'stepScale' should be at least 0, but is ${stepScale}`);
  const values = variableTensor === null ? [] : numbersOf(await variableTensor.data());
  const counts = await Promise.all(ofOptimizers.map(async ({ iterations }) => (await iterations?.data())?.[0] ?? 0));

  managed.forEach((each, i) => {
    const old = leaves(each.state);
    each.state = mapLeaves(states[i] as PlasticityState, (leaf) => tf.keep(tf.clone(leaf)));
    for (const [, leaf] of old) leaf.dispose();
  });
  progress.noteStep(step);
  progress.noteScale(stepScale);
  for (const [i, variable] of variables.entries()) variable.set(values[i] as number);
  for (const [i, { optimizer, remembered = [], theirs }] of ofOptimizers.entries()) {
    if (theirs !== undefined) await optimizer.setWeights(theirs);
    else setIterations(optimizer, counts[i] as number);
    // Clones, since a tensor may be the variable itself.
    for (const { variable, tensor } of remembered) tf.tidy(() => variable.assign(tf.clone(tensor)));
  }
  return { step, stepScale };
}

/** Each tfjs optimizer with its state, and the prefix of its names: its first selector. */
function tfjsOptimizers(binding: Binding) {
  if (binding.optimizers.size > 0) checkUnchanged(binding);
  return [...binding.optimizers].map(([optimizer, planned]) => ({
    optimizer,
    prefix: `${planned[0]?.selector}//`,
    iterations: binding.iterations.get(optimizer) as tf.Variable,
    memory: memoryOf(optimizer, planned),
  }));
}

function refuseUnsaved(optimizer: tf.Optimizer): void {
  if (hasOwnWeights(optimizer)) return;
  throw new UnsupportedError(
    'OPTIMIZER_NOT_SAVED',
    `${optimizer.getClassName()} has no getWeights(), so it cannot be saved.`,
    'give it getWeights() and setWeights(), or save the model without its optimizer.',
  );
}

const describe = ({ dtype, shape }: tf.Tensor) => `${dtype} [${shape}]`;

function mismatch(what: string): StateError {
  return new StateError(
    'STATE_MISMATCH',
    `Optimizer state ${what}.`,
    'load the state of an optimizer with the same assignment, on a model of the same shape.',
  );
}
