/**
 * One training step: the forward pass, the backward pass if something reads the gradient, and the update. All updates
 * are computed before any weight changes, so a step that throws changes nothing.
 */
import { ConfigurationError, type Plasticity } from '@ghl/core';
import { FUSED_UPDATE, hasKernel } from '@ghl/core/backend';
import {
  type AvailableSignals,
  batchOf,
  type Connection,
  computeEligibilities,
  computeIncrement,
  fusedOperations,
  leaves,
  mapLeaves,
  type PlasticityState,
  readsActivity,
} from '@ghl/core/engine';
import * as tf from '@tensorflow/tfjs-core';
import {
  isPlasticity,
  type Plan,
  type PlannedWeight,
  refuseStrangers,
  refuseUnclaimed,
  trainableOf,
  type Updater,
} from './assignment.js';
import { backward, deferErrors, lossOf } from './backward.js';
import type { Binding, ManagedWeight } from './binding.js';
import { choose } from './choose.js';
import { constrain, isNonNegative } from './constraints.js';
import { allFinite } from './finite.js';
import { frozenIn, planOverrides } from './override-plan.js';
import { type Correlations, type PlasticLayer, plasticLayer } from './plastic-layer.js';
import { evaluate, type SignalInputs } from './signals.js';
import { type MeasuredLayer, measureLayer } from './statistics.js';
import { withStep } from './step-counter.js';
import { refuseObstacle } from './tfjs/connections.js';
import { refuseEmptyTensors } from './tfjs/empty-batch.js';
import { variableOf } from './tfjs/internals.js';
import { type Journal, withJournal } from './tfjs/journal.js';
import { withLabelCheck } from './tfjs/labels.js';
import { recordingCall, withOverrides } from './tfjs/layer-overrides.js';
import { unrecorded } from './tfjs/tape.js';
import { descend, setIterations } from './tfjs/tfjs-optimizer.js';

/** The forward pass of a step: returns the scalar loss, or nothing. */
// biome-ignore lint/suspicious/noConfusingVoidType: a function without a return statement must be assignable
export type ForwardPass = () => tf.Scalar | void;

/** The inputs of a step. */
export interface Step {
  /** The number of updates before it. */
  readonly step: number;
  readonly f: ForwardPass;
  readonly moving: ReadonlySet<PlannedWeight>;
  readonly varList: readonly tf.Variable[] | undefined;
  readonly signals: SignalInputs;
  /** The factor of every updater's step. */
  readonly scale: number;
  /** Collects the statistics of each layer; null if they were not requested. */
  readonly measured: MeasuredLayer[] | null;
}

/**
 * The weights that move in a step: trainable, with an updater, and in the list if there is one.
 *
 * @throws ConfigurationError `UNCLAIMED_WEIGHT`, `UNKNOWN_VARIABLE`, `NOTHING_TRAINABLE`. UnsupportedError
 * `UNSUPPORTED_LAYER` if a layer with a rule has had its `call` replaced.
 */
export function movingWeights({ plan }: Binding, varList: readonly tf.Variable[] | undefined): Set<PlannedWeight> {
  refuseUnclaimed(plan.unclaimed, plan.assignment); // their layers may have become trainable
  refuseStrangers(plan.model, [...plan.weights, ...plan.unclaimed]);
  const known = varList && new Set(plan.layers.flatMap(({ layer }) => layer.weights.map(variableOf)));
  const foreign = varList?.find((variable) => !known?.has(variable));
  if (foreign !== undefined) {
    throw new ConfigurationError(
      'UNKNOWN_VARIABLE',
      `Variable '${foreign.name}' is not a weight of this optimizer's model.`,
      'create the optimizer on the model whose weights it should move.',
    );
  }
  const listed = varList && new Set(varList);
  const trainable = trainableOf(plan);
  const moving = trainable.filter(
    ({ updater, weight }) => updater !== null && (listed?.has(variableOf(weight)) ?? true),
  );
  if (moving.length === 0) refuseStandstill(plan, varList, trainable.length > 0);
  for (const { connection, owner } of moving) if (connection !== null) refuseObstacle(owner);
  return new Set(moving);
}

/** Rejects a step in which no weight moves, unless statistics of a layer that is not frozen move. */
function refuseStandstill(plan: Plan, varList: readonly tf.Variable[] | undefined, trains: boolean): void {
  const { model, layers, weights } = plan;
  const isFrozen = frozenIn(plan, varList);
  if (trains && layers.some((owner) => !isFrozen(owner) && owner.layer.nonTrainableWeights.length > 0)) return;
  const why = !model.trainable
    ? `model '${model.name}' is not trainable`
    : !trains
      ? 'no weight is trainable'
      : varList !== undefined
        ? 'no listed variable is trainable and has an updater'
        : 'the assignment gives null to every trainable weight';
  throw new ConfigurationError(
    'NOTHING_TRAINABLE',
    `None of the ${weights.length} weights can move: ${why}.`,
    trains
      ? 'give a trainable weight a plasticity or a tf.Optimizer, and list it if there is a varList.'
      : 'set trainable = true on the model or its layers before the step, also if a larger model freezes them later.',
  );
}

