/** The signals of a step, and how its examples are counted. */
import type * as tf from '@tensorflow/tfjs-core';
import { checkNotEmpty } from '../checks.js';
import { SignalError } from '../errors.js';
import type { SignalName, Signals } from '../modulator.js';
import type { LayerUse } from './layer-step.js';

/** The signals that a step has. */
export type AvailableSignals = { readonly [Name in SignalName]?: Signals[Name] };

/**
 * The signals that a modulator reads.
 *
 * @throws SignalError `SIGNAL_MISSING`.
 */
export function pick<R extends SignalName>(signals: AvailableSignals, reads: readonly R[]): Pick<Signals, R> {
  const missing = reads.find((name) => signals[name] === undefined);
  if (missing !== undefined) {
    throw new SignalError(
      'SIGNAL_MISSING',
      `This plasticity reads '${missing}', which is not provided.`,
      `pass it: optimizer.minimize(f, { signals: { ${missing} } }).`,
    );
  }
  const picked = Object.fromEntries(reads.map((name) => [name, signals[name] as tf.Tensor]));
  checkNotEmpty('A plasticity', picked);
  return picked as unknown as Pick<Signals, R>;
}

/**
 * The number of examples in one step of a layer. If all calls have equally many, a layer was called several times with
 * one batch, and the number is that of one call. Otherwise the calls are parts of a batch, and it is their sum.
 *
 * @param posts y of each call.
 */
export function batchOf(posts: readonly tf.Tensor[]): number {
  const sizes = posts.map(({ shape }) => shape[0] as number);
  return new Set(sizes).size <= 1 ? (sizes[0] ?? 0) : sum(sizes);
}

/**
 * The index of the first example of each call, in a step of `count` examples. The calls are parts of the batch, in
 * order, as in `predict()`. Each part may consist of several calls: consecutive ones, if a layer has several places in
 * a model, or one per round.
 *
 * @returns Null if the calls do not add up to `count` examples, or do so in two ways.
 */
export function examplesOf(calls: readonly LayerUse[], count: number): number[] | null {
  const sizes = calls.map(({ post }) => post.shape[0] as number);
  const rounds = sum(sizes) / count;
  if (sizes.every((size) => size === count)) return sizes.map(() => 0);
  if (!Number.isInteger(rounds) || rounds < 1) return null;
  const inPlaces: number[] = [];
  const inRounds: number[] = [];
  let [part, round] = [0, 0];
  sizes.forEach((size, i) => {
    inPlaces.push(sizes[i - (i % rounds)] === size ? part : Number.NaN);
    if (i % rounds === rounds - 1) part += size;
    inRounds.push(round + size <= count ? round : Number.NaN);
    round = (round + size) % count;
  });
  if (part !== count) inPlaces.push(Number.NaN);
  const ways = [inPlaces, inRounds].filter((way) => !way.some(Number.isNaN));
  return ways.length === 2 && String(ways[0]) !== String(ways[1]) ? null : (ways[0] ?? null);
}

/**
 * The number of examples of the signals that have one row per example; undefined if there is none.
 *
 * @param signals Those that a modulator reads.
 */
export function examplesIn({ input, target, reward }: AvailableSignals): number | undefined {
  return (input ?? target ?? reward)?.shape[0];
}

/**
 * The calls of each round in the order of their examples. Each round is one pass of all `count` examples through one
 * place of the layer in the model.
 *
 * @returns Null if {@link examplesOf} finds no order.
 */
export function roundsOf(calls: readonly LayerUse[], count: number): number[][] | null {
  const firsts = examplesOf(calls, count);
  if (firsts === null) return null;
  const rounds: number[][] = [];
  firsts.forEach((first, call) => {
    const round = firsts.slice(0, call).filter((earlier) => earlier === first).length;
    rounds[round] = [...(rounds[round] ?? []), call];
  });
  return rounds;
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0);
