/**
 * Three-factor learning as a `tf.Optimizer`, for `model.compile` and for custom loops. One step is one forward pass, at
 * most one backward pass, and one correlation per layer that serves both the gradient and the local rule.
 */
import { ConfigurationError, type Factory, type GhlError, type Json, type SignalName } from '@ghl/core';
import { completeTensorFlow } from '@ghl/core/backend';
import { checkNumber, checkOptions, unknownName } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { type Assignment, assignmentFrom, assignmentSpec, isPlasticity } from './assignment.js';
import { backward, deferErrors, lossOf } from './backward.js';
import { type Binding, bindTo, checkUnchanged, release } from './binding.js';
import { type FrozenPrefix, frozenPrefixOf } from './frozen-prefix.js';
import { planOverrides } from './override-plan.js';
import { type NamedTensor, Progress, readState, writeState } from './saved-state.js';
import { checkProvided, type RequiredSignal, type SignalInputs, signalsOf } from './signals.js';
import { type LayerStatistics, type MeasuredLayer, readStatistics } from './statistics.js';
import { withStep } from './step-counter.js';
import { refuseEmptyTensors } from './tfjs/empty-batch.js';
import { checkAtEndOfTraining } from './tfjs/history.js';
import { variableOf } from './tfjs/internals.js';
import { withJournal } from './tfjs/journal.js';
import { withOverrides } from './tfjs/layer-overrides.js';
import { codeFileErrors } from './tfjs/node-files.js';
import { disposeOf } from './tfjs/tfjs-optimizer.js';
import { recordTrainingBatches, trainingBatchOf } from './tfjs/training-batch.js';
import { codeDataErrors } from './tfjs/training-data.js';
import { codeUnsavedLosses } from './tfjs/unsaved.js';
import {
  applyUpdates,
  commitIfFinite,
  type ForwardPass,
  makeStep,
  movingWeights,
  needsActivity,
} from './train-step.js';

// The user may build a model before calling any function of this package.
completeTensorFlow();

/** Options of one step. */
export interface StepOptions {
  /** Whether `minimize` returns the loss. The caller must dispose of it. Default false. */
  readonly returnCost?: boolean;
  /**
   * The only variables that may move, as in tfjs. A layer with no variable in the list runs in inference mode. Default:
   * all trainable weights of the model, which `fit` passes too.
   */
  readonly varList?: readonly tf.Variable[];
  /** The signals other than `gradient` and `loss`, which the step computes itself. */
  readonly signals?: SignalInputs;
}

/**
 * The options that `minimize` requires. They may be omitted, which TypeScript expresses by void, if the step computes
 * all signals itself.
 *
 * @typeParam R Names of the signals that the assignment reads.
 */
export type RequiredOptions<R extends SignalName> = [RequiredSignal<R>] extends [never]
  ? AnyOptions
  : StepOptions & { readonly signals: Required<Pick<SignalInputs, RequiredSignal<R>>> };

// biome-ignore lint/suspicious/noConfusingVoidType: an argument that may be omitted
type AnyOptions = StepOptions | void;

/** Marks the instances of every copy of this package. */
const brand = Symbol.for('@ghl/learner PlasticOptimizer');

/** The life of an optimizer. Only one that is ready can start a step. */
type Status =
  | { readonly name: 'unbound' }
  /** Loaded from a file, and impossible to rebuild. */
  | { readonly name: 'unusable'; readonly error: GhlError }
  | { readonly name: 'ready'; readonly binding: Binding }
  /** The function given to a step is running. */
  | { readonly name: 'stepping'; readonly binding: Binding }
  | { readonly name: 'disposed' };

/** A request for the statistics of the next step. */
interface Measurement {
  resolve(statistics: Record<string, LayerStatistics>): void;
  reject(error: unknown): void;
}

/**
 * The optimizer that {@link plasticOptimizer} creates.
 *
 * @typeParam Options The options that `minimize` requires, if the signals of the assignment are known statically.
 */
export class PlasticOptimizer<Options extends AnyOptions = AnyOptions> extends tf.Optimizer {
  /** The class name in saved models. */
  static readonly className = 'GhlPlasticity';

