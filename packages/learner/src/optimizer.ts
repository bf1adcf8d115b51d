/**
 * Three-factor learning as a `tf.Optimizer`: what `model.compile` takes and a custom loop calls. One step is one
 * forward pass, at most one backward pass, and one correlation a layer that serves the gradient and the local rule
 * together.
 */
import { ConfigurationError, type Factory, type GhlError, type Json, type SignalName } from '@ghl/core';
import { completeTensorFlow } from '@ghl/core/backend';
import { checkNumber, checkOptions, unknownName } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { type Assignment, assignmentFrom, assignmentSpec, isPlasticity } from './assignment.js';
import { atStep } from './at-step.js';
import { backward, heldBack, lossOf } from './backward.js';
import { type Binding, bindTo, checkUnchanged, release } from './binding.js';
import { withoutEmptyBatches } from './empty-batch.js';
import { endTrainingBy } from './history.js';
import { journalled } from './journal.js';
import { variableOf } from './model-layers.js';
import { quietLayers } from './quiet-layers.js';
import { type NamedTensor, Progress, readState, writeState } from './saved-state.js';
import { checkProvided, type SignalInputs } from './signals.js';
import { withStandIns } from './stand-in.js';
import { type LayerStatistics, type MeasuredLayer, readStatistics } from './statistics.js';
import { type ForwardPass, makeStep, move, movingWeights, needsActivity, settle } from './step.js';
import { disposeOf } from './tfjs-optimizer.js';
import { codeDataErrors } from './training-data.js';
import { codeFiles, codeUnsavedLosses } from './unsaved.js';

// A model may be built before any function of this package is called.
completeTensorFlow();

/** Options of one step. */
export interface StepOptions {
  /** Whether `minimize` returns the loss, to be disposed of by the caller. Default false. */
  readonly returnCost?: boolean;
  /**
   * The only variables that may move, as tfjs has it. A layer none of whose variables is listed is as at inference.
   * Default: all trainable weights of the model, which is also what `fit` lists.
   */
  readonly varList?: readonly tf.Variable[];
  /** Signals other than `gradient` and `loss`, which the step has by itself. */
  readonly signals?: SignalInputs;
}

/** Marks the instances, for every copy of this package. */
const brand = Symbol.for('@ghl/learner PlasticOptimizer');

const NO_MODEL_HELP =
  'make it with plasticOptimizer(model, assignment), or call register() before tf.loadLayersModel().';

/** The optimizer that {@link plasticOptimizer} makes. */
export class PlasticOptimizer extends tf.Optimizer {
  /** The name under which tfjs saves it. */
  static readonly className = 'GhlPlasticity';

  readonly #assignment: () => Assignment;
  readonly #spec: { readonly [label: string]: Json };
  readonly #ownsOptimizers: boolean;
  readonly #progress: Progress;
  #bound: Binding | null = null;
  #step = 0;
  #stepScale = 1;
  #disposed = false;
  /** Whether the function given to a step is running. */
  #stepping = false;
  /** Of an earlier step; thrown by the next. */
  #failure: GhlError | null = null;
  /** Why this optimizer, loaded from a file, can never make a step. */
  #unusable: GhlError | null = null;
  #polling: Promise<void> | null = null;
  #measurement: { resolve(found: Record<string, LayerStatistics>): void; reject(error: unknown): void } | null = null;

  /** @param assignment What moves what, or a function that builds it when the model is known. */
  constructor(assignment: Assignment | (() => Assignment), spec?: { readonly [label: string]: Json }) {
    super();
    this.#assignment = typeof assignment === 'function' ? assignment : () => assignment;
    this.#spec = spec ?? assignmentSpec(this.#assignment());
    this.#ownsOptimizers = spec !== undefined;
    this.#progress = new Progress();
  }

  /** Resolves the assignment on a model and makes the state. Called once, by {@link plasticOptimizer} or on loading. */
  bind(model: tfl.LayersModel): void {
    this.#bound = bindTo(model, { ...this.#assignment() });
    codeDataErrors(this);
    codeUnsavedLosses(this);
    codeFiles();
  }

  /** The number of updates made so far. */
  get step(): number {
    return this.#step;
  }

  /** As {@link step}: tfjs's name for it. */
  override get iterations(): number {
    return this.#step;
  }

  /** The JSON of the assignment, with the settings that its tfjs optimizers have now. */
  get spec(): { readonly [label: string]: Json } {
    return this.#bound === null ? this.#spec : assignmentSpec(this.#bound.plan.assignment);
  }

  /**
   * What the step of every mover is multiplied by, on top of its own step size: a number, at least 0, at first 1. Set
   * it whenever a schedule is not enough, as in a callback of `fit`; it counts from the next step on, and is saved with
   * the rest. What rules, transforms and tfjs optimizers remember is the same for every scale.
   *
   * @throws On setting: ConfigurationError `BAD_VALUE`, `DISPOSED`.
   */
  get stepScale(): number {
    return this.#stepScale;
  }

