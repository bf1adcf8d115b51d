/** Steps that are not finite: detected by flags on the device, reported as errors. */
import { NonFiniteError } from '@ghl/core';
import { ALL_FINITE, hasKernel } from '@ghl/core/backend';
import { rulesOf } from '@ghl/core/engine';
import * as tf from '@tensorflow/tfjs-core';
import { isPlasticity, type Updater } from './assignment.js';
import { outOfJournals } from './tfjs/journal.js';

/**
 * Whether every entry is finite or equals its entry of `before`, on the device. The kernel tests the bits, since
 * arithmetic with a NaN need not yield NaN on a GPU.
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

/** A value that a step may change: a weight of the model, or the state of an optimizer or a layer. */
export interface FlagSource {
  /** The path of the weight or layer, or the selector of the optimizer. */
  readonly path: string;
  /** The updater that moves it; null if only its layer does. */
  readonly updater: Updater;
  /** The owner of the state, if it is not a weight. */
  readonly of?: 'the layer' | 'the optimizer of';
}

/** Which values of a step are finite, on the device. */
export interface StepFlags {
  /** For each changed value, whether the new value is finite. */
  readonly changed: ReadonlyMap<object, tf.Tensor>;
  /** Whether the loss is finite; null if there is no loss. */
  readonly loss: tf.Tensor | null;
  /** Whether the signals of the caller are finite. */
  readonly signals: readonly tf.Tensor[];
}

/** One flag on the device for each value that a step may change. */
export class FiniteFlags {
  readonly #sources: ReadonlyMap<object, FlagSource>;
  /** The first bad step, counted from 1, of each source, of the loss and of the signals; 0 if there was none. */
  readonly #variable: tf.Variable;

  constructor(sources: ReadonlyMap<object, FlagSource>) {
    this.#sources = sources;
    this.#variable = outOfJournals(tf.tidy(() => tf.variable(tf.zeros([sources.size + 2]), false)));
  }

  /** Whether a variable is a weight of the model. */
  has(variable: tf.Variable): boolean {
    return this.#sources.has(variable);
  }

  /** Records the flags of a step. Returns whether all changed values are finite, on the device. */
  note(step: number, { changed, loss, signals }: StepFlags): tf.Tensor {
    return tf.tidy(() => {
      const yes = tf.scalar(true, 'bool');
      const ok = [...this.#sources.keys()].map((each) => changed.get(each) ?? yes);
      ok.push(
        loss ?? yes,
        signals.reduce((all, each) => tf.logicalAnd(all, each), yes as tf.Tensor),
      );
      const flags = tf.stack(ok);
      const now = tf.mul(tf.sub(1, tf.cast(flags, 'float32')), step + 1);
      this.#variable.assign(tf.where(tf.greater(this.#variable, 0), this.#variable, now));
      return tf.all(tf.slice(flags, 0, this.#sources.size));
    });
  }

  /** Reads the flags and clears those that it read. Returns the error for the first bad step, or null. */
  async take(): Promise<NonFiniteError | null> {
    const steps = Array.from(await this.#variable.data());
    const bad = [...this.#sources.values()].flatMap((source, i) =>
      steps[i]! > 0 ? [{ step: steps[i]!, source }] : [],
    );
    const [first] = bad.sort((a, b) => a.step - b.step);
    if (first === undefined || this.#variable.isDisposed) return null;
    // Other steps may have run since the flags were read.
    tf.tidy(() => {
      const read = tf.equal(this.#variable, tf.tensor1d(steps));
      this.#variable.assign(tf.where(read, tf.zerosLike(this.#variable), this.#variable));
    });
    const [lossStep, signalStep] = steps.slice(-2) as [number, number];
    const by = (step: number) => step > 0 && step <= first.step;
    return nonFinite(first.step, first.source, { loss: by(lossStep), signals: by(signalStep) });
  }

  dispose(): void {
    this.#variable.dispose();
  }
}

/** The error for the first bad step, with the likely cause. */
function nonFinite(
  step: number,
  { path, updater, of }: FlagSource,
  bad: { readonly loss: boolean; readonly signals: boolean },
): NonFiniteError {
  const plastic = isPlasticity(updater);
  const normalised = !plastic || rulesOf(updater).every(({ wrappers = [] }) => wrappers.length > 0);
  const readsSignals = plastic && updater.reads.some((name) => name !== 'gradient' && name !== 'loss');
  const cause = bad.loss
    ? 'the loss was not finite either. Look for NaN or infinite values in the inputs and labels, then lower the step size.'
    : bad.signals && readsSignals
      ? 'a signal that it reads was not finite.'
      : updater === null
        ? 'inputs that are infinite or too large for float32, or a value that was not finite before the step.'
        : normalised
          ? 'lower the step size, and look for infinite values in the inputs.'
          : "the rule's ΔW is not normalised and outgrew its weights: wrap it in maxAbs(), or lower the step size.";
  const value =
    of !== undefined
      ? `the state of ${of} '${path}'`
      : `the ${updater === null ? 'value that its layer gave' : 'new value of'} ${path}`;
  return new NonFiniteError(
    'NON_FINITE_STEP',
    `Step ${step}: ${value} was not finite; no weight was changed.`,
    `likely cause: ${cause}`,
  );
}
