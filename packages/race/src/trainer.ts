/**
 * The training loop of one run: steps, evaluation after each epoch, events, checkpoints. Its numbers depend only on its
 * input; time decides only when it writes a checkpoint.
 */
import { NonFiniteError, StateError } from '@ghl/core';
import type { ImageSet } from '@ghl/datasets';
import type { PlasticOptimizer } from '@ghl/learner';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { encodeCheckpoint, firstPosition, loadCheckpoint, type Position, weightsChecksum } from './checkpoint.js';
import type { Clock } from './clock.js';
import { EVALUATION_BATCH, evaluate } from './evaluation.js';
import type { RunEvent, Score } from './events.js';
import { failureOf } from './failure.js';
import { firstFilters } from './filters.js';
import { learningRates } from './learning-rates.js';
import type { RunResult } from './result.js';
import type { EventLog, RunRecord } from './run-record.js';
import { type StepScore, trainingStep } from './step.js';

/** Steps between two reads of the loss, and between two events. */
const WINDOW = 10;

/** Steps per epoch whose alignment is measured; fewer in a short epoch, where every other step is timed instead. */
const MEASUREMENTS = 4;

/** The progress of a run, for a display. */
export interface Progress {
  /** Epochs finished. */
  readonly epoch: number;
  readonly epochs: number;
  readonly step: number;
  readonly steps: number;
  /** The step at which training started or resumed. */
  readonly firstStep: number;
  readonly loss: number;
  /** Of training, without evaluation and logging; null before a step was timed. */
  readonly imagesPerSecond: number | null;
  /** Time left at the pace so far, with evaluation and logging. */
  readonly secondsLeft: number;
  /** Present while the model is evaluated, after an epoch's last step. */
  readonly evaluated?: { readonly images: number; readonly of: number; readonly ms: number };
  /** Present at the end of an epoch. */
  readonly ended?: { readonly validation: Score | null; readonly test: Score };
}

/** A phase of a run: an optimizer trains the model for some epochs. */
export interface Phase {
  readonly optimizer: PlasticOptimizer;
  readonly epochs: number;
  readonly batch: number;
}

/** One run. */
export interface Run {
  readonly model: LayersModel;
  /** Every run has one phase today; a list leaves room for more. */
  readonly phases: readonly [Phase];
  readonly data: ImageSet;
  readonly seed: number;
  readonly record: RunRecord;
  readonly clock: Clock;
  /** The backend's name, which the run records. */
  readonly backend: string;
  /** The backend's choices, on which numbers depend within rounding. */
  readonly numerics?: Position['numerics'] | undefined;
  /** Whether to resume from a checkpoint of other `numerics`. Default false. */
  readonly inexact?: boolean | undefined;
  /** Called a few times a second at most. */
  readonly onProgress?: (progress: Progress) => void;
  /**
   * Whether to write a checkpoint between two steps, `elapsed` ms after the last, which took `cost` ms. Default: at
   * most once per second, and for at most a fiftieth of the time. The end of an epoch always writes one.
   */
  readonly checkpointDue?: (elapsed: number, cost: number) => boolean;
}

/**
 * Trains from the last checkpoint, or from the start, to the end, and writes the result.
 *
 * @throws NonFiniteError `NON_FINITE_STEP`; `NON_FINITE_LOSS` in training, or after the last epoch; StateError
 * `RESUME_INEXACT`, and the errors of checkpoint and storage. The last checkpoint stays.
 */
export async function train(run: Run): Promise<RunResult> {
  const { model, phases, record, backend, numerics = {}, inexact = false } = run;
  const [{ optimizer, epochs }] = phases;
  const checkpoint = await record.readCheckpoint();
  const position = checkpoint
    ? await loadCheckpoint(checkpoint.bytes, checkpoint.place, model, optimizer)
    : firstPosition(run.seed, numerics);
  if (!sameNumerics(position.numerics, numerics)) {
    if (!inexact) throw resumeInexact(JSON.stringify(numerics), JSON.stringify(position.numerics));
    position.numerics = numerics;
  }
  const events = await record.openEvents(position.eventsLength);
  try {
    const first = checkpoint
      ? ({ type: 'resumed', step: position.step, backend, numerics } as const)
      : await firstFilters(model, 0);
    if (first !== null) await events.append(first);
    const trainer = new Trainer(run, position, events);
    try {
      while (position.epoch < epochs) await trainer.epoch();
    } finally {
      trainer.dispose();
    }
    return await finish(run, position, events);
  } catch (error) {
    const { code, message, help } = failureOf(error);
    await events.append({ type: 'failed', step: position.step, code, message, help }).catch(() => {});
    throw error;
  } finally {
    await events.close();
  }
}