/** Runs a step. Returns the loss, if there is one. If it throws, nothing has changed. Call it in a tidy. */
export function makeStep(binding: Binding, step: Step): tf.Scalar | null {
  return withJournal(binding.plan.layers, (journal) => stepWith(binding, step, journal));
}

function stepWith(
  binding: Binding,
  { step, f, moving, varList, signals: inputs, scale, measured }: Step,
  journal: Journal,
): tf.Scalar | null {
  const { plan, managed, optimizers } = binding;
  const active = managed.filter(({ planned }) => moving.has(planned));
  const plastic = new Map<ManagedWeight, PlasticLayer>();
  const copies: tf.Tensor[] = [];
  const errors = deferErrors();
  let loss: tf.Scalar | null = null;
  let signals: AvailableSignals = {};
  const overrides = planOverrides(plan, varList);
  for (const each of active) {
    const { updater, connection, weight, owner } = each.planned;
    if (connection === null || !isPlasticity(updater)) continue;
    const layer: PlasticLayer = plasticLayer(updater, connection, variableOf(weight), measured !== null, () =>
      errors.run(() => layer.open(signals, step, each.state)),
    );
    plastic.set(each, layer);
    overrides.set(owner.layer, recordingCall(owner.layer, connection, layer));
  }
  const readers = new Set<PlannedWeight>([...optimizers.values()].flat().filter((planned) => moving.has(planned)));
  const observers = new Set<PlannedWeight>();
  for (const { planned } of active) {
    if (isPlasticity(planned.updater) && planned.updater.reads.includes('gradient')) readers.add(planned);
    else if (measured !== null && planned.isKernel) observers.add(planned);
  }
  const readsLoss = ({ updater }: PlannedWeight) => isPlasticity(updater) && updater.reads.includes('loss');
  const needsLoss = readers.size > 0 || (inputs.loss === undefined && [...moving].some(readsLoss));
  try {
    const gradients = withStep(plan, step, () =>
      withOverrides(overrides, (withOriginals) => {
        const run = () => {
          loss = refuseEmptyTensors(moving, () => lossOf(f, needsLoss));
          const calls = [...plastic.values()].find((layer) => layer.calls.length > 0)?.calls ?? [];
          // The output of the network is disposed of after the forward pass, so signals are evaluated and copied here.
          const values = Object.entries(withOriginals(() => unrecorded(() => evaluate(inputs, calls))));
          const entries = values.map(([name, tensor]) => [name, tf.keep(tf.clone(tensor as tf.Tensor))] as const);
          copies.push(...entries.map(([, tensor]) => tensor));
          signals = { ...(loss !== null && { loss }), ...Object.fromEntries(entries) };
          return loss;
        };
        return withLabelCheck(binding.model, () => backward(run, [...readers], [...observers], errors));
      }),
    );
    applyUpdates(binding, { step, moving, gradients, signals, loss, plastic, scale, measured }, journal);
  } finally {
    for (const layer of plastic.values()) layer.dispose();
    tf.dispose(copies);
  }
  return loss;
}

/** Everything that a step computes before it changes any weight. */
export interface StepResults {
  readonly step: number;
  readonly moving: ReadonlySet<PlannedWeight>;
  readonly gradients: ReadonlyMap<tf.Variable, tf.Tensor | null>;
  readonly signals: AvailableSignals;
  readonly loss: tf.Scalar | null;
  readonly plastic: ReadonlyMap<ManagedWeight, PlasticLayer>;
  readonly scale: number;
  readonly measured: MeasuredLayer[] | null;
}

/** The value of a weight and its state after the step. */
interface PendingUpdate {
  readonly weights: tf.Tensor;
  readonly state: PlasticityState;
  /** Whether both, and the signals that they depend on, are finite; on the device. */
  readonly ok: tf.Tensor;
}

/**
 * Computes all updates, then applies them. If a changed value is not finite, everything keeps its value from before the
 * step, and the flags record the cause. Call it in a tidy.
 */
