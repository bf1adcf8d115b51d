/**
 * Three-factor learning as a `tf.Optimizer`: what `model.compile` takes and a custom loop calls. One step is one forward
 * pass, at most one backward pass, and one correlation a layer that serves the gradient and the local rule together.
 */
import {
  type AvailableSignals,
  ConfigurationError,
  type Factory,
  type GhlError,
  increment,
  initState,
  type Json,
  leaves,
  mapLeaves,
  type PlasticityState,
  type SignalName,
  StateError,
  unknownName,
} from '@ghl/core';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import {
  type Assignment,
  assignmentFrom,
  assignmentSpec,
  isPlasticity,
  type Mover,
  type Plan,
  type PlannedWeight,
  refuseUnclaimed,
  resolve,
} from './assignment.js';
import { atStep } from './at-step.js';
import { backward, checkLoss, heldBack } from './backward.js';
import { allFinite, nonFinite } from './finite.js';
import { isTrainable, variableOf } from './model-layers.js';
import { type PlasticLayer, plasticLayer } from './plastic-layer.js';
import { quietLayers } from './quiet-layers.js';
import { checkProvided, evaluate, type SignalInputs } from './signals.js';
import { listening, withStandIns } from './stand-in.js';
import { type LayerStatistics, type MeasuredLayer, measureLayer, readStatistics } from './statistics.js';

/** The forward pass of a step: returns the scalar loss, or nothing. */
// biome-ignore lint/suspicious/noConfusingVoidType: so that a function without a return statement fits, as a user expects
export type ForwardPass = () => tf.Scalar | void;

/** Options of one step. */
export interface StepOptions {
  /** Whether `minimize` returns the loss, to be disposed of by the caller. Default false. */
  readonly returnCost?: boolean;
  /**
   * The only variables that may move, as tfjs has it. A layer none of whose variables is listed is as at inference. Default:
   * all trainable weights of the model, which is also what `fit` lists.
   */
  readonly varList?: readonly tf.Variable[];
  /** Signals other than `gradient` and `loss`, which the step has by itself. */
  readonly signals?: SignalInputs;
}

type NamedTensor = Awaited<ReturnType<tf.Optimizer['getWeights']>>[number];

/** A weight that a plasticity moves, with what it remembers. */
interface Managed {
  readonly planned: PlannedWeight;
  state: PlasticityState;
}

/** What the optimizer knows once it knows its model. */
interface Bound {
  readonly plan: Plan;
  readonly managed: readonly Managed[];
  readonly optimizers: ReadonlyMap<tf.Optimizer, readonly PlannedWeight[]>;
  /** Step of the first increment that was not finite, plus 1, per managed weight; the last entry is the loss's. */
  readonly flags: tf.Variable;
}

const NO_MODEL_HELP = 'make it with plasticity(model, assignment), or call register() before tf.loadLayersModel().';

/** The optimizer that {@link plasticity} makes. */
export class PlasticityOptimizer extends tf.Optimizer {
  /** The name under which tfjs saves it. */
  static readonly className = 'GhlPlasticity';

