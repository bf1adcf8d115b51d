/**
 * The training loop of one run: phases of steps, evaluation after each epoch, events, checkpoints. Its numbers depend
 * only on its input; time decides only when it writes a checkpoint.
 */
import { NonFiniteError, StateError } from '@ghl/core';
import type { ImageSet } from '@ghl/datasets';
import { type Assignment, type PlasticOptimizer, plasticOptimizer } from '@ghl/learner';
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { type ActivationCache, type CacheLimits, cacheActivations, defaultCacheLimits } from './activation-cache.js';
import {
  decodeCheckpoint,
  encodeCheckpoint,
  FIRST_PHASE,
  firstPosition,
  type Position,
  restoreState,
  weightsChecksum,
} from './checkpoint.js';
import type { Clock } from './clock.js';
import { EVALUATION_BATCH, evaluate } from './evaluation.js';
import type { RunEvent, Score } from './events.js';
import type { AppliedModel, ExampleSet, Examples } from './examples.js';
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
  /** The current phase, from 0, and the number of phases. */
  readonly phase: number;
  readonly phases: number;
  /** Epochs finished, of all phases; fewer than planned if the patience of a phase ends it. */
  readonly epoch: number;
  readonly epochs: number;
  readonly step: number;
  readonly steps: number;
  /** The step at which training started or resumed. */
  readonly firstStep: number;
  /** NaN before the first loss of a run was read, and in a phase that reads no labels. */
  readonly loss: number;
  /** Of training, without evaluation and logging; null before a step was timed. */
  readonly imagesPerSecond: number | null;
  /** Time left at the pace of this phase, with evaluation and logging. Later phases count by their images. */
  readonly secondsLeft: number;
  /** Present while the activations of frozen layers are computed, before a phase that trains on them. */
  readonly cached?: { readonly images: number; readonly of: number };
  /** Present while the model is evaluated, after an epoch's last step. */
  readonly evaluated?: { readonly images: number; readonly of: number; readonly ms: number };
  /** Present at the end of an epoch. */
  readonly ended?: { readonly validation: Score | null; readonly test: Score | null; readonly isLast: boolean };
}

/** A phase of a run: a new optimizer trains the model for some epochs. */
export interface Phase {
  readonly assignment: Assignment;
  readonly epochs: number;
  readonly batch: number;
  /** Name of the loss. Default: the cross-entropy. */
  readonly loss?: string | undefined;
  /**
   * Ends the phase after this number of epochs without a better validation accuracy. Default: never. Without validation
   * images, all epochs run.
   */
  readonly patience?: number | undefined;
}

/** One run. */
export interface Run {
  readonly model: LayersModel;
  readonly phases: readonly [Phase, ...Phase[]];
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
  /**
   * The most memory and storage for the activations of frozen layers, which a phase of several epochs computes once per
   * image. They change no bit of the result. Default: 1 GiB of memory, or else 16 GiB of storage.
   */
  readonly cache?: CacheLimits | undefined;
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
  const written = await record.readCheckpoint();
  const checkpoint = written && (await decodeCheckpoint(written.bytes, written.place));
  const position = checkpoint?.position ?? firstPosition(run.seed, numerics);
  const optimizer = plasticOptimizer(model, phaseAt(phases, position).assignment);
  try {
    if (checkpoint) await restoreState(checkpoint.state, model, optimizer);
    if (!sameNumerics(position.numerics, numerics)) {
      if (!inexact) throw resumeInexact(JSON.stringify(numerics), JSON.stringify(position.numerics));
      position.numerics = numerics;
    }
  } catch (error) {
    optimizer.dispose();
    throw error;
  }
  const events = await record.openEvents(position.eventsLength);
  const trainer = new Trainer(run, position, events, optimizer);
  try {
    const first = checkpoint
      ? ({ type: 'resumed', step: position.step, backend, numerics } as const)
      : await firstFilters(model, 0);
    if (first !== null) await events.append(first);
    await trainer.train();
    return await finish(run, position, events);
  } catch (error) {
    const { code, message, help } = failureOf(error);
    await events.append({ type: 'failed', step: position.step, code, message, help }).catch(() => {});
    throw error;
  } finally {
    trainer.dispose();
    await events.close();
  }
}

const phaseAt = (phases: Run['phases'], { phase }: Position) => phases[phase.index] as Phase;

/**
 * Whether a phase learns from labels. In a phase of local rules alone the classifier is untrained: its loss and its
 * accuracy mean nothing.
 */