export function applyUpdates(binding: Binding, results: StepResults, journal: Journal): void {
  const { managed, optimizers } = binding;
  const { moving, gradients, loss, plastic } = results;
  const changed = new Map<object, tf.Tensor>();
  const signalFlags = new Map(
    Object.entries({ ...(loss !== null && { loss }), ...results.signals }).flatMap(([name, signal]) =>
      signal.dtype === 'float32' ? [[name, allFinite(signal)] as const] : [],
    ),
  );
  const updates = managed.flatMap((each) => {
    const update = moving.has(each.planned)
      ? (tf.tidy(() => pendingUpdate(each, results, signalFlags) as never) as PendingUpdate | null)
      : null;
    if (update !== null) changed.set(variableOf(each.planned.weight), update.ok);
    // These tensors are as large as the weights. Only this update reads them.
    plastic.get(each)?.dispose();
    gradients.get(variableOf(each.planned.weight))?.dispose();
    return update === null ? [] : [{ each, update }];
  });
  for (const [optimizer, planned] of optimizers) {
    for (const [key, ok] of descendWith(optimizer, planned, results, journal)) changed.set(key, ok);
  }

  const ok = commitIfFinite(binding, results.step, journal, changed, signalFlags);
  for (const { each, update } of updates) {
    const variable = variableOf(each.planned.weight);
    const old = new Map(leaves(each.state));
    each.state = mapLeaves(update.state, (leaf, name) => tf.keep(choose(ok, leaf, old.get(name) as tf.Tensor)));
    tf.dispose([...old.values()]);
    variable.assign(choose(ok, update.weights, variable));
    update.weights.dispose();
  }
}

/**
 * Ends the journal of a step: commits all assignments if every changed value is finite, and undoes them if not.
 *
 * @param changed The flags of values that are already known. Those of other assigned variables are added.
 * @returns Whether the step was committed, on the device.
 */
export function commitIfFinite(
  { flags }: Binding,
  step: number,
  journal: Journal,
  changed: Map<object, tf.Tensor> = new Map(),
  signalFlags: ReadonlyMap<string, tf.Tensor> = new Map(),
): tf.Tensor {
  for (const [variable, before] of journal.assigned) {
    if (flags.has(variable) && !changed.has(variable)) changed.set(variable, allFinite(variable, before));
  }
  for (const { layer, pairs } of journal.states) {
    changed.set(layer, allOf(pairs.map(([now, before]) => allFinite(now, before))));
  }
  const { loss = null, ...signals } = Object.fromEntries(signalFlags);
  const ok = flags.note(step, { changed, loss, signals: Object.values(signals) });
  journal.commitIf(ok);
  return ok;
}

/** Moves the weights of a tfjs optimizer. Returns whether they and the state of the optimizer are finite. */
function descendWith(
  optimizer: tf.Optimizer,
  planned: readonly PlannedWeight[],
  { moving, gradients, scale }: StepResults,
  journal: Journal,
): ReadonlyMap<object, tf.Tensor> {
  const finite = new Map<object, tf.Tensor>();
  // The optimizers of tfjs find their moments by index, so weights that do not move are in the list too.
  const list = planned.map((each) => {
    const variable = variableOf(each.weight);
    const gradient = (moving.has(each) && variable.size > 0 && gradients.get(variable)) || null;
    return { each, variable, name: variable.name, tensor: gradient };
  });
  const reached = list.filter(({ tensor }) => tensor !== null);
  if (reached.length === 0) return finite;
  const before = new Set(journal.assigned.keys());
  const { iterations } = optimizer;
  journal.onUndo(() => setIterations(optimizer, iterations));
  descend(optimizer, list, scale);
  for (const { each, variable } of reached) {
    const limit = () => {
      const ok = allFinite(variable);
      const limited = constrain(each, variable);
      if (limited === variable) return ok;
      variable.assign(limited);
      return tf.logicalAnd(ok, allFinite(limited));
    };
    finite.set(variable, tf.tidy(limit));
  }
  const slots = [...journal.assigned.keys()].filter((variable) => !before.has(variable) && !finite.has(variable));
  finite.set(optimizer, allOf(slots.map((slot) => allFinite(slot))));
  return finite;
}

const allOf = (flags: readonly tf.Tensor[]): tf.Tensor =>
  flags.length === 0 ? tf.scalar(true, 'bool') : flags.reduce((all, one) => tf.logicalAnd(all, one));

/** The update of one weight by its plasticity; null if the step does not reach the weight. */
function pendingUpdate(
  each: ManagedWeight,
  results: StepResults,
  flags: ReadonlyMap<string, tf.Tensor>,
): PendingUpdate | null {
  const { step, gradients, signals, plastic, measured } = results;
  const { updater, weight } = each.planned;
  if (!isPlasticity(updater)) return null;
  const layer = plastic.get(each);
  layer?.open(signals, step, each.state);
  const correlations = layer?.correlations() ?? null;
  const variable = variableOf(weight);
  if (variable.size === 0) return null;
  const descends = updater.reads.includes('gradient');
  if (needsActivity(updater) ? correlations === null : descends && gradients.get(variable) == null) return null;
  const gradient = gradients.get(variable) ?? (descends || measured ? tf.zerosLike(variable) : undefined);
  const inputs: UpdateInputs = { updater, variable, correlations, gradient, state: layer?.state ?? each.state };
  const signalFlags = updater.reads.map((name) => flags.get(name)).filter((ok) => ok !== undefined);
  const fused = measured === null && signalFlags.length === 0 ? fusedUpdate(each, results, inputs) : null;
  const value = fused ?? plainUpdate(each, results, inputs, layer?.calls.map(({ post }) => post) ?? []);
  checkState(each, value.state);
  const old = new Map(leaves(each.state));
  const states = leaves(value.state).filter(([name, leaf]) => leaf.dataId !== old.get(name)?.dataId);
  return {
    weights: value.weights,
    // Clones, since the layer disposes of the rule's state together with its gates.
    state: mapLeaves(value.state, (leaf) => tf.clone(leaf)),
    ok: allOf([...signalFlags, ...value.finite, ...states.map(([, leaf]) => allFinite(leaf))]),
  };
}

