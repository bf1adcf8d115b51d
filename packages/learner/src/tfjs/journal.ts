/**
 * A record of all assignments in a step, so that they can be undone. A forward pass assigns variables too, such as the
 * statistics of a batch normalization, and so do the optimizers of tfjs. All of them call `tf.Variable.assign`, the one
 * place where the values before the step can be recorded.
 */
import * as tf from '@tensorflow/tfjs-core';
import { choose } from '../choose.js';
import type { ModelLayer } from './model-layers.js';
import { type RecurrentStates, recordStates } from './recurrent-states.js';

/** The journals of the current steps. A step inside the forward pass of another has its own. */
const open: Journal[] = [];

/** The counters and flags of our optimizers, which no step undoes. */
const excluded = new WeakSet<tf.Variable>();

/** Excludes a variable from every journal. */
export function outOfJournals(variable: tf.Variable): tf.Variable {
  excluded.add(variable);
  return variable;
}

/** Runs `body` with a journal of its assignments. If it throws, all of them are undone. */
export function withJournal<T>(layers: readonly ModelLayer[], body: (journal: Journal) => T): T {
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
  readonly #undo: (() => void)[] = [];
  #closed = false;
  /** The states of the stateful layers. */
  readonly states: readonly RecurrentStates[];

  constructor(layers: readonly ModelLayer[]) {
    this.states = recordStates(layers);
  }

  /** The assigned variables, with their values before the step. */
  get assigned(): ReadonlyMap<tf.Variable, tf.Tensor> {
    return this.#before;
  }

  /** Records the value of a variable before its first assignment. */
  note(variable: tf.Variable): void {
    if (this.#closed || this.#before.has(variable) || excluded.has(variable)) return;
    this.#before.set(variable, tf.keep(tf.clone(variable)));
  }

  /** Makes {@link undo} call `body` too, for values outside tensors. */
  onUndo(body: () => void): void {
    this.#undo.push(body);
  }

  /**
   * Ends the record. Keeps all assignments if `ok` is true, and undoes them if not; the choice is made on the device.
   */
  commitIf(ok: tf.Tensor): void {
    this.#closed = true;
    this.#replace((now, before) => choose(ok, now, before));
  }

  /** Ends the record, and undoes all assignments. */
  undo(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#replace((_, before) => before);
    for (const body of this.#undo.reverse()) body();
  }

  close(): void {
    this.#closed = true;
    tf.dispose([...this.#before.values()]);
    for (const states of this.states) states.dispose();
  }

  #replace(value: (now: tf.Tensor, before: tf.Tensor) => tf.Tensor): void {
    for (const [variable, before] of this.#before) {
      if (!variable.isDisposed) tf.tidy(() => variable.assign(value(variable, before)));
    }
    for (const states of this.states) states.replace(value);
  }
}
