/** The states that stateful recurrent layers carry from one batch to the next. */
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { internalsOf, type LayerInternals, partsOf } from './internals.js';
import type { ModelLayer } from './model-layers.js';

/** The stateful layers among a layer and its parts. */
export function statefulParts(layer: tfl.layers.Layer): tfl.layers.Layer[] {
  return [internalsOf(layer), ...partsOf(layer)].filter(({ stateful }) => stateful === true);
}

/** The states of one stateful layer, and a copy of their values before a step. */
export class RecurrentStates {
  readonly layer: tfl.layers.Layer;
  readonly #internals: LayerInternals;
  readonly #before: readonly tf.Tensor[];

  constructor(layer: tfl.layers.Layer, states: readonly tf.Tensor[]) {
    this.layer = layer;
    this.#internals = internalsOf(layer);
    this.#before = states.map((state) => tf.keep(tf.clone(state)));
  }

  /** Each present state with its value before the step. */
  get pairs(): readonly (readonly [now: tf.Tensor, before: tf.Tensor | undefined])[] {
    return (this.#internals.states_ ?? []).map((state, i) => [state, this.#before[i]]);
  }

  /** Replaces each state by `value` of it and of its value before the step. */
  replace(value: (now: tf.Tensor, before: tf.Tensor) => tf.Tensor): void {
    const now = this.#internals.states_ ?? [];
    this.#internals.states_ = this.#before.map((before, i) =>
      tf.keep(tf.tidy(() => tf.clone(value(now[i] ?? before, before)))),
    );
    tf.dispose(now);
  }

  dispose(): void {
    tf.dispose([...this.#before]);
  }
}

/** Copies the states of all stateful layers that have any. */
export function recordStates(layers: readonly ModelLayer[]): RecurrentStates[] {
  return layers
    .flatMap(({ layer }) => statefulParts(layer))
    .flatMap((layer) => {
      const { states_: states } = internalsOf(layer);
      return states == null ? [] : [new RecurrentStates(layer, states)];
    });
}