/** The inputs of the update of one weight. */
interface UpdateInputs {
  readonly updater: Plasticity;
  readonly variable: tf.Variable;
  readonly correlations: Correlations | null;
  readonly gradient: tf.Tensor | undefined;
  readonly state: PlasticityState;
}

/** The new value of a weight and its state, and whether the value is finite before and after its constraint. */
interface NewWeight {
  readonly weights: tf.Tensor;
  readonly state: PlasticityState;
  readonly finite: readonly tf.Tensor[];
}

/** The update in one kernel; null unless the backend has the kernel and it supports every part of the plasticity. */
function fusedUpdate(
  { planned }: ManagedWeight,
  { step, scale }: StepResults,
  { updater, variable, correlations, gradient, state }: UpdateInputs,
): NewWeight | null {
  const program = fusedOperations(updater, step, scale);
  if (program === null || !hasKernel(FUSED_UPDATE)) return null;
  const overlap = correlations?.gates.overlaps[0] ?? null;
  const byUnit = overlap === null || overlap.rank === 1;
  const inputs = {
    weights: variable,
    ...(correlations !== null && { sums: byUnit ? correlations.sums[0] : eligibilitiesOf(planned, correlations)[0] }),
    ...(overlap !== null && byUnit && { overlap }),
    ...(gradient !== undefined && { gradient }),
  } as tf.NamedTensorMap;
  const nonNegative = isNonNegative(planned);
  const units = planned.units.fanOut;
  const [weights, ok] = tf
    .engine()
    .runKernel<tf.Tensor[]>(FUSED_UPDATE, inputs, { program, units, nonNegative } as object as tf.NamedAttrMap);
  const value = { weights: weights as tf.Tensor, state, finite: [ok as tf.Tensor] };
  return nonNegative ? value : limit(planned, value);
}

/** The update in the arithmetic of the engine. */
function plainUpdate(
  { planned }: ManagedWeight,
  { step, signals, scale, measured }: StepResults,
  { updater, variable, correlations, gradient, state }: UpdateInputs,
  posts: readonly tf.Tensor[],
): NewWeight {
  const { owner, units, isKernel } = planned;
  const result = computeIncrement(
    updater,
    {
      weights: variable,
      ...(correlations !== null && { eligibilities: eligibilitiesOf(planned, correlations) }),
      signals: gradient === undefined ? signals : { ...signals, gradient },
      units,
      batch: batchOf(posts),
      step,
      scale,
    },
    state,
  );
  const { increment } = result;
  if (measured && isKernel) measured.push(measureLayer(owner.path, increment, gradient as tf.Tensor, posts));
  const weights = tf.add(variable, increment);
  return limit(planned, { weights, state: result.state, finite: [allFinite(weights)] });
}

/** Applies the constraint of the weight. */
function limit(planned: PlannedWeight, value: NewWeight): NewWeight {
  const weights = constrain(planned, value.weights);
  return weights === value.weights ? value : { ...value, weights, finite: [...value.finite, allFinite(weights)] };
}

function eligibilitiesOf({ connection, weight }: PlannedWeight, { gates, sums }: Correlations): tf.Tensor[] {
  const layer = { connection: connection as Connection, kernel: variableOf(weight) };
  return computeEligibilities(layer, gates, sums);
}

function checkState({ planned, state: before }: ManagedWeight, after: PlasticityState): void {
  const shapes = (state: PlasticityState) =>
    JSON.stringify(leaves(state).map(([name, { shape }]) => [name, shape])).replaceAll('"', '');
  if (shapes(before) === shapes(after)) return;
  throw new ConfigurationError(
    'WRONG_SHAPE',
    `The state of ${planned.path} is ${shapes(after)} after a step, not ${shapes(before)}.`,
    'a rule, modulator or transform must keep the structure and shapes that its init() returns.',
  );
}

/** Whether an updater has a local rule that reads x and y. */
export function needsActivity(updater: Updater): boolean {
  return isPlasticity(updater) && readsActivity(updater);
}
