/** What an optimizer holds once it knows its model: who moves what, and what each mover remembers. */
import { ConfigurationError, UnsupportedError } from '@ghl/core';
import { initState, leaves, mapLeaves, type PlasticityState } from '@ghl/core/engine';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { type Assignment, isPlasticity, type Plan, type PlannedWeight, resolve } from './assignment.js';
import { registerDilatedGradients } from './dilation.js';
import { FiniteFlags, type Watched } from './finite.js';
import { statefulParts } from './journal.js';
import { layersOf, variableOf, weightPath } from './model-layers.js';

/** A weight that a plasticity moves, with what it remembers. */
export interface Managed {
  readonly planned: PlannedWeight;
  state: PlasticityState;
}

/** An optimizer's hold on its model. */
export interface Binding {
  readonly model: tfl.LayersModel;
  readonly plan: Plan;
  readonly managed: readonly Managed[];
  /** The weights of each tfjs optimizer, in the order in which it is handed their gradients. */
  readonly optimizers: ReadonlyMap<tf.Optimizer, readonly PlannedWeight[]>;
  /** The steps that each has made, where they are saved from. */
  readonly iterations: ReadonlyMap<tf.Optimizer, tf.Variable>;
  readonly flags: FiniteFlags;
}

/** Resolves an assignment on a model, and makes the state. Throws as {@link resolve}. */
export function bindTo(model: tfl.LayersModel, assignment: Assignment): Binding {
  const plan = resolve(model, assignment);
  registerDilatedGradients();
  const optimizers = new Map<tf.Optimizer, PlannedWeight[]>();
  const managed: Managed[] = [];
  tf.tidy(() => {
    for (const planned of plan.weights) {
      const { mover, weight, connection } = planned;
      if (isPlasticity(mover)) {
        managed.push({ planned, state: initState(mover, variableOf(weight).shape, connection?.units) });
      } else if (mover !== null) {
        optimizers.set(mover, [...(optimizers.get(mover) ?? []), planned]);
      }
    }
    for (const each of managed) each.state = mapLeaves(each.state, tf.keep);
  });
  const iterations = new Map(
    [...optimizers.keys()].map((optimizer) => [optimizer, tf.tidy(() => tf.variable(tf.scalar(0, 'int32'), false))]),
  );
  const flags = new FiniteFlags(watchedBy(plan, optimizers));
  return { model, plan, managed, optimizers, iterations, flags };
}

/** All weights of the model, those that a plan moves first, and what tfjs optimizers and stateful layers remember. */
function watchedBy({ layers, weights }: Plan, optimizers: Binding['optimizers']) {
  const watched = new Map<object, Watched>();
  for (const { weight, path, mover } of weights) watched.set(variableOf(weight), { path, mover });
  for (const owner of layers) {
    for (const weight of owner.layer.weights) {
      const variable = variableOf(weight);
      if (!watched.has(variable)) watched.set(variable, { path: weightPath(owner, weight), mover: null });
    }
    for (const part of statefulParts(owner.layer)) {
      watched.set(part, { path: owner.path, mover: null, of: 'the layer' });
    }
  }
  for (const [optimizer, planned] of optimizers) {
    watched.set(optimizer, { path: planned[0]?.label as string, mover: optimizer, of: 'the optimizer of' });
  }
  return watched;
}

/** Frees what {@link bindTo} made. */
export function release({ managed, iterations, flags }: Binding): void {
  for (const { state } of managed) for (const [, leaf] of leaves(state)) leaf.dispose();
  tf.dispose([...iterations.values()]);
  flags.dispose();
}

/**
 * Refuses a model that is no longer what it was.
 *
 * @throws ConfigurationError `MODEL_CHANGED`, UnsupportedError `MODEL_DISPOSED`.
 */
export function checkUnchanged({ model, plan }: Binding): void {
  const now = layersOf(model).map(({ layer }) => layer);
  const changed =
    now.find((layer) => plan.layers.every((each) => each.layer !== layer)) ??
    plan.layers.find(({ layer }) => !now.includes(layer))?.layer;
  if (changed !== undefined) {
    throw new ConfigurationError(
      'MODEL_CHANGED',
      `Layer '${changed.name}' was added or removed after plasticOptimizer().`,
      'make a new optimizer with plasticOptimizer(model, assignment).',
    );
  }
  for (const { path, weight } of plan.weights) {
    try {
      weight.read();
    } catch (cause) {
      throw new UnsupportedError(
        'MODEL_DISPOSED',
        `The weight ${path} has been disposed of.`,
        'dispose of a model after its last step.',
        cause,
      );
    }
  }
}