  /** Scales the steps from the next one on. */
  set stepScale(scale: number) {
    checkNumber('stepScale', scale, { least: 0 });
    if (this.#disposed) throw disposed();
    this.#stepScale = scale;
    this.#progress.noteScale(scale);
  }

  /**
   * There is none: each mover has a step size of its own.
   *
   * @throws On setting: ConfigurationError `NO_LEARNING_RATE`.
   */
  get learningRate(): undefined {
    return undefined;
  }

  /** Refuses every number. */
  set learningRate(rate: number | undefined) {
    throw noLearningRate(rate);
  }

  /** @throws ConfigurationError `NO_LEARNING_RATE`: as for {@link learningRate}. */
  setLearningRate(rate: number): never {
    throw noLearningRate(rate);
  }

  /** The signals that its plasticities read. */
  get reads(): readonly SignalName[] {
    const { managed } = this.#alive();
    return [...new Set(managed.flatMap(({ planned }) => (isPlasticity(planned.mover) ? planned.mover.reads : [])))];
  }

  /**
   * Makes one step: runs `f`, and moves the weights that its assignment names. `gradient` is computed only if some
   * plasticity, tfjs optimizer or measurement reads it; without readers no backward pass runs.
   *
   * @param f The forward pass; returns the scalar loss, or nothing if nobody reads loss or gradient.
   * @param options Signals and the rest, or tfjs's own `returnCost`.
   * @param varList As tfjs has it; also in `options`.
   * @returns The loss if `returnCost`, else null.
   * @throws Before `f` runs: SignalError `SIGNAL_MISSING`; ConfigurationError `UNKNOWN_VARIABLE`, `UNCLAIMED_WEIGHT`,
   * `UNKNOWN_OPTION`, `DISPOSED`, `NO_MODEL`, `MODEL_CHANGED`, `STEP_UNDER_WAY` within a step of its own;
   * UnsupportedError `MODEL_DISPOSED`; NonFiniteError `NON_FINITE_STEP` of an earlier step. After it, with nothing
   * moved: SignalError `SIGNAL_SHAPE`, `SIGNAL_DTYPE`, `SIGNAL_NOT_FINITE`, `EXAMPLE_COUNT`; ConfigurationError
   * `NOT_A_FUNCTION`, `NO_LOSS`, `NOT_A_LOSS`, `LOSS_SHAPE`, `NO_GRADIENT`, `WRONG_SHAPE`; DataError `EMPTY_TENSOR` for
   * a batch without examples, `LABEL_SHAPE` under `fit`; and whatever `f`, a rule, modulator or transform throws.
   */
  override minimize(f: ForwardPass, options: boolean | StepOptions = {}, varList?: tf.Variable[]): tf.Scalar | null {
    const bound = this.#ready();
    const given: StepOptions = typeof options === 'boolean' ? { returnCost: options } : (options ?? {});
    checkOptions('minimize', given, ['returnCost', 'varList', 'signals']);
    const { returnCost = false, signals = {} } = given;
    const listed = given.varList ?? varList ?? undefined;
    const moving = movingWeights(bound, listed);
    checkProvided(moving, signals);

    const measurement = this.#measurement;
    this.#measurement = null;
    const measured: MeasuredLayer[] = [];
    const step = {
      step: this.#step,
      f,
      moving,
      varList: listed,
      signals,
      scale: this.#stepScale,
      measured: measurement && measured,
    };
    try {
      const cost = this.#exclusively(() => tf.tidy(() => makeStep(bound, step) as tf.Scalar)) as tf.Scalar | null;
      this.#advance(bound);
      endTrainingBy(bound.model, this, async () => {
        if (!this.#disposed) await this.checkFinite();
      });
      measurement?.resolve(readStatistics(measured) as never);
      if (returnCost) return cost;
      cost?.dispose();
      return null;
    } catch (error) {
      tf.dispose(measured.flatMap(({ numbers, winShare }) => [numbers, ...(winShare ? [winShare] : [])]));
      measurement?.reject(error);
      throw error;
    }
  }

  /** Runs a step: whatever the function that is given to it calls, it is no other step of this optimizer. */
  #exclusively<T>(body: () => T): T {
    this.#stepping = true;
    try {
      return body();
    } finally {
      this.#stepping = false;
    }
  }

  #advance(bound: Binding): void {
    this.#step += 1;
    this.#progress.noteStep(this.#step);
    // Reads the flags without waiting, at most one read under way; what it finds is thrown by the next step.
    this.#polling ??= bound.flags
      .take()
      .catch((error: GhlError) => error) // such as a device that is lost
      .then((found) => {
        this.#polling = null;
        this.#failure ??= found;
      });
  }