function readsLabels({ assignment }: Phase): boolean {
  return Object.values(assignment).some(
    (updater) => updater !== null && (!('reads' in updater) || updater.reads.length > 0),
  );
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
  readonly #clock: Clock;
  readonly #position: Position;
  readonly #events: EventLog;
  readonly #firstStep: number;
  #optimizer: PlasticOptimizer;
  /** The activations that the phase trains on, in place of the images. */
  #cache: ActivationCache | null = null;
  /** The part of the time of evaluation in which activations were computed, which no later evaluation needs. */
  #cachingMs = 0;
  /** When this process began the phase, its step then, and the time of evaluation up to then. */
  #started: { readonly at: number; readonly step: number; readonly evalMs: number };
  /** Steps whose loss and number of correct predictions are still on the device. */
  #pending: (StepScore & { readonly images: number })[] = [];
  /** Start of the time that training is still to be charged. */
  #chargedFrom = 0;
  #checkpointAt: number;
  #checkpointCost = 0;
  #progressAt = 0;
  #loss = Number.NaN;

  constructor(run: Run, position: Position, events: EventLog, optimizer: PlasticOptimizer) {
    this.#run = run;
    this.#clock = run.clock;
    this.#position = position;
    this.#events = events;
    this.#optimizer = optimizer;
    this.#firstStep = position.step;
    this.#checkpointAt = this.#clock.now();
    this.#started = this.#start();
  }

  /** Frees the optimizer, and tensors that a failure left on the device. */
  dispose(): void {
    this.#optimizer.dispose();
    tf.dispose(this.#pending.flatMap(({ loss, correct }) => [loss, correct]));
  }

  /** Trains to the end of the last phase. */
  async train(): Promise<void> {
    try {
      for (;;) {
        if (!this.#phaseEnds && this.#epochsLeft > 1) await this.#cacheActivations();
        while (!this.#phaseEnds) await this.#epoch();
        await this.#closeCache();
        await this.#run.record.removeActivations();
        if (this.#isLastPhase) return;
        this.#nextPhase();
      }
    } finally {
      await this.#closeCache();
    }
  }

  /** Computes the activations of the layers that the phase leaves frozen. Each image is charged to its use. */
  async #cacheActivations(): Promise<void> {
    const { data, record, backend, numerics, cache: limits = defaultCacheLimits } = this.#run;
    const { batch } = this.#phase;
    const position = this.#position;
    const from = this.#clock.now();
    const cached = { images: 0, of: data.train.size + data.validation.size + data.test.size };
    const onImages = (count: number) => {
      cached.images += count;
      if (this.#clock.now() - this.#progressAt > 250) this.#reportProgress({ cached });
      return this.#clock.yieldToEventLoop();
    };
    const computes = { optimizer: this.#optimizer, data, batch, numerics: { backend, ...numerics } };
    this.#cache = await cacheActivations({ ...computes, record, limits, onImages });
    // A resumed phase has been charged before.
    const { phase } = position;
    const ms = position.epoch === phase.epoch && position.batch === 0 ? this.#clock.now() - from : 0;
    const trainMs = ms * (data.train.size / cached.of);
    position.trainMs += trainMs;
    position.phase = { ...phase, trainMs: phase.trainMs + trainMs }; // the time of its steps counts from here
    position.evalMs += ms - trainMs;
    this.#cachingMs += ms - trainMs;
    this.#started = this.#start();
  }

  async #closeCache(): Promise<void> {
    await this.#cache?.close();
    this.#cache = null;
  }

  get #epochsLeft(): number {
    return this.#position.phase.epoch + this.#phase.epochs - this.#position.epoch;
  }

  /** The model and its images, or the rest of the model and its activations. */
  get #workload(): { readonly model: AppliedModel; readonly data: ExampleSet } {
    return this.#cache ?? this.#run;
  }

  get #phase(): Phase {
    return phaseAt(this.#run.phases, this.#position);
  }

  get #phaseEnds(): boolean {
    const { epochs, patience = Number.POSITIVE_INFINITY } = this.#phase;
    const { epoch, phase } = this.#position;
    return epoch >= phase.epoch + epochs || phase.stale >= patience;
  }

  get #isLastPhase(): boolean {
    return this.#position.phase.index === this.#run.phases.length - 1;
  }

  get #stepsPerEpoch(): number {
    return this.#stepsPerEpochOf(this.#phase);
  }

  #stepsPerEpochOf({ batch }: Phase): number {
    return Math.ceil(this.#run.data.train.size / batch);
  }

  #start(): { readonly at: number; readonly step: number; readonly evalMs: number } {
    return { at: this.#clock.now(), step: this.#position.step, evalMs: this.#position.evalMs };
  }

  /** Begins the next phase with a new optimizer. A process that resumes at the end of a phase does the same. */
  #nextPhase(): void {
    const { epoch, step, trainMs, trainedImages, phase } = this.#position;
    this.#optimizer.dispose();
    this.#position.phase = { ...FIRST_PHASE, index: phase.index + 1, epoch, step, trainMs, trainedImages };
    this.#optimizer = plasticOptimizer(this.#run.model, this.#phase.assignment);
    this.#loss = Number.NaN;
    this.#started = this.#start();
  }

  /** Trains to the end of the current epoch, evaluates, and records both. */
  async #epoch(): Promise<void> {
    const { data, model } = this.#workload;
    const { batch: batchSize, loss: lossName } = this.#phase;
    const labelled = readsLabels(this.#phase);
    const position = this.#position;
    const stepsPerEpoch = this.#stepsPerEpoch;
    const batches = await data.train
      .batches({ batchSize, seed: position.shuffleSeed, startEpoch: position.epoch, startBatch: position.batch })
      .iterator();
    this.#chargedFrom = this.#clock.now();
    for (let next = await batches.next(); !next.done; next = await batches.next()) {
      const { xs, ys } = next.value;
      try {
        const measured = position.batch % Math.max(2, Math.ceil(stepsPerEpoch / MEASUREMENTS)) === 0;
        if (labelled && measured) await this.#measuredStep(xs, ys);
        else this.#step(xs, ys);
      } finally {
        tf.dispose([xs, ys]);
      }
      position.batch += 1;
      position.step += 1;
      await this.#clock.yieldToEventLoop();
      if (position.batch % WINDOW === 0 || position.batch === stepsPerEpoch) await this.#closeWindow();
      else if (this.#clock.now() - this.#progressAt > 1000) await this.#read();
      if (this.#clock.now() - this.#progressAt > 250) this.#reportProgress();
      if (position.batch < stepsPerEpoch) await this.#checkpointIfDue();
    }
    this.#reportProgress();

    const isScored = labelled || (this.#isLastPhase && this.#epochsLeft === 1);
    const from = this.#clock.now();
    const evaluated = { images: 0, of: data.validation.size + data.test.size, ms: 0 };
    const scores = async (split: Examples) => {
      if (!isScored) return null;
      return evaluate(
        model,
        split,
        EVALUATION_BATCH,
        (count) => {
          evaluated.images += count;
          evaluated.ms = this.#clock.now() - from;
          if (this.#clock.now() - this.#progressAt > 250) this.#reportProgress({ evaluated });
          return this.#clock.yieldToEventLoop();
        },
        lossName,
      );
    };
    const validation = await scores(data.validation);
    const test = await scores(data.test);
    if (isScored) position.evalMs += this.#clock.now() - from;

    const { images, loss, correct } = position.sums;
    position.epoch += 1;
    if (validation !== null) {
      const { best, stale } = position.phase;
      const isBetter = validation.accuracy > best;
      position.phase = {
        ...position.phase,
        best: isBetter ? validation.accuracy : best,
        stale: isBetter ? 0 : stale + 1,
      };
    }
    position.batch = 0;
    position.sums = emptySums();
    await this.#log({
      type: 'epoch',
      step: position.step,
      epoch: position.epoch,
      train: labelled ? { loss: loss / images, accuracy: correct / images } : null,
      validation,
      test,
      ...this.#times(),
    });
    await this.#checkpoint();
    this.#reportProgress({ ended: { validation, test, isLast: this.#isLastPhase && this.#phaseEnds } });
  }

  #step(xs: tf.Tensor, ys: tf.Tensor2D): void {
    const score = trainingStep(this.#workload.model, this.#optimizer, xs, ys, this.#phase.loss);
    this.#pending.push({ images: ys.shape[0], ...score });
  }

  /** A measured step is not timed: training is charged the average time of its other steps. */
  async #measuredStep(xs: tf.Tensor, ys: tf.Tensor2D): Promise<void> {
    await this.#read();
    const position = this.#position;
    const from = this.#clock.now();
    const statistics = this.#optimizer.measureNextStep();
    statistics.catch(() => {}); // the step throws the error, or an earlier one before it measures
    this.#step(xs, ys);
    const layers = Object.fromEntries(
      Object.entries(await statistics).map(([layer, { alignment, signAgreement, incrementNorm }]) => [
        layer,
        { alignment, signAgreement, incrementNorm },
      ]),
    );
    await this.#read(false);
    const ms = position.trainMs - position.phase.trainMs;
    const images = position.trainedImages - position.phase.trainedImages;
    const average = (ms / (images || Number.POSITIVE_INFINITY)) * ys.shape[0];
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
      ...(readsLabels(this.#phase) && { loss: loss / images, accuracy: correct / images }),
      images,
      learningRate: learningRates(this.#optimizer.spec, position.step - position.phase.step - 1),
      ...this.#times(),
    });
    this.#chargedFrom = this.#clock.now();
  }

  /** Throws before anything that is not finite is logged or kept. */
  async #checkFinite(): Promise<void> {
    await this.#optimizer.checkFinite();
    if (!readsLabels(this.#phase)) return;
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
    await record.writeCheckpoint(await encodeCheckpoint(this.#position, model, this.#optimizer));
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

  #reportProgress(more: Pick<Progress, 'cached' | 'ended' | 'evaluated'> = {}): void {
    this.#progressAt = this.#clock.now();
    const { step, epoch, evalMs, phase } = this.#position;
    const { onProgress, phases } = this.#run;
    const { batch, epochs: epochsOfPhase } = this.#phase;
    const later = phases.slice(phase.index + 1);
    const stepsOf = (each: Phase) => each.epochs * this.#stepsPerEpochOf(each);
    const phaseEnd = phase.step + stepsOf(this.#phase);
    const steps = later.reduce((sum, each) => sum + stepsOf(each), phaseEnd);
    const epochs = later.reduce((sum, each) => sum + each.epochs, phase.epoch + epochsOfPhase);
    const { evaluated } = more;
    const elapsed = this.#progressAt - this.#started.at - (evalMs - this.#started.evalMs);
    const pace = (elapsed - (evaluated?.ms ?? 0)) / (step - this.#started.step);
    const stepsLeft = later.reduce((sum, each) => sum + (stepsOf(each) * each.batch) / batch, phaseEnd - step);
    const evaluationsOf = (each: Phase, count: number) => (readsLabels(each) ? count : 0);
    const epochsDone = epoch - phase.epoch;
    const done = phases.slice(0, phase.index).reduce((sum, each) => sum + evaluationsOf(each, each.epochs), 0);
    const evaluation = evaluated
      ? (evaluated.ms * evaluated.of) / evaluated.images
      : (evalMs - this.#cachingMs) / (done + evaluationsOf(this.#phase, epochsDone) || Number.POSITIVE_INFINITY);
    const evaluationsLeft = later.reduce(
      (sum, each) => sum + evaluationsOf(each, each.epochs),
      evaluationsOf(this.#phase, epochsOfPhase - epochsDone),
    );
    const msLeft = stepsLeft * pace + evaluationsLeft * evaluation - (evaluated?.ms ?? 0);
    onProgress?.({
      phase: phase.index,
      phases: phases.length,
      epoch,
      epochs,
      step,
      steps,
      firstStep: this.#firstStep,
      loss: this.#loss,
      imagesPerSecond: imagesPerSecond(this.#position),
      secondsLeft: msLeft / 1000,
      ...more,
    });
  }
}

async function finish({ model, record }: Run, position: Position, log: EventLog): Promise<RunResult> {
  const filters = await firstFilters(model, position.step);
  if (filters !== null) await log.append(filters);
  await log.sync();
  const ends = (await record.readEvents()).filter(isEvaluated);
  const last = ends.at(-1) as EvaluatedEpoch;
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
  const { step, epoch: epochs, trainMs, evalMs, logMs } = position;
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

type EvaluatedEpoch = Extract<RunEvent, { type: 'epoch' }> & { readonly test: Score };

const isEvaluated = (event: RunEvent): event is EvaluatedEpoch => event.type === 'epoch' && event.test !== null;

/** Whether the losses on validation and test images are finite. */
const hasLosses = ({ validation, test }: EvaluatedEpoch) =>
  Number.isFinite(test.loss) && Number.isFinite(validation?.loss ?? 0);

const emptySums = () => ({ images: 0, loss: 0, correct: 0 });

const imagesPerSecond = ({ trainedImages, trainMs }: Position) =>
  trainedImages > 0 && trainMs > 0 ? (1000 * trainedImages) / trainMs : null;
