/** TensorFlow.js's own optimizers as updaters: a scaled step, and their state by name. */
import { unknownName } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { variableOf } from './internals.js';
import type { ModelWeight } from './model-layers.js';

/** Private members of a tfjs optimizer. */
interface OptimizerInternals {
  iterations_: number;
  readonly learningRate: number;
  readonly momentum: number;
  /** RMSProp: whether it keeps means of gradients. */
  readonly centered?: boolean;
  /** Momentum: the momentum, on the device. */
  m?: tf.Tensor;
  /** SGD and Momentum: copies the learning rate to the device. */
  setLearningRate?(learningRate: number): void;
}

/** Gradients by the name of their variable; null for a variable that does not move. */
export type NamedGradient = { readonly name: string; readonly tensor: tf.Tensor | null };

/**
 * Creates the optimizer that a saved model names.
 *
 * @throws ConfigurationError `UNKNOWN_OPTIMIZER`.
 */
export function optimizerFrom(className: string, config: tf.serialization.ConfigDict): tf.Optimizer {
  const classes = tf.serialization.SerializationMap.getMap().classNameMap;
  const entry = Object.hasOwn(classes, className) ? classes[className] : undefined;
  if (entry === undefined) throw unknownName('optimizer', className, Object.keys(classes));
  const [type, build] = entry;
  return build(type, config) as unknown as tf.Optimizer;
}

/** The settings that SGD and Momentum have on the device. */
const onDevice = new WeakMap<tf.Optimizer, { readonly learningRate: number; readonly momentum: number }>();

/**
 * Copies `learningRate` and `momentum` to the device after a change. tfjs itself ignores an assignment to either, and
 * its own `setMomentum()`.
 */
function updateSettings(optimizer: tf.Optimizer): void {
  const internals = optimizer as unknown as OptimizerInternals;
  if (internals.setLearningRate === undefined) return;
  const { learningRate, momentum } = internals;
  const before = onDevice.get(optimizer);
  if (before?.learningRate === learningRate && before.momentum === momentum) return;
  internals.setLearningRate(learningRate);
  if (internals.m !== undefined) {
    internals.m.dispose();
    internals.m = tf.keep(tf.scalar(momentum));
  }
  onDevice.set(optimizer, { learningRate, momentum });
}

/** One step of an optimizer, W ← W + scale · (W′ − W), where its own step is W ← W′. Call it in a tidy. */
export function descend(optimizer: tf.Optimizer, gradients: readonly NamedGradient[], scale: number): void {
  updateSettings(optimizer);
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

/** The stock prototype of an optimizer; null for one that saves itself. */
function stockOf(optimizer: tf.Optimizer): tf.Optimizer | null {
  let prototype: object | null = optimizer;
  while (prototype !== null && !stock.has(prototype)) prototype = Object.getPrototypeOf(prototype);
  const stockPrototype = prototype as tf.Optimizer | null;
  return stockPrototype?.getWeights === optimizer.getWeights ? stockPrototype : null;
}

/**
 * The state of a stock optimizer by name: `'path/m'` for a weight, `'~accBeta1'` for all weights. tfjs creates the
 * former in the first step. This function creates them before it, so that a new optimizer can take the state of
 * another.
 *
 * The methods of tfjs have faults: getWeights() leaks a tensor, and Adamax has none. setWeights() leaks the tensors
 * that it replaces, and rounds Adam's powers of β.
 *
 * @returns Null for a custom optimizer, which has its own getWeights().
 */
export function memoryOf(
  optimizer: tf.Optimizer,
  weights: readonly ModelWeight[],
): (readonly [name: string, variable: tf.Variable])[] | null {
  const prototype = stockOf(optimizer);
  if (prototype === null) return null;
  const ofAll = Object.entries(optimizer).filter(
    (field): field is [string, tf.Variable] => field[1] instanceof tf.Variable,
  );
  const { iterations } = optimizer;
  tf.tidy(() => {
    const before = ofAll.map(([, variable]) => tf.clone(variable));
    const none = weights.map(({ weight }) => ({ name: variableOf(weight).name, tensor: null }));
    prototype.applyGradients.call(optimizer, none as never);
    ofAll.forEach(([, variable], i) => {
      variable.assign(before[i] as tf.Tensor);
    });
  });
  setIterations(optimizer, iterations);
  const lists = Object.entries(optimizer).flatMap(([key, list]) =>
    // RMSProp keeps these, unused, after `centered` was set to false.
    Array.isArray(list) && (key !== 'accumulatedMeanGrads' || (optimizer as unknown as OptimizerInternals).centered)
      ? [list as { originalName: string; variable: tf.Variable }[]]
      : [],
  );
  const ofWeights = weights.flatMap(({ path }, i) =>
    lists.flatMap((list) => {
      const slot = list[i];
      return slot === undefined
        ? []
        : [[`${path}${slot.originalName.slice(slot.originalName.lastIndexOf('/'))}`, slot.variable] as const];
    }),
  );
  return [...ofWeights, ...ofAll.map(([key, variable]) => [`~${key}`, variable] as const)];
}

/** Whether a custom optimizer has its own getWeights(). */
export function hasOwnWeights(optimizer: tf.Optimizer): boolean {
  return optimizer.getWeights !== tf.Optimizer.prototype.getWeights;
}

/** Sets the step count of an optimizer. */
export function setIterations(optimizer: tf.Optimizer, iterations: number): void {
  (optimizer as unknown as OptimizerInternals).iterations_ = iterations;
}

/**
 * Disposes of an optimizer, including the tensors that tfjs leaks: Momentum's learning rate, and RMSProp's means after
 * `centered` was set to false.
 */
export function disposeOf(optimizer: tf.Optimizer): void {
  optimizer.dispose();
  const slots = Object.values(optimizer).flat() as ({ readonly variable?: unknown } | null)[];
  tf.dispose(slots.flatMap((slot) => [slot, slot?.variable]).filter((value) => value instanceof tf.Tensor));
}