  #throwFailure(): void {
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure;
  }

  /**
   * Reads the flags that every step keeps on the device. A step that was not finite left the weights of its
   * plasticities where they were. `fit` and `fitDataset` call this at their end, if this optimizer was made on the
   * model that they train; a loop of one's own, and one of `trainOnBatch`, calls it where it reads the loss.
   *
   * @throws NonFiniteError `NON_FINITE_STEP` with the first bad step, its layer, and the likely cause. The flags are
   * then cleared.
   */
  async checkFinite(): Promise<void> {
    const bound = this.#alive();
    await this.#polling;
    this.#throwFailure();
    const found = await bound.flags.take();
    if (found !== null) throw found;
  }

  /**
   * Asks for statistics of the next step, which costs that step a backward pass if nothing else reads the gradient.
   *
   * @returns By layer path; resolved after the step. A second request before the step is an error.
   * @throws ConfigurationError `ALREADY_MEASURING`.
   */
  measureNextStep(): Promise<Record<string, LayerStatistics>> {
    this.#alive();
    if (this.#measurement !== null) {
      throw new ConfigurationError(
        'ALREADY_MEASURING',
        'The next step is being measured already.',
        'await the first measureNextStep() before asking again.',
      );
    }
    return new Promise((resolve, reject) => {
      this.#measurement = { resolve, reject };
    });
  }

  /**
   * The loss and its gradients, with frozen layers as `minimize` has them; to be disposed of by the caller.
   *
   * @param varList Default: all weights that `minimize` would move.
   * @throws ConfigurationError `NEEDS_ACTIVITY` where a rule needs x and y, which only `minimize` records;
   * `UNKNOWN_VARIABLE`.
   */
  override computeGradients(
    f: () => tf.Scalar,
    varList?: tf.Variable[],
  ): {
    /** f(), one number. */
    value: tf.Scalar;
    /** ∂f/∂W by variable name, each shaped like its variable; none where f does not depend on it. */
    grads: tf.NamedTensorMap;
  } {
    const bound = this.#refuseRules('computeGradients');
    const readers = [...movingWeights(bound, varList)];
    const held = heldBack();
    return this.#exclusively(() =>
      tf.tidy(() => {
        let value: tf.Scalar | null = null;
        const forward = () => {
          value = withoutEmptyBatches(readers, () => lossOf(f, true));
          return value;
        };
        const gradients = journalled(bound.plan.layers, (journal) => {
          const found = atStep(bound.plan, this.#step, () =>
            withStandIns(quietLayers(bound.plan, varList), () => backward(forward, readers, [], held)),
          );
          settle(bound, this.#step, journal);
          return found;
        });
        const named = [...gradients].flatMap(([{ name }, grad]) => (grad === null ? [] : [[name, grad] as const]));
        return { value: value as unknown as tf.Scalar, grads: Object.fromEntries(named) };
      }),
    );
  }

  /**
   * Applies gradients from elsewhere, by variable name, as one step. What is frozen stays.
   *
   * @throws ConfigurationError `NEEDS_ACTIVITY` where a rule needs x and y, which only `minimize` records;
   * `UNKNOWN_VARIABLE`; NonFiniteError `NON_FINITE_STEP` of an earlier step.
   */
  override applyGradients(grads: tf.NamedTensorMap | NamedTensor[]): void {
    const bound = this.#refuseRules('applyGradients');
    const list = Array.isArray(grads) ? grads : Object.entries(grads).map(([name, tensor]) => ({ name, tensor }));
    const own = new Map(bound.plan.weights.map(({ weight }) => [variableOf(weight).name, variableOf(weight)]));
    const gradients = new Map(
      list.map(({ name, tensor }) => {
        const variable = own.get(name);
        if (variable === undefined) throw unknownName('variable', name, own.keys());
        checkGradient(name, tensor, variable);
        return [variable, tensor] as const;
      }),
    );
    const moving = movingWeights(bound, undefined);
    const [step, scale] = [this.#step, this.#stepScale];
    tf.tidy(() => {
      // A step disposes of its gradients; these are the caller's.
      const copies = new Map(
        [...gradients].map(([variable, tensor]) => [variable, tensor && tf.clone(tensor)] as const),
      );
      const none = { signals: {}, loss: null, plastic: new Map(), measured: null };
      journalled(bound.plan.layers, (journal) =>
        move(bound, { step, moving, gradients: copies, scale, ...none }, journal),
      );
    });
    this.#advance(bound);
  }

  #refuseRules(method: string): Binding {
    const bound = this.#ready();
    const rule = bound.managed.find(({ planned: { mover } }) => needsActivity(mover));
    if (rule === undefined) return bound;
    throw new ConfigurationError(
      'NEEDS_ACTIVITY',
      `${method}() cannot move ${rule.planned.path}: its rule needs the layer's activity.`,
      'call minimize(), which records it.',
    );
  }

  /**
   * Everything that the next step depends on: the step and its scale, each plasticity's state under its weight's path,
   * and what tfjs optimizers remember under their label. The tensors are the live ones: clone what should outlast the
   * next step.
   */
  override async getWeights(): Promise<NamedTensor[]> {
    return readState(this.#alive(), this.#progress);
  }

  /**
   * Takes back what {@link getWeights} gave; the tensors stay the caller's.
   *
   * @throws StateError `STATE_MISMATCH` for a name or shape that is not this optimizer's; nothing is changed then.
   */
  override async setWeights(weights: NamedTensor[]): Promise<void> {
    if (this.#unusable !== null) return; // tfjs calls this on loading; the model should load all the same
    const { step, stepScale } = await writeState(this.#idle(), this.#progress, weights);
    [this.#step, this.#stepScale] = [step, stepScale];
  }

  /**
   * The spec as text, since tfjs rewrites the keys of objects on loading; and words with underscores, so it has none.
   */
  override getConfig(): tf.serialization.ConfigDict {
    return { spec: JSON.stringify(this.spec).replaceAll('_', '\\u005f') };
  }

  /** An optimizer that learns its model on loading, from what {@link getConfig} gave. */
  static fromSaved(config: tf.serialization.ConfigDict, plugins: Readonly<Record<string, Factory>>): PlasticOptimizer {
    const spec = JSON.parse(config.spec as string) as { readonly [label: string]: Json };
    return new PlasticOptimizer(() => assignmentFrom(spec, plugins), spec);
  }

  /** Makes every later use throw `error`, for a saved optimizer that cannot be rebuilt. */
  fail(error: GhlError): void {
    this.#unusable = error;
  }

  /**
   * Frees its state. The model, and tfjs optimizers in the assignment, stay the caller's. Twice is fine; every later
   * use throws ConfigurationError `DISPOSED`.
   */
  override dispose(): void {
    if (this.#disposed) return;
    this.#refuseWithin();
    this.#disposed = true;
    this.#progress.dispose();
    this.#measurement?.reject(disposed());
    if (this.#bound === null) return;
    release(this.#bound);
    if (this.#ownsOptimizers) for (const optimizer of this.#bound.optimizers.keys()) disposeOf(optimizer);
  }

  #alive(): Binding {
    if (this.#disposed) throw disposed();
    if (this.#unusable !== null) throw this.#unusable;
    if (this.#bound === null) {
      throw new ConfigurationError('NO_MODEL', 'This optimizer does not know its model.', NO_MODEL_HELP);
    }
    return this.#bound;
  }

  #refuseWithin(): void {
    if (!this.#stepping) return;
    throw new ConfigurationError(
      'STEP_UNDER_WAY',
      'The function given to minimize() used the optimizer itself.',
      'let it only compute the loss; make the next step after it.',
    );
  }

  #idle(): Binding {
    const bound = this.#alive();
    this.#refuseWithin();
    return bound;
  }

  /** Before a step. */
  #ready(): Binding {
    const bound = this.#idle();
    this.#throwFailure();
    checkUnchanged(bound);
    return bound;
  }
}

Object.defineProperty(PlasticOptimizer.prototype, brand, { value: true });
// That of `tf.Optimizer`, which this class would inherit, is true of everything that can minimize, such as
// `tf.train.adam()`.
Object.defineProperty(PlasticOptimizer, Symbol.hasInstance, {
  value(this: unknown, instance: { readonly [brand]?: true } | null | undefined): boolean {
    if (this === PlasticOptimizer) return instance?.[brand] === true;
    return Function.prototype[Symbol.hasInstance].call(this as never, instance); // of a subclass
  },
});

function checkGradient(name: string, gradient: tf.Tensor, { shape }: tf.Variable): void {
  if (gradient == null || tf.util.arraysEqual(gradient.shape, shape)) return;
  throw new ConfigurationError(
    'WRONG_SHAPE',
    `The gradient of '${name}' has the shape [${gradient.shape}], not [${shape}].`,
    'give each gradient in the shape of its variable.',
  );
}

function noLearningRate(rate: unknown): ConfigurationError {
  return new ConfigurationError(
    'NO_LEARNING_RATE',
    `This optimizer has no learning rate to be set to ${rate}.`,
    'set optimizer.stepScale, which multiplies every step size, or give a mover a schedule: scaleBy(cosine(1e-2, steps)).',
  );
}

function disposed(): ConfigurationError {
  return new ConfigurationError(
    'DISPOSED',
    'This optimizer has been disposed of.',
    'make a new one with plasticOptimizer(model, assignment).',
  );
}
