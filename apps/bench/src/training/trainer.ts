/**
 * The training loop of one run: steps, evaluation after each epoch, events, checkpoints. What it computes depends on
 * its input alone; time decides only when a checkpoint is written.
 */
import { isDeepStrictEqual } from 'node:util';
import { NonFiniteError, StateError } from '@ghl/core';
import type { ImageSet } from '@ghl/datasets';
import type { PlasticOptimizer } from '@ghl/learner';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { failureOf } from '../failure.js';
import type { EventLog, RunEvent, RunFolder, RunResult, Score } from '../run-store.js';
import { type Position, readCheckpoint, start, weightsChecksum, writeCheckpoint } from './checkpoint.js';
import { evaluate } from './evaluate.js';
import { letEventsIn } from './event-loop.js';
import { firstFilters } from './filters.js';
import { learningRates } from './learning-rates.js';
import { type StepScore, trainingStep } from './step.js';

/** Steps between two reads of the loss, and between two events. */
const WINDOW = 10;

/** Images in a batch of evaluation, which has no backward pass to remember anything for. */
const EVALUATION_BATCH = 100;

/** Steps in an epoch whose alignment is measured; fewer in a short one, where every other step is left to be timed. */
const MEASUREMENTS = 4;

/** How far a run is, for whoever watches. */
export interface Progress {
  /** Epochs finished. */
  readonly epoch: number;
  readonly epochs: number;
  readonly step: number;
  readonly steps: number;
  /** The step at which this process began. */
  readonly firstStep: number;
  readonly loss: number;
  /** Of training, evaluation and logging left out; null before a step was timed. */
  readonly imagesPerSecond: number | null;
  /** What is left at the pace so far, evaluation and logging included. */
  readonly secondsLeft: number;
  /** Present while the model is evaluated, after an epoch's last step. */
  readonly evaluated?: { readonly images: number; readonly of: number; readonly ms: number };
  /** Present when an epoch has just ended. */
  readonly ended?: { readonly validation: Score | null; readonly test: Score };
}

/** One run. */
export interface Run {
  readonly model: LayersModel;
  readonly optimizer: PlasticOptimizer;
  readonly data: ImageSet;
  readonly seed: number;
  readonly epochs: number;
  readonly batch: number;
  readonly folder: RunFolder;
  /** The backend's name, to be recorded. */
  readonly backend: string;
  /** What the backend chose that numbers depend on within rounding. */
  readonly numerics?: Position['numerics'] | undefined;
  /** Whether to go on from a checkpoint of other `numerics`. Default false. */
  readonly inexact?: boolean | undefined;
  /** Called a few times a second at most. */
  readonly onProgress?: (progress: Progress) => void;
  /**
   * Whether to write a checkpoint between two steps, `elapsed` ms after the last, which took `cost` ms. Default: after
   * a second or more, at a fiftieth of the time at most. At the end of an epoch one is always written.
   */
  readonly checkpointDue?: (elapsed: number, cost: number) => boolean;
}

/**
 * Trains from the folder's checkpoint, or from the beginning, to the end, and writes the result.
 *
 * @throws NonFiniteError `NON_FINITE_STEP`; `NON_FINITE_LOSS` in training, or after the last epoch; StateError of
 * checkpoint and folder. The last checkpoint stands.
 */
