/** Steps that were not finite: how they are noticed on the device, and what is said of them. */
import { NonFiniteError } from '@ghl/core';
import * as tf from '@tensorflow/tfjs-core';
import { isPlasticity, type PlannedWeight } from './assignment.js';

/** Whether every entry is finite, on the device. By its bits: arithmetic with a NaN need not give one on a GPU. */
export function allFinite(tensor: tf.Tensor): tf.Tensor {
  return tf.tidy(() => tf.all(tf.isFinite(tensor)));
}

/** What a step found, on the device. */
export interface Findings {
  /** Whether what moves a weight was finite; absent for a weight that the step did not reach. */
  readonly weights: ReadonlyMap<PlannedWeight, tf.Tensor>;
  /** Whether the loss was; null where there is none. */
  readonly loss: tf.Tensor | null;
  /** Whether the signals from elsewhere were. */
  readonly signals: readonly tf.Tensor[];
}

/** One flag on the device for each weight that moves. */
export class FiniteFlags {
  readonly #watched: readonly PlannedWeight[];
  /** The first bad step, counted from 1, of each weight, of the loss and of the signals; 0 if there was none. */
  readonly #variable: tf.Variable;

  constructor(watched: readonly PlannedWeight[]) {
    this.#watched = watched;
    this.#variable = tf.tidy(() => tf.variable(tf.zeros([watched.length + 2]), false));
  }

  /** Notes what a step found; reads nothing. */
  note(step: number, { weights, loss, signals }: Findings): void {
    tf.tidy(() => {
      const yes = tf.scalar(true, 'bool');
      const ok = this.#watched.map((planned) => weights.get(planned) ?? yes);
      ok.push(
        loss ?? yes,
        signals.reduce((all, each) => tf.logicalAnd(all, each), yes as tf.Tensor),
      );
      const now = tf.mul(tf.sub(1, tf.cast(tf.stack(ok), 'float32')), step + 1);
      this.#variable.assign(tf.where(tf.greater(this.#variable, 0), this.#variable, now));
    });
  }

  /** Reads the flags, and clears those that were up; the error for the first bad step, or null. */
  async take(): Promise<NonFiniteError | null> {
    const steps = Array.from(await this.#variable.data());
    const bad = this.#watched.flatMap((planned, i) => ((steps[i] as number) > 0 ? [{ step: steps[i]!, planned }] : []));
    const [first] = bad.sort((a, b) => a.step - b.step);
    if (first === undefined || this.#variable.isDisposed) return null;
    // Steps may have been made since the flags were read.
    tf.tidy(() => {
      const read = tf.equal(this.#variable, tf.tensor1d(steps));
      this.#variable.assign(tf.where(read, tf.zerosLike(this.#variable), this.#variable));
    });
    const [lossStep, signalStep] = steps.slice(-2) as [number, number];
    const by = (step: number) => step > 0 && step <= first.step;
    return nonFinite(first.step, first.planned, { loss: by(lossStep), signals: by(signalStep) });
  }

  dispose(): void {
    this.#variable.dispose();
  }
}

/** The error for the first bad step of a weight, with the likely cause. */
function nonFinite(
  step: number,
  { path, mover }: PlannedWeight,
  bad: { readonly loss: boolean; readonly signals: boolean },
): NonFiniteError {
  const ours = isPlasticity(mover);
  const normalised = !ours || mover.rule === null || (mover.rule.wrappers ?? []).length > 0;
  const fromElsewhere = ours && mover.reads.some((name) => name !== 'gradient' && name !== 'loss');
  const cause = bad.loss
    ? 'the loss was not finite either: look for NaN or infinite values in the inputs and labels, then lower the step size.'
    : bad.signals && fromElsewhere
      ? 'a signal that it reads was not finite.'
      : normalised
        ? 'lower the step size, and look for infinite values in the inputs.'
        : "the rule's ΔW is not normalised and outgrew its weights: wrap it in maxAbs(), or lower the step size.";
  const what = ours
    ? `the increment of ${path} was not finite; the weights were left as they were.`
    : `the gradient of ${path} was not finite; its optimizer was handed zeros in its place.`;
  return new NonFiniteError('NON_FINITE_STEP', `Step ${step}: ${what}`, { help: `likely cause: ${cause}` });
}