function sameNumerics(a: Position['numerics'], b: Position['numerics']): boolean {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].every((name) => a[name] === b[name]);
}

/** The error for a run that cannot resume bit for bit. */
export function resumeInexact(now: string, before: string): StateError {
  return new StateError(
    'RESUME_INEXACT',
    `The backend computes with ${now}; the run began with ${before}.`,
    'resume on the original backend, or with --inexact: results then differ by rounding from those of an uninterrupted run.',
  );
}

class Trainer {
  readonly #run: Run;
  readonly #phase: Phase;
  readonly #clock: Clock;
  readonly #position: Position;
  readonly #events: EventLog;
  readonly #stepsPerEpoch: number;
  readonly #startedAt: number;
  readonly #startedStep: number;
  readonly #startedEvalMs: number;
  /** Steps whose loss and number of correct predictions are still on the device. */
  #pending: (StepScore & { readonly images: number })[] = [];
  /** Start of the time that training is still to be charged. */
  #chargedFrom = 0;
  #checkpointAt: number;
  #checkpointCost = 0;
  #progressAt = 0;
  #loss = Number.NaN;

  constructor(run: Run, position: Position, events: EventLog) {
    this.#run = run;
    [this.#phase] = run.phases;
    this.#clock = run.clock;
    this.#position = position;
    this.#events = events;
    this.#startedAt = this.#checkpointAt = this.#clock.now();
    this.#stepsPerEpoch = Math.ceil(run.data.train.size / this.#phase.batch);
    this.#startedStep = position.step;
    this.#startedEvalMs = position.evalMs;
  }

  /** Frees tensors that a failure left on the device. */
  dispose(): void {
    tf.dispose(this.#pending.flatMap(({ loss, correct }) => [loss, correct]));
  }

  /** Trains to the end of the current epoch, evaluates, and records both. */
  async epoch(): Promise<void> {
    const { data, model } = this.#run;
    const { batch: batchSize } = this.#phase;
    const position = this.#position;
    const batches = await data.train
      .batches({ batchSize, seed: position.shuffleSeed, startEpoch: position.epoch, startBatch: position.batch })
      .iterator();
    this.#chargedFrom = this.#clock.now();
    for (let next = await batches.next(); !next.done; next = await batches.next()) {
      const { xs, ys } = next.value;
      try {
        const measured = position.batch % Math.max(2, Math.ceil(this.#stepsPerEpoch / MEASUREMENTS)) === 0;
        if (measured) await this.#measuredStep(xs, ys);
        else this.#step(xs, ys);
      } finally {
        tf.dispose([xs, ys]);
      }
      position.batch += 1;
      position.step += 1;
      await this.#clock.yieldToEventLoop();
      if (position.batch % WINDOW === 0 || position.batch === this.#stepsPerEpoch) await this.#closeWindow();
      else if (this.#clock.now() - this.#progressAt > 1000) await this.#read();
      if (this.#clock.now() - this.#progressAt > 250) this.#reportProgress();
      if (position.batch < this.#stepsPerEpoch) await this.#checkpointIfDue();
    }
    this.#reportProgress();

    const from = this.#clock.now();
    const evaluated = { images: 0, of: data.validation.size + data.test.size, ms: 0 };
    const onImages = (count: number) => {
      evaluated.images += count;
      evaluated.ms = this.#clock.now() - from;
      if (this.#clock.now() - this.#progressAt > 250) this.#reportProgress({ evaluated });
      return this.#clock.yieldToEventLoop();
    };
    const validation = await evaluate(model, data.validation, EVALUATION_BATCH, onImages);
    const test = (await evaluate(model, data.test, EVALUATION_BATCH, onImages)) as Score;
    position.evalMs += this.#clock.now() - from;

    const { images, loss, correct } = position.sums;
    position.epoch += 1;
    position.batch = 0;
    position.sums = emptySums();
    await this.#log({
      type: 'epoch',
      step: position.step,
      epoch: position.epoch,
      train: { loss: loss / images, accuracy: correct / images },
      validation,
      test,
      ...this.#times(),
    });
    await this.#checkpoint();
    this.#reportProgress({ ended: { validation, test } });
  }

  #step(xs: tf.Tensor, ys: tf.Tensor2D): void {
    const { model } = this.#run;
    const { optimizer } = this.#phase;
    this.#pending.push({ images: ys.shape[0], ...trainingStep(model, optimizer, xs, ys) });
  }

  /** A measured step is not timed: training is charged the average time of its other steps. */
  async #measuredStep(xs: tf.Tensor, ys: tf.Tensor2D): Promise<void> {
    await this.#read();
    const position = this.#position;
    const from = this.#clock.now();
    const statistics = this.#phase.optimizer.measureNextStep();
    this.#step(xs, ys);
    const layers = Object.fromEntries(
      Object.entries(await statistics).map(([layer, { alignment, signAgreement, incrementNorm }]) => [
        layer,
        { alignment, signAgreement, incrementNorm },
      ]),
    );
    await this.#read(false);
    const average = (position.trainMs / (position.trainedImages || Number.POSITIVE_INFINITY)) * ys.shape[0];
    position.trainMs += average;
    if (average > 0) position.trainedImages += ys.shape[0];
    position.logMs += this.#clock.now() - from - average;
    await this.#log({ type: 'alignment', step: position.step + 1, epoch: position.epoch, layers });
    this.#chargedFrom = this.#clock.now();
  }

  /** Reads the pending numbers from the device, which completes its work, and charges training the time. */
  async #read(timed = true): Promise<void> {
    const pending = this.#pending;
    if (pending.length > 0) {
      const stacked = tf.stack(pending.flatMap(({ loss, correct }) => [loss, correct]));
      const values = await stacked.data();
      tf.dispose([stacked, ...pending.flatMap(({ loss, correct }) => [loss, correct])]);
      this.#pending = [];
      pending.forEach(({ images }, i) => {
        for (const sums of [this.#position.window, this.#position.sums]) {
          sums.images += images;
          sums.loss += (values[2 * i] as number) * images;
          sums.correct += values[2 * i + 1] as number;
        }
        if (timed) this.#position.trainedImages += images;
      });
    }
    const now = this.#clock.now();
    if (timed) this.#position.trainMs += now - this.#chargedFrom;
    this.#chargedFrom = now;
  }

  async #closeWindow(): Promise<void> {
    await this.#read();
    await this.#checkFinite();
    const position = this.#position;
    const { images, loss, correct } = position.window;
    position.window = emptySums();
    await this.#log({
      type: 'steps',
      step: position.step,
      epoch: position.epoch,
      loss: loss / images,
      accuracy: correct / images,
      images,
      learningRate: learningRates(this.#phase.optimizer.spec, position.step - 1),
      ...this.#times(),
    });
    this.#chargedFrom = this.#clock.now();
  }

  /** Throws before anything that is not finite is logged or kept. */
  async #checkFinite(): Promise<void> {
    await this.#phase.optimizer.checkFinite();
    const { step, window, sums } = this.#position;
    if (window.images > 0) this.#loss = window.loss / window.images;
    if (Number.isFinite(sums.loss)) return;
    throw new NonFiniteError(
      'NON_FINITE_LOSS',
      `The loss was ${this.#loss} at step ${step} or shortly before.`,
      'look for NaN or infinite values in the data, and lower the step size.',
    );
  }

  async #checkpointIfDue(): Promise<void> {
    const due = this.#run.checkpointDue ?? ((elapsed, cost) => elapsed >= 1000 && cost <= elapsed / 50);
    if (!due(this.#clock.now() - this.#checkpointAt, this.#checkpointCost)) return;
    await this.#read();
    await this.#checkFinite();
    await this.#checkpoint();
    this.#chargedFrom = this.#clock.now();
  }

  async #checkpoint(): Promise<void> {
    const { model, record } = this.#run;
    const from = this.#clock.now();
    await this.#clock.yieldToEventLoop();
    await this.#events.sync();
    this.#position.eventsLength = this.#events.length;
    await record.writeCheckpoint(await encodeCheckpoint(this.#position, model, this.#phase.optimizer));
    this.#checkpointAt = this.#clock.now();
    this.#checkpointCost = this.#checkpointAt - from;
    this.#position.logMs += this.#checkpointCost;
  }

  async #log(event: RunEvent): Promise<void> {
    const from = this.#clock.now();
    await this.#clock.yieldToEventLoop();
    await this.#events.append(event);
    this.#position.logMs += this.#clock.now() - from;
  }

  #times(): { trainMs: number; evalMs: number; logMs: number } {
    const { trainMs, evalMs, logMs } = this.#position;
    return { trainMs: Math.round(trainMs), evalMs: Math.round(evalMs), logMs: Math.round(logMs) };
  }

  #reportProgress(more: Pick<Progress, 'ended' | 'evaluated'> = {}): void {
    this.#progressAt = this.#clock.now();
    const { step, epoch, evalMs } = this.#position;
    const { onProgress } = this.#run;
    const { epochs } = this.#phase;
    const steps = epochs * this.#stepsPerEpoch;
    const { evaluated } = more;
    const elapsed = this.#progressAt - this.#startedAt - (evalMs - this.#startedEvalMs);
    const pace = (elapsed - (evaluated?.ms ?? 0)) / (step - this.#startedStep);
    const evaluation = evaluated ? (evaluated.ms * evaluated.of) / evaluated.images : evalMs / epoch || 0;
    const msLeft = (steps - step) * pace + (epochs - epoch) * evaluation - (evaluated?.ms ?? 0);
    onProgress?.({
      epoch,
      epochs,
      step,
      steps,
      firstStep: this.#startedStep,
      loss: this.#loss,
      imagesPerSecond: imagesPerSecond(this.#position),
      secondsLeft: msLeft / 1000,
      ...more,
    });
  }
}

async function finish({ model, phases, record }: Run, position: Position, log: EventLog): Promise<RunResult> {
  const [{ epochs }] = phases;
  const filters = await firstFilters(model, position.step);
  if (filters !== null) await log.append(filters);
  await log.sync();
  const ends = (await record.readEvents()).filter((event) => event.type === 'epoch');
  const last = ends.at(-1) as (typeof ends)[number];
  if (!hasLosses(last)) {
    const { validation, test } = last;
    const losses = `The loss was ${test.loss} on the test images${validation === null ? '' : ` and ${validation.loss} on the validation images`}`;
    throw new NonFiniteError(
      'NON_FINITE_LOSS',
      `${losses} after the last epoch.`,
      'the last steps made the weights or the moving statistics too large: lower the step size.',
    );
  }
  let best: RunResult['best'] = null;
  for (const end of ends) {
    const { epoch, validation, test } = end;
    // An epoch whose loss is NaN has no predictions: argMax of NaN is arbitrary.
    if (validation === null || !hasLosses(end) || validation.accuracy <= (best?.validationAccuracy ?? -1)) continue;
    best = { epoch, validationAccuracy: validation.accuracy, testAccuracy: test.accuracy };
  }
  const { step, trainMs, evalMs, logMs } = position;
  const result: RunResult = {
    schemaVersion: 1,
    steps: step,
    epochs,
    testAccuracy: last.test.accuracy,
    best,
    imagesPerSecond: imagesPerSecond(position),
    weights: await weightsChecksum(model),
    trainMs: Math.round(trainMs),
    evalMs: Math.round(evalMs),
    logMs: Math.round(logMs),
  };
  await record.writeResult(result);
  return result;
}

/** Whether the losses on validation and test images are finite. */
const hasLosses = ({ validation, test }: Extract<RunEvent, { type: 'epoch' }>) =>
  Number.isFinite(test.loss) && Number.isFinite(validation?.loss ?? 0);

const emptySums = () => ({ images: 0, loss: 0, correct: 0 });

const imagesPerSecond = ({ trainedImages, trainMs }: Position) =>
  trainedImages > 0 && trainMs > 0 ? (1000 * trainedImages) / trainMs : null;
