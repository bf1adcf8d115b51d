/** Steps of a rule, a plasticity or a modulator from plain numbers to plain numbers. */
import { type GlobalModulator, type LocalRule, local, type Plasticity, type SignalName } from '@ghl/core';
import { type AvailableSignals, type Connection, dense, initState, layerIncrement } from '@ghl/core/engine';
import * as tf from '@tensorflow/tfjs-core';

/** A layer and its input. Numbers are nested arrays, or flat arrays in row-major order. */
export interface PlainLayer {
  /** x: [P][D] for a dense layer. */
  readonly input: tf.TensorLike;
  /** The shape of x. Needed if `input` is flat. */
  readonly inputShape?: readonly number[];
  /** W: [D][K] for a dense layer. */
  readonly weights: tf.TensorLike;
  /** Default: the dense layer of `weights`, which are then [D][K]. */
  readonly connection?: Connection;
}

/** The signals of one step. The gradient has the shape of the weights. */
export type PlainSignals = Readonly<Partial<Record<SignalName, tf.TensorLike>>>;

function tensorsOf(signals: PlainSignals, kernelShape: readonly number[]): AvailableSignals {
  const tensor = ([name, values]: [string, tf.TensorLike]) =>
    [name, name === 'gradient' ? tf.tensor(values, [...kernelShape]) : tf.tensor(values)] as const;
  return Object.fromEntries(Object.entries(signals).map(tensor));
}

/**
 * Makes one step for each element of `signals`, on the same weights and input. State passes from step to step.
 *
 * @param part A rule, whose ΔW is then the increment, or a plasticity.
 * @returns The increment of each step as [D][K], for every connection.
 */
export function stepEach(
  part: LocalRule | Plasticity,
  { input, inputShape, weights, connection: layer }: PlainLayer,
  signals: readonly PlainSignals[],
): number[][][] {
  const plasticity = 'transforms' in part ? part : local(part);
  return tf.tidy(() => {
    const weightTensor = tf.tensor(weights, layer && [...layer.kernelShape]);
    const connection = layer ?? dense(weightTensor.shape as [number, number]);
    const pre = tf.tensor(input, inputShape && [...inputShape]);
    const calls = [{ pre, post: connection.forward(pre, weightTensor) }];
    let state = initState(plasticity, weightTensor.shape, connection.units);
    return signals.map((values, step) => {
      const context = { connection, kernel: weightTensor, calls, signals: tensorsOf(values, weightTensor.shape), step };
      const { increment, state: next } = layerIncrement(plasticity, context, state);
      state = next;
      return tf.reshape(increment, [-1, connection.units.fanOut]).arraySync() as number[][];
    });
  });
}

/**
 * The increment of the first step.
 *
 * @param part A rule, whose ΔW is then the increment, or a plasticity.
 * @returns The increment as [D][K], for every connection.
 * @example
 * ```ts
 * import { stepOnce } from '@ghl/conformance/testing';
 * import { oja } from '@ghl/rule-oja';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * // y = 1·1 + 2·0.5 = 2 and Δw = y·(x − y·w) = 2·([1, 2] − 2·[1, 0.5])
 * console.log(stepOnce(oja(), { input: [[1, 2]], weights: [[1], [0.5]] }));
 * // => [ [ -2 ], [ 2 ] ]
 * ```
 */
export function stepOnce(part: LocalRule | Plasticity, layer: PlainLayer, signals: PlainSignals = {}): number[][] {
  return stepEach(part, layer, [signals])[0] as number[][];
}

/**
 * Applies a modulator to the same ΔW once for each element of `signals`. State passes from step to step.
 *
 * @param values ΔW, [D][K]. For a modulator with a factor per activity, y as [P][K].
 * @param batch Examples in the batch.
 * @returns The increment of each step, [D][K]. For a modulator with a factor per example, the factors as one row. For
 * one with a factor per activity, the factors as [P][K].
 * @example
 * ```ts
 * import { modulateEach } from '@ghl/conformance/testing';
 * import { sign } from '@ghl/modulator-sign';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * console.log(modulateEach(sign(), [[0.5, -2]], [{ gradient: [[3, -1]] }]));
 * // => [ [ [ -0.5, 2 ] ] ]
 * ```
 */
export function modulateEach<R extends SignalName>(
  modulator: GlobalModulator<R>,
  values: number[][],
  signals: readonly PlainSignals[],
  batch = 1,
): number[][][] {
  return tf.tidy(() => {
    const matrix = tf.tensor2d(values);
    const [fanIn, fanOut] = matrix.shape;
    const units = { fanIn, fanOut, taps: 1, groups: 1 };
    let state = modulator.init(units);
    return signals.map((ofStep, step) => {
      const context = { units, step, batch };
      const tensors = tensorsOf(ofStep, matrix.shape) as never;
      if (modulator.actsOn === 'weights') {
        const result = modulator.modulate(matrix, tensors, context, state);
        state = result.state;
        return result.increment.arraySync() as number[][];
      }
      if (modulator.actsOn === 'activity') {
        const result = modulator.factor(tensors, { ...context, post: matrix }, state);
        state = result.state;
        return result.factor.arraySync();
      }
      const result = modulator.factor(tensors, context, state);
      state = result.state;
      return [result.factor.arraySync()];
    });
  });
}
