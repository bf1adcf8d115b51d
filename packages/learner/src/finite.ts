/** Steps that were not finite: how they are noticed on the device, and what is said of them. */
import { NonFiniteError } from '@ghl/core';
import { ALL_FINITE, hasKernel } from '@ghl/core/backend';
import * as tf from '@tensorflow/tfjs-core';
import { isPlasticity, type Updater } from './assignment.js';
import { outOfJournals } from './journal.js';

/**
 * Whether every entry is finite, or equals its entry of `before`; on the device. By its bits: arithmetic with a NaN
 * need not give one on a GPU.
 */
export function allFinite(tensor: tf.Tensor, before?: tf.Tensor): tf.Tensor {
  if (tensor.dtype !== 'float32' || tensor.size === 0) return tf.scalar(true, 'bool');
  if (hasKernel(ALL_FINITE)) {
    const inputs = { x: tensor, ...(before !== undefined && { before }) };
    return tf.engine().runKernel(ALL_FINITE, inputs) as tf.Tensor;
  }
  return tf.tidy(() => {
    const finite = tf.isFinite(tensor);
    return tf.all(before === undefined ? finite : tf.logicalOr(finite, tf.equal(tensor, before)));
  });
}

/** Something that a step may change: a weight of the model, or the state of an optimizer or a layer. */
export interface Watched {
  /** The path of the weight or layer, or the label of the optimizer. */
  readonly path: string;
  /** What moves it; null where only its layer does. */
  readonly mover: Updater;
  /** Whose state it is, if it is not a weight. */
  readonly of?: 'the layer' | 'the optimizer of';
}

/** What a step found, on the device. */
export interface Findings {
  /** Whether the new value was finite; absent for what the step did not change. */
  readonly changed: ReadonlyMap<object, tf.Tensor>;
  /** Whether the loss was; null where there is none. */
  readonly loss: tf.Tensor | null;
  /** Whether the signals from elsewhere were. */
  readonly signals: readonly tf.Tensor[];
}

/** One flag on the device for each thing that a step may change. */
export class FiniteFlags {
  readonly #watched: ReadonlyMap<object, Watched>;
  /** The first bad step, counted from 1, of each thing watched, of the loss and of the signals; 0 if there was none. */
  readonly #variable: tf.Variable;

  constructor(watched: ReadonlyMap<object, Watched>) {
    this.#watched = watched;
    this.#variable = outOfJournals(tf.tidy(() => tf.variable(tf.zeros([watched.size + 2]), false)));
  }

  /** Whether a variable is a weight of the model. */
  watches(variable: tf.Variable): boolean {
    return this.#watched.has(variable);
  }

  /** Notes what a step found, and returns whether all that it changed was finite; reads nothing. */
  note(step: number, { changed, loss, signals }: Findings): tf.Tensor {
    return tf.tidy(() => {
      const yes = tf.scalar(true, 'bool');
      const ok = [...this.#watched.keys()].map((each) => changed.get(each) ?? yes);
      ok.push(
        loss ?? yes,
        signals.reduce((all, each) => tf.logicalAnd(all, each), yes as tf.Tensor),
      );
      const flags = tf.stack(ok);
      const now = tf.mul(tf.sub(1, tf.cast(flags, 'float32')), step + 1);
      this.#variable.assign(tf.where(tf.greater(this.#variable, 0), this.#variable, now));
      return tf.all(tf.slice(flags, 0, this.#watched.size));
    });
  }

  /** Reads the flags, and clears those that were up; the error for the first bad step, or null. */
  async take(): Promise<NonFiniteError | null> {
    const steps = Array.from(await this.#variable.data());
    const bad = [...this.#watched.values()].flatMap((watched, i) =>
      steps[i]! > 0 ? [{ step: steps[i]!, watched }] : [],
    );
    const [first] = bad.sort((a, b) => a.step - b.step);
    if (first === undefined || this.#variable.isDisposed) return null;
    // Steps may have been made since the flags were read.
    tf.tidy(() => {
      const read = tf.equal(this.#variable, tf.tensor1d(steps));
      this.#variable.assign(tf.where(read, tf.zerosLike(this.#variable), this.#variable));
    });
    const [lossStep, signalStep] = steps.slice(-2) as [number, number];
    const by = (step: number) => step > 0 && step <= first.step;
    return nonFinite(first.step, first.watched, { loss: by(lossStep), signals: by(signalStep) });
  }

  dispose(): void {
    this.#variable.dispose();
  }
}

/** The error for the first bad step, with the likely cause. */
function nonFinite(
  step: number,
  { path, mover, of }: Watched,
  bad: { readonly loss: boolean; readonly signals: boolean },
): NonFiniteError {
  const ours = isPlasticity(mover);
  const normalised = !ours || mover.rule === null || (mover.rule.wrappers ?? []).length > 0;
  const fromElsewhere = ours && mover.reads.some((name) => name !== 'gradient' && name !== 'loss');
  const cause = bad.loss
    ? 'the loss was not finite either: look for NaN or infinite values in the inputs and labels, then lower the step size.'
    : bad.signals && fromElsewhere
      ? 'a signal that it reads was not finite.'
      : mover === null
        ? 'inputs that are infinite or too large for float32, or a value that was not finite before the step.'
        : normalised
          ? 'lower the step size, and look for infinite values in the inputs.'
          : "the rule's ΔW is not normalised and outgrew its weights: wrap it in maxAbs(), or lower the step size.";
  const what =
    of !== undefined
      ? `the state of ${of} '${path}'`
      : `the ${mover === null ? 'value that its layer gave' : 'new value of'} ${path}`;
  return new NonFiniteError(
    'NON_FINITE_STEP',
    `Step ${step}: ${what} was not finite; no weight was changed.`,
    `likely cause: ${cause}`,
  );
}
