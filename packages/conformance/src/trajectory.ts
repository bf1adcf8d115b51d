/**
 * A rule trained on a dense layer by its float64 reference and by the engine, side by side. For theorems on
 * convergence.
 */
import { type LocalRule, local } from '@ghl/core';
import { dense, initState, layerIncrement, type PlasticityState } from '@ghl/core/engine';
import * as tf from '@tensorflow/tfjs-core';
import { type LocalRuleReference, type Matrix, type ReferenceState, referenceStep } from './reference.js';
import { relativeError } from './testing/vectors.js';

/** Options of {@link trajectory}. */
export interface TrajectoryOptions {
  /** The rule. */
  readonly rule: LocalRule;
  /** The same rule in float64. */
  readonly reference: LocalRuleReference;
  /** W before the first step, [D][K]. */
  readonly weights: Matrix;
  /** x, [P][D], the same at every step. */
  readonly input: Matrix;
  /** η of W ← W + η·ΔW. */
  readonly rate: number;
  /** The number of steps. */
  readonly steps: number;
}

/** The final weights of both, and their largest difference at any step. */
export interface Trajectory {
  /** The reference's W after the last step, [D][K]. */
  readonly reference: number[][];
  /** The reference's state. */
  readonly state: ReferenceState;
  /** The engine's W after the same number of independent steps, [D][K]. */
  readonly engine: number[][];
  /**
   * The largest difference between engine and reference after one step from the reference's weights, over all steps,
   * relative to the largest weight.
   */
  readonly apart: number;
}

/**
 * Trains a dense layer on a fixed batch, W ← W + η·ΔW, in three ways: by the reference in float64, by the engine from
 * the same initial weights, and by the engine with one step from each of the reference's weights. Each way has its own
 * state.
 */
export function trajectory({ rule, reference, weights, input, rate, steps }: TrajectoryOptions): Trajectory {
  const [fanIn, fanOut] = [weights.length, (weights[0] as readonly number[]).length];
  const connection = dense([fanIn, fanOut]);
  const { units } = connection;
  const patches = input.map((row) => [row]);
  const rows = (flat: ArrayLike<number>) =>
    Array.from({ length: fanIn }, (_, d) => Array.from({ length: fanOut }, (_, k) => flat[d * fanOut + k] as number));

  const engineStep = (from: Matrix, step: number, before: PlasticityState) => {
    const result = tf.tidy(() => {
      const kernel = tf.tensor2d(from.flat(), [fanIn, fanOut]);
      const pre = tf.tensor2d(input.flat(), [input.length, fanIn]);
      const calls = [{ pre, post: connection.forward(pre, kernel) }];
      const { increment, state } = layerIncrement(
        local(rule),
        { connection, kernel, calls, signals: {}, step },
        before,
      );
      return { after: tf.add(kernel, tf.mul(increment, rate)), state } as never;
    }) as { after: tf.Tensor; state: PlasticityState };
    const after = rows(result.after.dataSync());
    result.after.dispose();
    return { after, state: result.state };
  };
  const initial = () => tf.tidy(() => initState(local(rule), [fanIn, fanOut], units) as never) as PlasticityState;

  let inFloat64 = weights.map((row) => [...row]);
  let state = reference.init?.(units) ?? {};
  let free = inFloat64;
  let [freeState, tiedState] = [initial(), initial()];
  let apart = 0;
  for (let step = 0; step < steps; step++) {
    const tied = engineStep(inFloat64, step, tiedState);
    const { delta, state: next } = referenceStep(reference, units, patches, inFloat64, step, state);
    inFloat64 = inFloat64.map((row, d) => row.map((w, k) => w + rate * ((delta[d] as number[])[k] as number)));
    apart = Math.max(apart, relativeError(tied.after.flat(), inFloat64.flat()));
    const freed = engineStep(free, step, freeState);
    tf.dispose([tiedState, freeState] as never);
    [tiedState, freeState, free, state] = [tied.state, freed.state, freed.after, next];
  }
  tf.dispose([tiedState, freeState] as never);
  return { reference: inFloat64, state, engine: free, apart };
}
