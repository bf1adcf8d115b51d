/** An optimizer's model: which updater moves each weight, and the state of each updater. */
import { ConfigurationError, UnsupportedError } from '@ghl/core';
import { initState, leaves, mapLeaves, type PlasticityState } from '@ghl/core/engine';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { type Assignment, isPlasticity, type Plan, type PlannedWeight, resolve } from './assignment.js';
import { FiniteFlags, type FlagSource } from './finite.js';
import { registerDilatedGradients } from './tfjs/dilation.js';
import { variableOf } from './tfjs/internals.js';
import { layersOf, weightPath } from './tfjs/model-layers.js';
import { statefulParts } from './tfjs/recurrent-states.js';

/** A weight that a plasticity moves, with the state of the plasticity. */
export interface ManagedWeight {
  readonly planned: PlannedWeight;
  state: PlasticityState;
}

/** The plan of an optimizer on its model, with all state. */
export interface Binding {
  readonly model: tfl.LayersModel;
  readonly plan: Plan;
  readonly managed: readonly ManagedWeight[];
  /** The weights of each tfjs optimizer, in the order of the gradients that it receives. */
  readonly optimizers: ReadonlyMap<tf.Optimizer, readonly PlannedWeight[]>;
  /** The step counts of the tfjs optimizers as variables, for saving. */
  readonly iterations: ReadonlyMap<tf.Optimizer, tf.Variable>;
  readonly flags: FiniteFlags;
}

/** Resolves an assignment on a model, and creates the state. Throws as {@link resolve} does. */
export function bindTo(model: tfl.LayersModel, assignment: Assignment): Binding {
  const plan = resolve(model, assignment);
  registerDilatedGradients();
  const optimizers = new Map<tf.Optimizer, PlannedWeight[]>();
  const managed: ManagedWeight[] = [];
  tf.tidy(() => {
    for (const planned of plan.weights) {
      const { updater, weight, units } = planned;
      if (isPlasticity(updater)) {
        managed.push({ planned, state: initState(updater, variableOf(weight).shape, units) });
      } else if (updater !== null) {
        optimizers.set(updater, [...(optimizers.get(updater) ?? []), planned]);
      }
    }
    for (const each of managed) each.state = mapLeaves(each.state, tf.keep);
  });
  const iterations = new Map(
    [...optimizers.keys()].map((optimizer) => [optimizer, tf.tidy(() => tf.variable(tf.scalar(0, 'int32'), false))]),
  );
  const flags = new FiniteFlags(flagSources(plan, optimizers));
  return { model, plan, managed, optimizers, iterations, flags };
}

/** All weights of the model, the planned ones first, then the state of tfjs optimizers and stateful layers. */
function flagSources({ layers, weights }: Plan, optimizers: Binding['optimizers']): Map<object, FlagSource> {
  const sources = new Map<object, FlagSource>();
  for (const { weight, path, updater } of weights) sources.set(variableOf(weight), { path, updater });
  for (const owner of layers) {
    for (const weight of owner.layer.weights) {
      const variable = variableOf(weight);
      if (!sources.has(variable)) sources.set(variable, { path: weightPath(owner, weight), updater: null });
    }
    for (const part of statefulParts(owner.layer)) {
      sources.set(part, { path: owner.path, updater: null, of: 'the layer' });
    }
  }
  for (const [optimizer, planned] of optimizers) {
    sources.set(optimizer, { path: planned[0]?.selector as string, updater: optimizer, of: 'the optimizer of' });
  }
  return sources;
}

/** Disposes of everything that {@link bindTo} created. */
export function release({ managed, iterations, flags }: Binding): void {
  for (const { state } of managed) for (const [, leaf] of leaves(state)) leaf.dispose();
  tf.dispose([...iterations.values()]);
  flags.dispose();
}

/**
 * Rejects a model whose layers or weights differ from those of the plan. Its cost is linear in the number of layers.
 *
 * @throws ConfigurationError `MODEL_CHANGED`, UnsupportedError `MODEL_DISPOSED`.
 */
export function checkUnchanged({ model, plan }: Binding): void {
  const planned = new Set(plan.layers.map(({ layer }) => layer));
  const present = new Set(layersOf(model).map(({ layer }) => layer));
  const changed =
    [...present].find((layer) => !planned.has(layer)) ?? [...planned].find((layer) => !present.has(layer));
  if (changed !== undefined) {
    throw new ConfigurationError(
      'MODEL_CHANGED',
      `Layer '${changed.name}' was added or removed after plasticOptimizer().`,
      'create a new optimizer with plasticOptimizer(model, assignment).',
    );
  }
  for (const { path, weight } of plan.weights) {
    try {
      weight.read();
    } catch (cause) {
      throw new UnsupportedError(
        'MODEL_DISPOSED',
        `The weight ${path} was disposed of.`,
        'dispose of a model after its last step.',
        cause,
      );
    }
  }
}