  readonly #assignment: () => Assignment;
  readonly #ownsOptimizers: boolean;
  readonly #progress: Progress;
  #spec: { readonly [selector: string]: Json };
  #status: Status = { name: 'unbound' };
  #step = 0;
  #stepScale = 1;
  /** The error of an earlier step, which the next step throws. */
  #failure: GhlError | null = null;
  #polling: Promise<void> | null = null;
  #measurement: Measurement | null = null;

  /** @param assignment The updaters by selector, or a function that builds them once the model is known. */
  constructor(assignment: Assignment | (() => Assignment), spec?: { readonly [selector: string]: Json }) {
    super();
    this.#assignment = typeof assignment === 'function' ? assignment : () => assignment;
    this.#spec = spec ?? assignmentSpec(this.#assignment());
    this.#ownsOptimizers = spec !== undefined;
    this.#progress = new Progress();
  }

  /** Resolves the assignment on a model, and creates the state. {@link plasticOptimizer} and loading call it once. */
  bind(model: tfl.LayersModel): void {
    this.#status = { name: 'ready', binding: bindTo(model, { ...this.#assignment() }) };
    codeDataErrors(this);
    recordTrainingBatches();
    codeUnsavedLosses(this);
    codeFileErrors();
  }

  /** The number of updates so far. */
  get step(): number {
    return this.#step;
  }

  /** The number of updates so far, by the name that tfjs uses. */
  override get iterations(): number {
    return this.#step;
  }

  /** The JSON of the assignment, with the present settings of its tfjs optimizers. */
  get spec(): { readonly [selector: string]: Json } {
    return 'binding' in this.#status ? assignmentSpec(this.#status.binding.plan.assignment) : this.#spec;
  }

  /**
   * A factor of the step of every updater, in addition to its own step size: a number of at least 0, initially 1. Set
   * it when a schedule is not enough, such as in a callback of `fit`. It takes effect at the next step, and is saved
   * with the model. It acts before constraints such as `unitNorm`, which still hold. It does not change the state of
   * rules, transforms and tfjs optimizers.
   *
   * @throws When set: ConfigurationError `BAD_VALUE`, `DISPOSED`.
   */
  get stepScale(): number {
    return this.#stepScale;
  }

