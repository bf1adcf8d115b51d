/**
 * The record of what a step assigns, so that it can be taken back. A forward pass moves weights by itself, such as the
 * statistics of a batch normalization, and so do the optimizers of tfjs. All of them call `tf.Variable.assign`, which
 * is the one place where their values before the step can be kept.
 */
import { CHOOSE, hasKernel } from '@ghl/core/backend';
import * as tf from '@tensorflow/tfjs-core';
import { type Layer, type ModelLayer, partsOf } from './model-layers.js';

/** A recurrent layer of tfjs, which carries its states from one batch to the next if it is stateful. */
type Recurrent = Layer & { readonly stateful?: boolean; states_?: tf.Tensor[] | null };

/** The stateful layers among the parts of a layer. */
export function statefulParts(layer: Layer): Recurrent[] {
  return [layer, ...partsOf(layer)].filter((part) => (part as Recurrent).stateful === true);
}

/** A stateful layer, and clones of its states before the step. */
export interface Carried {
  readonly layer: Recurrent;
  readonly states: readonly tf.Tensor[];
}

/** The journals of the steps under way. A step within the forward pass of another has its own. */
const open: Journal[] = [];

/** `value` where `ok` is true, else `before`; without a pass over them where the backend can. */
export function choose(ok: tf.Tensor, value: tf.Tensor, before: tf.Tensor): tf.Tensor {
  if (value.dataId === before.dataId || value.size === 0) return tf.clone(before);
  if (!hasKernel(CHOOSE)) return tf.where(ok, value, before);
  return tf.engine().runKernel(CHOOSE, { ok, value, before }) as tf.Tensor;
}

/** What an optimizer of ours counts and notes, which no step takes back. */
const excluded = new WeakSet<tf.Variable>();

/** Keeps a variable out of every journal. */
export function outOfJournals(variable: tf.Variable): tf.Variable {
  excluded.add(variable);
  return variable;
}

/** Runs `body` with a journal of what it assigns. If it throws, everything is as it was before. */
export function journalled<T>(layers: readonly ModelLayer[], body: (journal: Journal) => T): T {
  const { assign } = tf.Variable.prototype;
  const journal = new Journal(layers);
  if (open.length === 0) {
    tf.Variable.prototype.assign = function (value) {
      open.at(-1)?.note(this);
      assign.call(this, value);
    };
  }
  open.push(journal);
  try {
    return body(journal);
  } catch (error) {
    journal.undo();
    throw error;
  } finally {
    journal.close();
    open.pop();
    if (open.length === 0) tf.Variable.prototype.assign = assign;
  }
}

export class Journal {
  readonly #before = new Map<tf.Variable, tf.Tensor>();
  readonly #carried: Carried[] = [];
  readonly #undo: (() => void)[] = [];
  #closed = false;

  constructor(layers: readonly ModelLayer[]) {
    for (const layer of layers.flatMap((each) => statefulParts(each.layer))) {
      if (layer.states_ == null) continue;
      this.#carried.push({ layer, states: layer.states_.map((state) => tf.keep(tf.clone(state))) });
    }
  }

  /** The variables that have been assigned, with their values before. */
  get assigned(): ReadonlyMap<tf.Variable, tf.Tensor> {
    return this.#before;
  }

  /** Keeps the value of a variable that is about to be assigned. */
  note(variable: tf.Variable): void {
    if (this.#closed || this.#before.has(variable) || excluded.has(variable)) return;
    this.#before.set(variable, tf.keep(tf.clone(variable)));
  }

  /** Has {@link undo} call `body`, for what is kept in no tensor. */
  onUndo(body: () => void): void {
    this.#undo.push(body);
  }

  /** The stateful layers. */
  get carried(): readonly Carried[] {
    return this.#carried;
  }

  /** Ends the record: what was assigned stays if `ok` is true, and is as it was before if not. */
  settle(ok: tf.Tensor): void {
    this.#closed = true;
    this.#putBack((now, before) => choose(ok, now, before));
  }

  /** Ends the record, and puts back everything. */
  undo(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#putBack((_, before) => before);
    for (const body of this.#undo.reverse()) body();
  }

  close(): void {
    this.#closed = true;
    tf.dispose([...this.#before.values(), ...this.#carried.flatMap(({ states }) => states)]);
  }

  #putBack(value: (now: tf.Tensor, before: tf.Tensor) => tf.Tensor): void {
    for (const [variable, before] of this.#before) {
      if (!variable.isDisposed) tf.tidy(() => variable.assign(value(variable, before)));
    }
    for (const { layer, states } of this.#carried) {
      const now = layer.states_ ?? [];
      layer.states_ = states.map((before, i) => tf.keep(tf.tidy(() => tf.clone(value(now[i] ?? before, before)))));
      tf.dispose(now);
    }
  }
}