export async function train(run: Run): Promise<RunResult> {
  const { model, optimizer, folder, backend, numerics = {}, inexact = false } = run;
  const found = await readCheckpoint(folder.checkpointPath, model, optimizer);
  const position = found ?? start(run.seed, numerics);
  if (!isDeepStrictEqual(position.numerics, numerics)) {
    if (!inexact) throw inexactly(JSON.stringify(numerics), JSON.stringify(position.numerics));
    position.numerics = numerics;
  }
  const events = await folder.openEvents(position.eventsLength);
  try {
    if (found === null) await record(events, await firstFilters(model, 0));
    else await record(events, { type: 'resumed', step: position.step, backend, numerics });
    const trainer = new Trainer(run, position, events);
    try {
      while (position.epoch < run.epochs) await trainer.epoch();
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

/** The error for a run that cannot go on bit for bit. */
export function inexactly(now: string, before: string): StateError {
  return new StateError(
    'RESUME_INEXACT',
    `The backend computes with ${now}; the run began with ${before}.`,
    'go on where it began, or with --inexact: results then differ by rounding from those of an uninterrupted run.',
  );
}

class Trainer {
  readonly #run: Run;
  readonly #position: Position;
  readonly #events: EventLog;
  readonly #stepsPerEpoch: number;
  readonly #startedAt = performance.now();
  readonly #startedStep: number;
  readonly #startedEvalMs: number;
  /** Steps whose loss and number of correct predictions are still on the device. */
  #pending: (StepScore & { readonly images: number })[] = [];
  /** Since when the clock of training runs. */
  #clock = 0;
  #checkpointAt = performance.now();
  #checkpointCost = 0;
  #progressAt = 0;
  #loss = Number.NaN;

  constructor(run: Run, position: Position, events: EventLog) {
    this.#run = run;
    this.#position = position;
    this.#events = events;
    this.#stepsPerEpoch = Math.ceil(run.data.train.size / run.batch);
    this.#startedStep = position.step;
    this.#startedEvalMs = position.evalMs;
  }

  /** Frees what a failure left on the device. */
  dispose(): void {
    tf.dispose(this.#pending.flatMap(({ loss, correct }) => [loss, correct]));
  }

  /** Trains to the end of the epoch under way, evaluates, and keeps both. */
  async epoch(): Promise<void> {
    const { data, batch: batchSize, model } = this.#run;
    const position = this.#position;
    const batches = await data.train
      .batches({ batchSize, seed: position.shuffleSeed, startEpoch: position.epoch, startBatch: position.batch })
      .iterator();
    this.#clock = performance.now();
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
      await letEventsIn();
      if (position.batch % WINDOW === 0 || position.batch === this.#stepsPerEpoch) await this.#closeWindow();
      else if (performance.now() - this.#progressAt > 1000) await this.#read();
      if (performance.now() - this.#progressAt > 250) this.#reportProgress();
      if (position.batch < this.#stepsPerEpoch) await this.#checkpointIfDue();
    }
    this.#reportProgress();

    const from = performance.now();
    const evaluated = { images: 0, of: data.validation.size + data.test.size, ms: 0 };
    const onImages = (count: number) => {
      evaluated.images += count;
      evaluated.ms = performance.now() - from;
      if (performance.now() - this.#progressAt > 250) this.#reportProgress({ evaluated });
    };
    const validation = await evaluate(model, data.validation, EVALUATION_BATCH, onImages);
    const test = (await evaluate(model, data.test, EVALUATION_BATCH, onImages)) as Score;
    position.evalMs += performance.now() - from;

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
    const { model, optimizer } = this.#run;
    this.#pending.push({ images: ys.shape[0], ...trainingStep(model, optimizer, xs, ys) });
  }

  /** A step that measures itself, timed apart: training is charged what its steps take on average. */
  async #measuredStep(xs: tf.Tensor, ys: tf.Tensor2D): Promise<void> {
    await this.#read();
    const position = this.#position;
    const from = performance.now();
    const statistics = this.#run.optimizer.measureNextStep();
    this.#step(xs, ys);
    const layers = Object.fromEntries(
      Object.entries(await statistics).map(([layer, { alignment, signAgreement, incrementNorm }]) => [
        layer,
        { alignment, signAgreement, incrementNorm },
      ]),
    );
    await this.#read(false);
    const usual = (position.trainMs / (position.trainedImages || Number.POSITIVE_INFINITY)) * ys.shape[0];
    position.trainMs += usual;
    if (usual > 0) position.trainedImages += ys.shape[0];
    position.logMs += performance.now() - from - usual;
    await this.#log({ type: 'alignment', step: position.step + 1, epoch: position.epoch, layers });
    this.#clock = performance.now();
  }

  /** Brings the pending numbers from the device, which ends the work there, and stops the clock of training. */
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
    const now = performance.now();
    if (timed) this.#position.trainMs += now - this.#clock;
    this.#clock = now;
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
      learningRate: learningRates(this.#run.optimizer.spec, position.step - 1),
      ...this.#times(),
    });
    this.#clock = performance.now();
  }

  /** Before anything is logged or kept. */
  async #checkFinite(): Promise<void> {
    await this.#run.optimizer.checkFinite();
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
    if (!due(performance.now() - this.#checkpointAt, this.#checkpointCost)) return;
    await this.#read();
    await this.#checkFinite();
    await this.#checkpoint();
    this.#clock = performance.now();
  }

  async #checkpoint(): Promise<void> {
    const { model, optimizer, folder } = this.#run;
    const from = performance.now();
    await letEventsIn();
    await this.#events.sync();
    this.#position.eventsLength = this.#events.length;
    await writeCheckpoint(folder.checkpointPath, this.#position, model, optimizer);
    this.#checkpointAt = performance.now();
    this.#checkpointCost = this.#checkpointAt - from;
    this.#position.logMs += this.#checkpointCost;
  }

  async #log(event: RunEvent): Promise<void> {
    const from = performance.now();
    await letEventsIn();
    await this.#events.append(event);
    this.#position.logMs += performance.now() - from;
  }

  #times(): { trainMs: number; evalMs: number; logMs: number } {
    const { trainMs, evalMs, logMs } = this.#position;
    return { trainMs: Math.round(trainMs), evalMs: Math.round(evalMs), logMs: Math.round(logMs) };
  }

  #reportProgress(more: Pick<Progress, 'ended' | 'evaluated'> = {}): void {
    this.#progressAt = performance.now();
    const { step, epoch, evalMs } = this.#position;
    const { epochs, onProgress } = this.#run;
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

async function finish({ model, epochs, folder }: Run, position: Position, log: EventLog): Promise<RunResult> {
  await record(log, await firstFilters(model, position.step));
  await log.sync();
  const ends = (await folder.readEvents()).filter((event) => event.type === 'epoch');
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
    // An epoch without a loss has no predictions either, only whatever argMax makes of NaN.
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
  await folder.writeResult(result);
  return result;
}

/** Whether the losses on the images held out are numbers. */
const hasLosses = ({ validation, test }: Extract<RunEvent, { type: 'epoch' }>) =>
  Number.isFinite(test.loss) && Number.isFinite(validation?.loss ?? 0);

async function record(log: EventLog, event: RunEvent | null): Promise<void> {
  if (event !== null) await log.append(event);
}

const emptySums = () => ({ images: 0, loss: 0, correct: 0 });

const imagesPerSecond = ({ trainedImages, trainMs }: Position) =>
  trainedImages > 0 && trainMs > 0 ? (1000 * trainedImages) / trainMs : null;
