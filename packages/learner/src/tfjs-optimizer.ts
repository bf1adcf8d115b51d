/** TensorFlow.js's own optimizers as movers: their step at a scale, and what they remember. */
import * as tf from '@tensorflow/tfjs-core';
import type { PlannedWeight } from './assignment.js';
import { variableOf } from './model-layers.js';

/** The parts of a tfjs optimizer that its public types leave out. */
interface Parts {
  iterations_: number;
  readonly learningRate: number;
  readonly momentum: number;
  /** Of RMSProp: whether it keeps means of gradients. */
  readonly centered?: boolean;
  /** Of Momentum: the momentum, on the device. */
  m?: tf.Tensor;
  /** Of SGD and Momentum: puts the learning rate on the device. */
  setLearningRate?(learningRate: number): void;
}

/** Gradients by the name of their variable; null for a variable that stays. */
export type NamedGradient = { readonly name: string; readonly tensor: tf.Tensor | null };

/** The settings that SGD and Momentum have on the device. */
const onDevice = new WeakMap<tf.Optimizer, { readonly learningRate: number; readonly momentum: number }>();

/**
 * Lets the device follow `learningRate` and `momentum`: tfjs itself ignores an assignment, and its own `setMomentum()`.
 */
function followSettings(optimizer: tf.Optimizer): void {
  const parts = optimizer as unknown as Parts;
  if (parts.setLearningRate === undefined) return;
  const { learningRate, momentum } = parts;
  const before = onDevice.get(optimizer);
  if (before?.learningRate === learningRate && before.momentum === momentum) return;
  parts.setLearningRate(learningRate);
  if (parts.m !== undefined) {
    parts.m.dispose();
    parts.m = tf.keep(tf.scalar(momentum));
  }
  onDevice.set(optimizer, { learningRate, momentum });
}

/** One step of an optimizer, W ← W + scale · (W′ − W) where its own step is W ← W′; to be called in a tidy. */
export function descend(optimizer: tf.Optimizer, gradients: readonly NamedGradient[], scale: number): void {
  followSettings(optimizer);
  const moving = scale === 1 ? [] : gradients.filter(({ tensor }) => tensor !== null);
  const before = moving.map(({ name }) => {
    const variable = tf.engine().registeredVariables[name] as tf.Variable;
    return { variable, value: tf.clone(variable) };
  });
  optimizer.applyGradients(gradients as never);
  for (const { variable, value } of before) {
    variable.assign(tf.add(value, tf.mul(tf.sub(variable, value), scale)));
  }
}

const stock = new Set<object>(
  [
    tf.AdadeltaOptimizer,
    tf.AdagradOptimizer,
    tf.AdamOptimizer,
    tf.AdamaxOptimizer,
    tf.MomentumOptimizer,
    tf.RMSPropOptimizer,
    tf.SGDOptimizer,
  ].map(({ prototype }) => prototype),
);

/** The prototype of tfjs's own that an optimizer has; null for one that saves itself. */
function stockOf(optimizer: tf.Optimizer): tf.Optimizer | null {
  let prototype: object | null = optimizer;
  while (prototype !== null && !stock.has(prototype)) prototype = Object.getPrototypeOf(prototype);
  const found = prototype as tf.Optimizer | null;
  return found?.getWeights === optimizer.getWeights ? found : null;
}

/**
 * What one of tfjs's optimizers remembers, by name: `'path/m'` of a weight, `'~accBeta1'` of all. tfjs makes the former
 * in the first step; here they are made before it, so that an optimizer that has made none can take those of another.
 * Its own getWeights() leaks a tensor, and Adamax has none; its own setWeights() leaks those before, and rounds Adam's
 * powers of β.
 *
 * @returns Null for an optimizer of another kind, which has a getWeights() of its own.
 */
export function memoryOf(
  optimizer: tf.Optimizer,
  planned: readonly PlannedWeight[],
): (readonly [name: string, variable: tf.Variable])[] | null {
  const prototype = stockOf(optimizer);
  if (prototype === null) return null;
  const ofAll = Object.entries(optimizer).filter(
    (field): field is [string, tf.Variable] => field[1] instanceof tf.Variable,
  );
  const { iterations } = optimizer;
  tf.tidy(() => {
    const before = ofAll.map(([, variable]) => tf.clone(variable));
    const none = planned.map(({ weight }) => ({ name: variableOf(weight).name, tensor: null }));
    prototype.applyGradients.call(optimizer, none as never);
    ofAll.forEach(([, variable], i) => {
      variable.assign(before[i] as tf.Tensor);
    });
  });
  setIterations(optimizer, iterations);
  const lists = Object.entries(optimizer).flatMap(([key, list]) =>
    // RMSProp keeps these, unused, after it stops being centered.
    Array.isArray(list) && (key !== 'accumulatedMeanGrads' || (optimizer as unknown as Parts).centered)
      ? [list as { originalName: string; variable: tf.Variable }[]]
      : [],
  );
  const ofWeights = planned.flatMap(({ path }, i) =>
    lists.flatMap((list) => {
      const slot = list[i];
      return slot === undefined
        ? []
        : [[`${path}${slot.originalName.slice(slot.originalName.lastIndexOf('/'))}`, slot.variable] as const];
    }),
  );
  return [...ofWeights, ...ofAll.map(([key, variable]) => [`~${key}`, variable] as const)];
}

/** Sets the number of steps that an optimizer says it has made. */
export function setIterations(optimizer: tf.Optimizer, iterations: number): void {
  (optimizer as unknown as Parts).iterations_ = iterations;
}

/**
 * Frees an optimizer, and what tfjs forgets of it: Momentum's learning rate, and RMSProp's means if no longer centered.
 */
export function disposeOf(optimizer: tf.Optimizer): void {
  optimizer.dispose();
  const slots = Object.values(optimizer).flat() as ({ readonly variable?: unknown } | null)[];
  tf.dispose(slots.flatMap((slot) => [slot, slot?.variable]).filter((value) => value instanceof tf.Tensor));
}