  /** Scales all steps from the next one. */
  set stepScale(scale: number) {
    checkNumber('stepScale', scale, { least: 0 });
    if (this.#status.name === 'disposed') throw disposed();
    this.#stepScale = scale;
    this.#progress.noteScale(scale);
  }

  /**
   * Undefined, since each updater has its own step size.
   *
   * @throws When set: ConfigurationError `NO_LEARNING_RATE`.
   */
  get learningRate(): undefined {
    return undefined;
  }

  /** Throws for every value. */
  set learningRate(rate: number | undefined) {
    throw noLearningRate(rate);
  }

  /** @throws ConfigurationError `NO_LEARNING_RATE`, as {@link learningRate} does. */
  setLearningRate(rate: number): never {
    throw noLearningRate(rate);
  }

  /** The signals that its plasticities read. */
  get reads(): readonly SignalName[] {
    const { managed } = this.#alive();
    return [...new Set(managed.flatMap(({ planned: { updater } }) => (isPlasticity(updater) ? updater.reads : [])))];
  }

  /**
   * The layers that no step of this optimizer changes, up to the last single tensor through which every path from the
   * input to the output of the model passes. A training loop computes that tensor once per example, and takes its steps
   * on the rest of the model:
   *
   *     const features = frozen.prefix.apply(x, { training: false });
   *     optimizer.minimize(() => loss(frozen.rest.apply(features, { training: true }), y));
   *
   * A layer belongs to them if it is frozen, or has no weight and does not depend on the training mode. Stateful
   * layers, active dropout, batch norm that is not frozen, and layers with a mask do not. Freezing or thawing a layer
   * later makes the result obsolete.
   *
   * @returns null if no layer with weights is frozen up to such a tensor, if the model has several inputs, or if a size
   * of its input other than the batch is unknown.
   */
  frozenPrefix(): FrozenPrefix | null {
    return frozenPrefixOf(this.#ready().plan);
  }

  /**
   * Takes one step: runs `f`, and moves the weights that the assignment covers. No backward pass runs unless a
   * plasticity, a tfjs optimizer or a measurement reads the gradient.
   *
   * `docs/reference/errors.md` lists the causes and remedies of all error codes.
   *
   * @param f The forward pass. Returns the scalar loss, or nothing if neither the loss nor the gradient is read.
   * @param options Signals and other options, or `returnCost` as in tfjs.
   * @param varList As in tfjs. `options` has it too.
   * @returns The loss if `returnCost` is true, else null.
   * @throws Before `f` runs: SignalError, ConfigurationError or UnsupportedError for wrong arguments or a changed
   * model; NonFiniteError `NON_FINITE_STEP` of an earlier step. Afterwards, with nothing changed: SignalError,
   * ConfigurationError or DataError for wrong signals, losses or data, and any error of `f`, a rule, modulator or
   * transform.
   */
  override minimize(f: ForwardPass, options: boolean | undefined | Options, varList?: tf.Variable[]): tf.Scalar | null {
    const binding = this.#ready();
    const stepOptions: StepOptions = typeof options === 'boolean' ? { returnCost: options } : { ...options };
    checkOptions('minimize', stepOptions, ['returnCost', 'varList', 'signals']);
    const { returnCost = false } = stepOptions;
    const listed = stepOptions.varList ?? varList ?? undefined;
    const moving = movingWeights(binding, listed);
    const signals = signalsOf(moving, stepOptions.signals ?? {}, trainingBatchOf(this));
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
      const cost = this.#exclusively(binding, () =>
        tf.tidy(() => makeStep(binding, step) as tf.Scalar),
      ) as tf.Scalar | null;
      this.#advance(binding);
      checkAtEndOfTraining(binding.model, this, async () => {
        if (this.#status.name !== 'disposed') await this.checkFinite();
      });
      measurement?.resolve(readStatistics(measured) as Promise<never> as never);
      if (returnCost) return cost;
      cost?.dispose();
      return null;
    } catch (error) {
      tf.dispose(measured.flatMap(({ numbers, winShare }) => [numbers, ...(winShare ? [winShare] : [])]));
      measurement?.reject(error);
      throw error;
    }
  }

  /** Runs `body`. A nested step throws `STEP_UNDER_WAY`. */
  #exclusively<T>(binding: Binding, body: () => T): T {
    this.#status = { name: 'stepping', binding };
    try {
      return body();
    } finally {
      this.#status = { name: 'ready', binding };
    }
  }