  readonly #assignment: () => Assignment;
  readonly #spec: { readonly [label: string]: Json };
  readonly #ownsOptimizers: boolean;
  readonly #stepVariable: tf.Variable;
  #bound: Bound | null = null;
  #step = 0;
  #disposed = false;
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
    this.#stepVariable = tf.tidy(() => tf.variable(tf.scalar(0, 'int32'), false));
  }

  /** Resolves the assignment on a model and makes the state. Called once, by {@link plasticity} or on loading. */
  bind(model: tfl.LayersModel): void {
    const plan = resolve(model, this.#assignment());
    const managed: Managed[] = [];
    const optimizers = new Map<tf.Optimizer, PlannedWeight[]>();
    for (const planned of plan.weights) {
      const { mover, weight, connection } = planned;
      if (isPlasticity(mover)) {
        managed.push({
          planned,
          state: keptState(() => initState(mover, variableOf(weight).shape, connection?.units)),
        });
      } else if (mover !== null) {
        optimizers.set(mover, [...(optimizers.get(mover) ?? []), planned]);
      }
    }
    const flags = tf.tidy(() => tf.variable(tf.zeros([managed.length + 1]), false));
    this.#bound = { plan, managed, optimizers, flags };
  }

  /** The number of updates made so far. */
  get step(): number {
    return this.#step;
  }

  /** As {@link step}: tfjs's name for it. */
  override get iterations(): number {
    return this.#step;
  }

  /** The JSON of the assignment. */
  get spec(): { readonly [label: string]: Json } {
    return this.#spec;
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
   * @throws SignalError `SIGNAL_MISSING` before `f` runs, `SIGNAL_SHAPE`, `EXAMPLE_COUNT`; ConfigurationError `NO_LOSS`,
   * `LOSS_SHAPE`, `NO_GRADIENT`, `UNKNOWN_VARIABLE`, `DISPOSED`, `NO_MODEL`; NonFiniteError `NON_FINITE_STEP` of an
   * earlier step.
   */
  override minimize(f: ForwardPass, options: boolean | StepOptions = {}, varList?: tf.Variable[]): tf.Scalar | null {
    const bound = this.#alive();
    this.#throwFailure();
    const given = typeof options === 'boolean' ? { returnCost: options, varList } : { varList, ...options };
    const moving = this.#moving(bound, given.varList);
    const signals = given.signals ?? {};
    checkProvided(moving, signals);

    const measurement = this.#measurement;
    this.#measurement = null;
    const measured: MeasuredLayer[] = [];
    try {
      const cost = tf.tidy(
        () => this.#run(bound, moving, f, signals, given.varList, measurement && measured) as tf.Scalar,
      ) as tf.Scalar | null;
      this.#advance();
      this.#poll(bound);
      measurement?.resolve(readStatistics(measured) as never);
      if (given.returnCost) return cost;
      cost?.dispose();
      return null;
    } catch (error) {
      tf.dispose(measured.flatMap(({ numbers, winShare }) => [numbers, ...(winShare ? [winShare] : [])]));
      measurement?.reject(error);
      throw error;
    }
  }

  #run(
    bound: Bound,
    moving: ReadonlySet<PlannedWeight>,
    f: ForwardPass,
    inputs: SignalInputs,
    varList: readonly tf.Variable[] | undefined,
    measured: MeasuredLayer[] | null,
  ): tf.Scalar | null {
    const { plan, managed, optimizers } = bound;
    const step = this.#step;
    const active = managed.filter(({ planned }) => moving.has(planned));
    const plastic = new Map<Managed, PlasticLayer>();
    const kept: tf.Tensor[] = [];
    const held = heldBack();
    let loss: tf.Scalar | null = null;
    let signals: AvailableSignals | null = null;
    const settle = () => {
      if (signals !== null) return signals;
      const batch = [...plastic.values()].find(({ calls }) => calls.length > 0)?.calls[0]?.post.shape[0];
      // Kept, since the first to ask may be the backward pass, whose tensors end with it.
      const given = Object.entries(evaluate(inputs, batch)).map(
        ([name, tensor]) => [name, tf.keep(tf.clone(tensor as tf.Tensor))] as const,
      );
      kept.push(...given.map(([, tensor]) => tensor));
      signals = { ...(loss !== null && { loss }), ...Object.fromEntries(given) };
      for (const [each, layer] of plastic) layer.open(signals, step, each.state);
      return signals;
    };
    const standIns = quietLayers(plan, varList);
    for (const each of active) {
      const { mover, connection, weight, owner } = each.planned;
      if (connection === null || !isPlasticity(mover)) continue;
      const layer = plasticLayer(mover, connection, variableOf(weight), () => held.attempt(settle));
      plastic.set(each, layer);
      standIns.set(owner.layer, listening(owner.layer, connection, layer));
    }
    const readers = new Set<PlannedWeight>([...optimizers.values()].flat().filter((planned) => moving.has(planned)));
    for (const { planned } of active) {
      const reads = isPlasticity(planned.mover) && planned.mover.reads.includes('gradient');
      if (reads || (measured && planned.isKernel)) readers.add(planned);
    }
    const run = () => {
      const result = (f() ?? null) as tf.Scalar | null;
      checkLoss(
        result,
        readers.size > 0 ||
          [...moving].some(
            ({ mover }) => isPlasticity(mover) && mover.reads.includes('loss') && inputs.loss === undefined,
          ),
      );
      loss = result;
      return result;
    };
    try {
      const gradients = atStep(plan, step, () => withStandIns(standIns, () => backward(run, [...readers], held)));
      const available = settle();
      this.#apply(bound, moving, gradients, available, loss, plastic, measured);
    } finally {
      for (const layer of plastic.values()) layer.dispose();
      tf.dispose(kept);
    }
    return loss;
  }

  /** Moves the weights that are to move, and flags those whose increment was not finite. */
  #apply(
    { managed, optimizers, flags }: Bound,
    moving: ReadonlySet<PlannedWeight>,
    gradients: ReadonlyMap<tf.Variable, tf.Tensor | null>,
    available: AvailableSignals,
    loss: tf.Scalar | null,
    plastic: ReadonlyMap<Managed, PlasticLayer>,
    measured: MeasuredLayer[] | null,
  ): void {
    const finite = managed.map((each) => {
      const ok = moving.has(each.planned)
        ? this.#update(each, plastic.get(each), available, gradients, measured)
        : null;
      return ok ?? tf.scalar(true, 'bool');
    });
    finite.push(loss === null ? tf.scalar(true, 'bool') : allFinite(loss));
    const now = tf.mul(tf.sub(1, tf.cast(tf.stack(finite), 'float32')), this.#step + 1);
    flags.assign(tf.where(tf.greater(flags, 0), flags, now));
    for (const [optimizer, planned] of optimizers) {
      // tfjs's optimizers find their moments by place in the list, so a weight that stays has its place in it too.
      const found = planned.map((each) => {
        const variable = variableOf(each.weight);
        return { name: variable.name, tensor: moving.has(each) ? (gradients.get(variable) ?? null) : null };
      });
      if (found.some(({ tensor }) => tensor !== null)) optimizer.applyGradients(found as NamedTensor[]);
    }
  }

  /** Moves one weight; returns whether its increment was finite, on the device, or null if the step did not reach it. */
  #update(
    each: Managed,
    layer: PlasticLayer | undefined,
    available: AvailableSignals,
    gradients: ReadonlyMap<tf.Variable, tf.Tensor | null>,
    measured: MeasuredLayer[] | null,
  ): tf.Tensor | null {
    const { mover, weight, connection, owner } = each.planned;
    if (!isPlasticity(mover)) return null;
    const variable = variableOf(weight);
    const eligible = layer?.eligibilities();
    const descends = mover.reads.includes('gradient');
    if (needsActivity(mover) ? eligible === undefined : descends && gradients.get(variable) == null) return null;
    const gradient = gradients.get(variable) ?? (descends || measured ? tf.zerosLike(variable) : undefined);
    const result = increment(
      mover,
      {
        weights: variable,
        ...(eligible && { eligibilities: eligible }),
        signals: gradient === undefined ? available : { ...available, gradient },
        ...(connection && { units: connection.units }),
        batch: layer?.calls[0]?.post.shape[0] ?? 0,
        step: this.#step,
      },
      layer?.state ?? each.state,
    );
    const ok = allFinite(result.increment);
    const before = each.state;
    const old = new Map(leaves(before));
    each.state = mapLeaves(result.state, (leaf, path) => tf.keep(tf.where(ok, leaf, old.get(path) as tf.Tensor)));
    for (const leaf of old.values()) leaf.dispose();
    if (measured && each.planned.isKernel) {
      const posts = layer?.calls.map(({ post }) => post) ?? [];
      measured.push(measureLayer(owner.path, result.increment, gradient as tf.Tensor, posts));
    }
    variable.assign(tf.where(ok, tf.add(variable, result.increment), variable));
    return ok;
  }

  #moving({ plan }: Bound, varList: readonly tf.Variable[] | undefined): ReadonlySet<PlannedWeight> {
    refuseUnclaimed(plan.unclaimed, plan.assignment); // their layers may have been made trainable since
    const trainable = plan.weights.filter(({ weight, owner }) => weight.trainable && isTrainable(owner));
    if (varList === undefined) return new Set(trainable.filter(({ mover }) => mover !== null));
    const known = new Set(plan.layers.flatMap(({ layer }) => layer.weights.map(variableOf)));
    const foreign = varList.find((variable) => !known.has(variable));
    if (foreign !== undefined) {
      throw new ConfigurationError(
        'UNKNOWN_VARIABLE',
        `Variable '${foreign.name}' is no weight that this optimizer was given.`,
        {
          help: 'make the optimizer on the model whose weights it should move.',
        },
      );
    }
    const listed = new Set(varList);
    return new Set(trainable.filter(({ mover, weight }) => mover !== null && listed.has(variableOf(weight))));
  }

  #advance(): void {
    this.#step += 1;
    tf.tidy(() => this.#stepVariable.assign(tf.scalar(this.#step, 'int32')));
  }

  /** Reads the flags without waiting, at most one read under way; what it finds is thrown by the next step. */
  #poll(bound: Bound): void {
    this.#polling ??= this.#readFlags(bound).then((found) => {
      this.#polling = null;
      this.#failure ??= found;
    });
  }

  async #readFlags({ managed, flags }: Bound): Promise<GhlError | null> {
    const steps = Array.from(await flags.data());
    const bad = managed.flatMap(({ planned }, i) =>
      (steps[i] as number) > 0 ? [{ step: steps[i] as number, planned }] : [],
    );
    const [first] = bad.sort((a, b) => a.step - b.step);
    if (first === undefined || this.#disposed) return null;
    tf.tidy(() => flags.assign(tf.zerosLike(flags)));
    const lossStep = steps.at(-1) as number;
    return nonFinite(first.step, first.planned, lossStep > 0 && lossStep <= first.step);
  }

  #throwFailure(): void {
    const failure = this.#failure;
    this.#failure = null;
    if (failure !== null) throw failure;
  }

  /**
   * Reads the flags that every step keeps on the device. A step that was not finite left its weights where they were.
   *
   * @throws NonFiniteError `NON_FINITE_STEP` with the first bad step, its layer, and the likely cause. The flags are then
   * cleared.
   */
  async checkFinite(): Promise<void> {
    const bound = this.#alive();
    await this.#polling;
    this.#throwFailure();
    const found = await this.#readFlags(bound);
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
      throw new ConfigurationError('ALREADY_MEASURING', 'The next step is being measured already.', {
        help: 'await the first measureNextStep() before asking again.',
      });
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
    this.#throwFailure();
    const variables = [...this.#moving(bound, varList)].map(({ weight }) => variableOf(weight));
    return atStep(bound.plan, this.#step, () =>
      withStandIns(quietLayers(bound.plan, varList), () => super.computeGradients(f, variables)),
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
    this.#throwFailure();
    const list = Array.isArray(grads) ? grads : Object.entries(grads).map(([name, tensor]) => ({ name, tensor }));
    const own = new Map(bound.plan.weights.map(({ weight }) => [variableOf(weight).name, variableOf(weight)]));
    const gradients = new Map(
      list.map(({ name, tensor }) => {
        const variable = own.get(name);
        if (variable === undefined) throw unknownName('variable', name, own.keys());
        return [variable, tensor] as const;
      }),
    );
    tf.tidy(() => this.#apply(bound, this.#moving(bound, undefined), gradients, {}, null, new Map(), null));
    this.#advance();
    this.#poll(bound);
  }

  #refuseRules(method: string): Bound {
    const bound = this.#alive();
    const rule = bound.managed.find(({ planned: { mover } }) => needsActivity(mover));
    if (rule === undefined) return bound;
    throw new ConfigurationError(
      'NEEDS_ACTIVITY',
      `${method}() cannot move ${rule.planned.path}: its rule needs the layer's activity.`,
      {
        help: 'call minimize(), which records it.',
      },
    );
  }

  /**
   * Everything that the next step depends on: the step, each plasticity's state under its weight's path, and the weights of
   * tfjs optimizers under their label. The tensors are the live ones: clone what should outlast the next step.
   */
  override async getWeights(): Promise<NamedTensor[]> {
    const { managed, optimizers } = this.#alive();
    const named: NamedTensor[] = [{ name: 'step', tensor: this.#stepVariable }];
    for (const { planned, state } of managed) {
      named.push(...leaves(state).map(([path, tensor]) => ({ name: `${planned.path}/${path}`, tensor })));
    }
    for (const [optimizer, planned] of optimizers) {
      const weights = await optimizer.getWeights();
      named.push(...weights.map(({ name, tensor }) => ({ name: `${planned[0]?.label}//${name}`, tensor })));
      const unsaved = unsavedVariables(optimizer);
      named.push(...unsaved.map(([key, tensor]) => ({ name: `${planned[0]?.label}//~${key}`, tensor })));
    }
    return named;
  }

  /**
   * Takes back what {@link getWeights} gave; the tensors stay the caller's.
   *
   * @throws StateError `STATE_MISMATCH` for a name or shape that is not this optimizer's; nothing is changed then.
   */
  override async setWeights(weights: NamedTensor[]): Promise<void> {
    if (this.#unusable !== null) return; // tfjs calls this on loading; the model should load all the same
    const { managed, optimizers } = this.#alive();
    const own = new Map(weights.map(({ name, tensor }) => [name, tensor]));
    const taken = new Set<string>();
    const take = (name: string, like: tf.Tensor) => {
      const tensor = own.get(name);
      if (tensor === undefined || !tf.util.arraysEqual(tensor.shape, like.shape)) {
        const found = tensor === undefined ? 'missing' : `[${tensor.shape}]`;
        throw mismatch(`'${name}' should be [${like.shape}], but is ${found}`);
      }
      taken.add(name);
      return tensor;
    };
    const ofOptimizers = [...optimizers].map(([optimizer, planned]) => {
      const prefix = `${planned[0]?.label}//`;
      take(`${prefix}iter`, this.#stepVariable);
      const unsaved = unsavedVariables(optimizer).map(
        ([key, variable]) => [variable, take(`${prefix}~${key}`, variable)] as const,
      );
      const theirs = weights.filter(({ name }) => name.startsWith(prefix) && !name.startsWith(`${prefix}~`));
      for (const { name } of theirs) taken.add(name);
      const named = theirs.map(({ name, tensor }) => ({ name: name.slice(prefix.length), tensor }));
      return { optimizer, named, unsaved };
    });
    const step = take('step', this.#stepVariable);
    const states = managed.map(({ planned, state }) =>
      mapLeaves(state, (leaf, path) => take(`${planned.path}/${path}`, leaf)),
    );
    const extra = weights.find(({ name }) => !taken.has(name));
    if (extra !== undefined) {
      throw mismatch(`'${extra.name}' is none of this optimizer's`);
    }
    const current = (await step.data())[0] as number;
    managed.forEach((each, i) => {
      const old = leaves(each.state);
      each.state = mapLeaves(states[i] as PlasticityState, (leaf) => tf.keep(tf.clone(leaf)));
      for (const [, leaf] of old) leaf.dispose();
    });
    this.#step = current;
    tf.tidy(() => this.#stepVariable.assign(tf.scalar(current, 'int32')));
    for (const { optimizer, named, unsaved } of ofOptimizers) {
      await optimizer.setWeights(named);
      for (const [variable, tensor] of unsaved) tf.tidy(() => variable.assign(tf.clone(tensor))); // may be itself
    }
  }

  /** The spec as text, since tfjs rewrites the keys of objects on loading; and words with underscores, so it has none. */
  override getConfig(): tf.serialization.ConfigDict {
    return { spec: JSON.stringify(this.#spec).replaceAll('_', '\\u005f') };
  }

  /** An optimizer that learns its model on loading, from what {@link getConfig} gave. */
  static fromSaved(
    config: tf.serialization.ConfigDict,
    plugins: Readonly<Record<string, Factory>>,
  ): PlasticityOptimizer {
    const spec = JSON.parse(config.spec as string) as { readonly [label: string]: Json };
    return new PlasticityOptimizer(() => assignmentFrom(spec, plugins), spec);
  }

  /** Makes every later use throw `error`, for a saved optimizer that cannot be rebuilt. */
  fail(error: GhlError): void {
    this.#unusable = error;
  }

  /**
   * Frees its state. The model, and tfjs optimizers in the assignment, stay the caller's. Twice is fine; every later use
   * throws ConfigurationError `DISPOSED`.
   */
  override dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#stepVariable.dispose();
    this.#measurement?.reject(disposed());
    if (this.#bound === null) return;
    const { managed, optimizers, flags } = this.#bound;
    for (const { state } of managed) for (const [, leaf] of leaves(state)) leaf.dispose();
    if (this.#ownsOptimizers) for (const optimizer of optimizers.keys()) optimizer.dispose();
    flags.dispose();
  }

  #alive(): Bound {
    if (this.#disposed) throw disposed();
    if (this.#unusable !== null) throw this.#unusable;
    if (this.#bound === null) {
      throw new ConfigurationError('NO_MODEL', 'This optimizer does not know its model.', { help: NO_MODEL_HELP });
    }
    return this.#bound;
  }
}

/**
 * What a tfjs optimizer remembers besides its weights: Adam's powers of β, which its setWeights() only computes anew, so that
 * the next step would differ in the last bit.
 */
function unsavedVariables(optimizer: tf.Optimizer): [key: string, variable: tf.Variable][] {
  return Object.entries(optimizer).filter((entry): entry is [string, tf.Variable] => entry[1] instanceof tf.Variable);
}

function mismatch(what: string): StateError {
  return new StateError('STATE_MISMATCH', `Optimizer state ${what}.`, {
    help: 'load the state of an optimizer with the same assignment, on a model of the same shape.',
  });
}

function disposed(): ConfigurationError {
  return new ConfigurationError('DISPOSED', 'This optimizer has been disposed of.', {
    help: 'make a new one with plasticity(model, assignment).',
  });
}

/** Whether a mover is a local rule that looks at x and y. */
function needsActivity(mover: Mover): boolean {
  return isPlasticity(mover) && mover.rule !== null && mover.rule.active !== false;
}

function keptState(make: () => PlasticityState): PlasticityState {
  let state: PlasticityState | undefined;
  tf.tidy(() => {
    state = mapLeaves(make(), tf.keep);
  });
  return state as PlasticityState;
}