  #advance({ flags }: Binding): void {
    this.#step += 1;
    this.#progress.noteStep(this.#step);
    // Reads the flags without waiting, one read at a time. The next step throws the error, if there is one.
    this.#polling ??= flags
      .take()
      .catch((error: GhlError) => error) // such as a lost device
      .then((failure) => {
        this.#polling = null;
        this.#failure ??= failure;
      });
  }

  #throwFailure(): void {
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure;
  }

  /**
   * Reads the flags that every step keeps on the device. A step that was not finite changed no weight. `fit` and
   * `fitDataset` call this at their end, if this optimizer was created on the model that they train. In a custom loop,
   * or after `trainOnBatch`, call it where you read the loss.
   *
   * @throws NonFiniteError `NON_FINITE_STEP` with the first bad step, its weight and the likely cause. The flags are
   * then cleared.
   */
  async checkFinite(): Promise<void> {
    const { flags } = this.#alive();
    await this.#polling;
    this.#throwFailure();
    const failure = await flags.take();
    if (failure !== null) throw failure;
  }

  /**
   * Requests statistics of the next step. That step needs a backward pass even if nothing else reads the gradient.
   *
   * @returns The statistics by layer path, after the step.
   * @throws ConfigurationError `ALREADY_MEASURING` for a second request before the step.
   */
  measureNextStep(): Promise<Record<string, LayerStatistics>> {
    this.#alive();
    if (this.#measurement !== null) {
      throw new ConfigurationError(
        'ALREADY_MEASURING',
        'The next step is already measured.',
        'await the first measureNextStep() before the next request.',
      );
    }
    return new Promise((resolve, reject) => {
      this.#measurement = { resolve, reject };
    });
  }

  /**
   * Computes the loss and its gradients. Frozen layers run as in `minimize`. The caller must dispose of the tensors.
   *
   * @param varList Default: all weights that `minimize` would move.
   * @throws ConfigurationError `NEEDS_ACTIVITY` if a rule needs x and y, which only `minimize` records;
   * `UNKNOWN_VARIABLE`.
   */
  override computeGradients(
    f: () => tf.Scalar,
    varList?: tf.Variable[],
  ): {
    /** f(), one number. */
    value: tf.Scalar;
    /** ∂f/∂W by variable name, each in the shape of its variable. Omits variables on which f does not depend. */
    grads: tf.NamedTensorMap;
  } {
    const binding = this.#refuseRules('computeGradients');
    const { plan } = binding;
    const readers = [...movingWeights(binding, varList)];
    const errors = deferErrors();
    return this.#exclusively(binding, () =>
      tf.tidy(() => {
        let value: tf.Scalar | null = null;
        const forward = () => {
          value = refuseEmptyTensors(readers, () => lossOf(f, true));
          return value;
        };
        const gradients = withJournal(plan.layers, (journal) => {
          const gradients = withStep(plan, this.#step, () =>
            withOverrides(planOverrides(plan, varList), () => backward(forward, readers, [], errors)),
          );
          commitIfFinite(binding, this.#step, journal);
          return gradients;
        });
        const named = [...gradients].flatMap(([{ name }, grad]) => (grad === null ? [] : [[name, grad] as const]));
        return { value: value as tf.Tensor | null as tf.Scalar, grads: Object.fromEntries(named) };
      }),
    );
  }

  /**
   * Applies gradients by variable name as one step. Frozen weights do not move.
   *
   * @throws ConfigurationError `NEEDS_ACTIVITY` if a rule needs x and y, which only `minimize` records;
   * `UNKNOWN_VARIABLE`. NonFiniteError `NON_FINITE_STEP` of an earlier step.
   */
  override applyGradients(grads: tf.NamedTensorMap | NamedTensor[]): void {
    const binding = this.#refuseRules('applyGradients');
    const { plan } = binding;
    const list = Array.isArray(grads) ? grads : Object.entries(grads).map(([name, tensor]) => ({ name, tensor }));
    const own = new Map(plan.weights.map(({ weight }) => [variableOf(weight).name, variableOf(weight)]));
    const gradients = new Map(
      list.map(({ name, tensor }) => {
        const variable = own.get(name);
        if (variable === undefined) throw unknownName('variable', name, own.keys());
        checkGradient(name, tensor, variable);
        return [variable, tensor] as const;
      }),
    );
    const moving = movingWeights(binding, undefined);
    const [step, scale] = [this.#step, this.#stepScale];
    tf.tidy(() => {
      // A step disposes of its gradients, but these belong to the caller.
      const copies = new Map(
        [...gradients].map(([variable, tensor]) => [variable, tensor && tf.clone(tensor)] as const),
      );
      const none = { signals: {}, loss: null, plastic: new Map(), measured: null };
      withJournal(plan.layers, (journal) =>
        applyUpdates(binding, { step, moving, gradients: copies, scale, ...none }, journal),
      );
    });
    this.#advance(binding);
  }

  #refuseRules(method: string): Binding {
    const binding = this.#ready();
    const rule = binding.managed.find(({ planned: { updater } }) => needsActivity(updater));
    if (rule === undefined) return binding;
    throw new ConfigurationError(
      'NEEDS_ACTIVITY',
      `${method}() cannot move ${rule.planned.path}: its rule needs the layer's activity.`,
      'call minimize(), which records it.',
    );
  }

  /**
   * Returns everything that the next step depends on: the step and its scale, the state of each plasticity under the
   * path of its weight, and the state of each tfjs optimizer under its selector. The tensors are live. Clone those that
   * must outlast the next step.
   */
  override async getWeights(): Promise<NamedTensor[]> {
    return readState(this.#alive(), this.#progress);
  }

  /**
   * Restores the result of {@link getWeights}. The tensors remain the caller's.
   *
   * @throws StateError `STATE_MISMATCH` for an unknown name or a wrong shape. Nothing changes then.
   */
  override async setWeights(weights: NamedTensor[]): Promise<void> {
    if (this.#status.name === 'unusable') return; // tfjs calls this on loading, which must not fail
    const { step, stepScale } = await writeState(this.#idle(), this.#progress, weights);
    [this.#step, this.#stepScale] = [step, stepScale];
  }

  /**
   * Returns the spec as text. On loading, tfjs changes the keys of objects and words with underscores, so the text
   * contains neither.
   */
  override getConfig(): tf.serialization.ConfigDict {
    return { spec: JSON.stringify(this.spec).replaceAll('_', '\\u005f') };
  }

  /** Creates an optimizer from the result of {@link getConfig}. Loading binds it to its model afterwards. */
  static fromSaved(
    config: tf.serialization.ConfigDict,
    factories: Readonly<Record<string, Factory>>,
  ): PlasticOptimizer {
    const spec = JSON.parse(config.spec as string) as { readonly [selector: string]: Json };
    return new PlasticOptimizer(() => assignmentFrom(spec, factories), spec);
  }

  /** Makes every later use throw `error`, for a saved optimizer that cannot be rebuilt. */
  fail(error: GhlError): void {
    this.#status = { name: 'unusable', error };
  }

  /**
   * Disposes of the state. The model, and tfjs optimizers in the assignment, remain the caller's. A second call does
   * nothing. Every later use throws ConfigurationError `DISPOSED`.
   */
  override dispose(): void {
    const status = this.#status;
    if (status.name === 'disposed') return;
    this.#refuseNested();
    this.#spec = this.spec;
    this.#status = { name: 'disposed' };
    this.#progress.dispose();
    this.#measurement?.reject(disposed());
    if (status.name !== 'ready') return;
    release(status.binding);
    if (this.#ownsOptimizers) for (const optimizer of status.binding.optimizers.keys()) disposeOf(optimizer);
  }

  #alive(): Binding {
    const status = this.#status;
    if ('binding' in status) return status.binding;
    if (status.name === 'unusable') throw status.error;
    if (status.name === 'disposed') throw disposed();
    throw new ConfigurationError(
      'NO_MODEL',
      'This optimizer has no model.',
      'create it with plasticOptimizer(model, assignment), or call register(factories) before tf.loadLayersModel().',
    );
  }

  #refuseNested(): void {
    if (this.#status.name !== 'stepping') return;
    throw new ConfigurationError(
      'STEP_UNDER_WAY',
      'The function given to minimize() used the optimizer itself.',
      'only compute the loss in it, and take the next step afterwards.',
    );
  }

  #idle(): Binding {
    const binding = this.#alive();
    this.#refuseNested();
    return binding;
  }

  /** The checks before a step. */
  #ready(): Binding {
    const binding = this.#idle();
    this.#throwFailure();
    checkUnchanged(binding);
    return binding;
  }
}

Object.defineProperty(PlasticOptimizer.prototype, brand, { value: true });
// The inherited method of `tf.Optimizer` accepts everything that has a minimize(), such as `tf.train.adam()`.
Object.defineProperty(PlasticOptimizer, Symbol.hasInstance, {
  value(this: unknown, instance: { readonly [brand]?: true } | null | undefined): boolean {
    if (this === PlasticOptimizer) return instance?.[brand] === true;
    return Function.prototype[Symbol.hasInstance].call(this as never, instance); // a subclass
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
    `This optimizer has no learning rate, so it cannot be set to ${rate}.`,
    'set optimizer.stepScale, which multiplies every step size, or give an updater a schedule: scaleBy(cosine(1e-2, steps)).',
  );
}

function disposed(): ConfigurationError {
  return new ConfigurationError(
    'DISPOSED',
    'This optimizer was disposed of.',
    'create a new one with plasticOptimizer(model, assignment).',
  );
}
