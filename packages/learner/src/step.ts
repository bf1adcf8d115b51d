/**
 * One step: the forward pass, the backward pass to what reads the gradient, and what moves. Nothing is moved before
 * everything is computed, so a step that throws is no step.
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
import { atStep } from './at-step.js';
import { backward, heldBack, lossOf, unrecorded } from './backward.js';
import type { Binding, Managed } from './binding.js';
import { constrain, isNonNegative } from './constraints.js';
import { withoutEmptyBatches } from './empty-batch.js';
import { allFinite } from './finite.js';
import { choose, type Journal, journalled } from './journal.js';
import { withCheckedLabels } from './labels.js';
import { refuseObstacle, variableOf } from './model-layers.js';
import { type Correlated, type PlasticLayer, plasticLayer } from './plastic-layer.js';
import { frozenIn, quietLayers } from './quiet-layers.js';
import { evaluate, type SignalInputs } from './signals.js';
import { listening, withStandIns } from './stand-in.js';
import { type MeasuredLayer, measureLayer } from './statistics.js';
import { descend, setIterations } from './tfjs-optimizer.js';

/** The forward pass of a step: returns the scalar loss, or nothing. */
// biome-ignore lint/suspicious/noConfusingVoidType: so that a function without a return statement fits, as a user expects
export type ForwardPass = () => tf.Scalar | void;

/** What a step is made of. */
export interface Step {
  /** Updates made before it. */
  readonly step: number;
  readonly f: ForwardPass;
  readonly moving: ReadonlySet<PlannedWeight>;
  readonly varList: readonly tf.Variable[] | undefined;
  readonly signals: SignalInputs;
  /** What every mover's step is multiplied by. */
  readonly scale: number;
  /** Where to put the statistics of each layer, if anybody asks. */
  readonly measured: MeasuredLayer[] | null;
}

/**
 * The weights that a step moves; those that the list omits stay, as does what is not trainable.
 *
 * @throws ConfigurationError `UNCLAIMED_WEIGHT`, `UNKNOWN_VARIABLE`, `NOTHING_TRAINABLE`; UnsupportedError
 * `UNSUPPORTED_LAYER` where a layer that a rule moves has got a `call` of its own since.
 */
export function movingWeights({ plan }: Binding, varList: readonly tf.Variable[] | undefined): Set<PlannedWeight> {
  refuseUnclaimed(plan.unclaimed, plan.assignment); // their layers may have been made trainable since
  refuseStrangers(plan.model, [...plan.weights, ...plan.unclaimed]);
  const known = varList && new Set(plan.layers.flatMap(({ layer }) => layer.weights.map(variableOf)));
  const foreign = varList?.find((variable) => !known?.has(variable));
  if (foreign !== undefined) {
    throw new ConfigurationError(
      'UNKNOWN_VARIABLE',
      `Variable '${foreign.name}' is no weight that this optimizer was given.`,
      'make the optimizer on the model whose weights it should move.',
    );
  }
  const listed = varList && new Set(varList);
  const trainable = trainableOf(plan);
  const moving = trainable.filter(({ mover, weight }) => mover !== null && (listed?.has(variableOf(weight)) ?? true));
  if (moving.length === 0) refuseStandstill(plan, varList, trainable.length > 0);
  for (const { connection, owner } of moving) if (connection !== null) refuseObstacle(owner);
  return new Set(moving);
}

/** Refuses a step that moves no weight, except one that moves statistics of a layer that is not frozen. */
function refuseStandstill(plan: Plan, varList: readonly tf.Variable[] | undefined, trains: boolean): void {
  const { model, layers, weights } = plan;
  const isFrozen = frozenIn(plan, varList);
  if (trains && layers.some((owner) => !isFrozen(owner) && owner.layer.nonTrainableWeights.length > 0)) return;
  const why = !model.trainable
    ? `model '${model.name}' is not trainable`
    : !trains
      ? 'no weight is trainable'
      : varList !== undefined
        ? 'no listed variable is trainable and has a mover'
        : 'the assignment gives null to every trainable weight';
  throw new ConfigurationError(
    'NOTHING_TRAINABLE',
    `None of the ${weights.length} weights can move: ${why}.`,
    trains
      ? 'give a trainable weight a plasticity or a tf.Optimizer, and list it if there is a varList.'
      : 'set trainable = true on the model or its layers before the step, also where a larger model needs it frozen later.',
  );
}

/** Makes a step; to be called in a tidy. Returns the loss, if there is one. If it throws, nothing has changed. */
export function makeStep(binding: Binding, step: Step): tf.Scalar | null {
  return journalled(binding.plan.layers, (journal) => stepWith(binding, step, journal));
}

function stepWith(
  binding: Binding,
  { step, f, moving, varList, signals: inputs, scale, measured }: Step,
  journal: Journal,
): tf.Scalar | null {
  const { plan, managed, optimizers } = binding;
  const active = managed.filter(({ planned }) => moving.has(planned));
  const plastic = new Map<Managed, PlasticLayer>();
  const kept: tf.Tensor[] = [];
  const held = heldBack();
  let loss: tf.Scalar | null = null;
  let signals: AvailableSignals = {};
  const standIns = quietLayers(plan, varList);
  for (const each of active) {
    const { mover, connection, weight, owner } = each.planned;
    if (connection === null || !isPlasticity(mover)) continue;
    const layer: PlasticLayer = plasticLayer(mover, connection, variableOf(weight), measured !== null, () =>
      held.attempt(() => layer.open(signals, step, each.state)),
    );
    plastic.set(each, layer);
    standIns.set(owner.layer, listening(owner.layer, connection, layer));
  }
  const readers = new Set<PlannedWeight>([...optimizers.values()].flat().filter((planned) => moving.has(planned)));
  const observers = new Set<PlannedWeight>();
  for (const { planned } of active) {
    if (isPlasticity(planned.mover) && planned.mover.reads.includes('gradient')) readers.add(planned);
    else if (measured !== null && planned.isKernel) observers.add(planned);
  }
  const readsLoss = ({ mover }: PlannedWeight) => isPlasticity(mover) && mover.reads.includes('loss');
  const needsLoss = readers.size > 0 || (inputs.loss === undefined && [...moving].some(readsLoss));
  try {
    const gradients = atStep(plan, step, () =>
      withStandIns(standIns, (withOriginals) => {
        const run = () => {
          loss = withoutEmptyBatches(moving, () => lossOf(f, needsLoss));
          const calls = [...plastic.values()].find((layer) => layer.calls.length > 0)?.calls ?? [];
          // Now, since the tape ends with the forward pass, and the network's output with it. Kept for the same reason.
          const given = Object.entries(withOriginals(() => unrecorded(() => evaluate(inputs, calls))));
          const copies = given.map(([name, tensor]) => [name, tf.keep(tf.clone(tensor as tf.Tensor))] as const);
          kept.push(...copies.map(([, tensor]) => tensor));
          signals = { ...(loss !== null && { loss }), ...Object.fromEntries(copies) };
          return loss;
        };
        return withCheckedLabels(binding.model, () => backward(run, [...readers], [...observers], held));
      }),
    );
    move(binding, { step, moving, gradients, signals, loss, plastic, scale, measured }, journal);
  } finally {
    for (const layer of plastic.values()) layer.dispose();
    tf.dispose(kept);
  }
  return loss;
}

/** What a step has found, of which its moves are made. */
export interface Found {
  readonly step: number;
  readonly moving: ReadonlySet<PlannedWeight>;
  readonly gradients: ReadonlyMap<tf.Variable, tf.Tensor | null>;
  readonly signals: AvailableSignals;
  readonly loss: tf.Scalar | null;
  readonly plastic: ReadonlyMap<Managed, PlasticLayer>;
  readonly scale: number;
  readonly measured: MeasuredLayer[] | null;
}

/** A weight and its state after the step. */
interface Move {
  readonly weights: tf.Tensor;
  readonly state: PlasticityState;
  /** Whether both are finite, and the signals that they came of; on the device. */
  readonly ok: tf.Tensor;
}

/**
 * Computes what moves, then moves it; to be called in a tidy. If anything that the step changes is not finite, all is
 * as it was before the step, and the flags say why.
 */
export function move(binding: Binding, found: Found, journal: Journal): void {
  const { managed, optimizers } = binding;
  const { moving, gradients, loss, plastic } = found;
  const changed = new Map<object, tf.Tensor>();
  const sound = new Map(
    Object.entries({ ...(loss !== null && { loss }), ...found.signals }).flatMap(([name, signal]) =>
      signal.dtype === 'float32' ? [[name, allFinite(signal)] as const] : [],
    ),
  );
  const moves = managed.flatMap((each) => {
    const made = moving.has(each.planned) ? (tf.tidy(() => moveOf(each, found, sound) as never) as Move | null) : null;
    if (made !== null) changed.set(variableOf(each.planned.weight), made.ok);
    // As large as the weights, and needed by no other.
    plastic.get(each)?.dispose();
    gradients.get(variableOf(each.planned.weight))?.dispose();
    return made === null ? [] : [{ each, made }];
  });
  for (const [optimizer, planned] of optimizers) {
    for (const [key, ok] of descended(optimizer, planned, found, journal)) changed.set(key, ok);
  }

  const ok = settle(binding, found.step, journal, changed, sound);
  for (const { each, made } of moves) {
    const variable = variableOf(each.planned.weight);
    const old = new Map(leaves(each.state));
    each.state = mapLeaves(made.state, (leaf, name) => tf.keep(choose(ok, leaf, old.get(name) as tf.Tensor)));
    tf.dispose([...old.values()]);
    variable.assign(choose(ok, made.weights, variable));
    made.weights.dispose();
  }
}

/**
 * Ends a step's journal, after a look at what was assigned: it stays if that, and what else `changed`, is finite.
 * Returns whether it is, on the device.
 */
export function settle(
  { flags }: Binding,
  step: number,
  journal: Journal,
  changed: Map<object, tf.Tensor> = new Map(),
  sound: ReadonlyMap<string, tf.Tensor> = new Map(),
): tf.Tensor {
  for (const [variable, before] of journal.assigned) {
    if (flags.watches(variable) && !changed.has(variable)) changed.set(variable, allFinite(variable, before));
  }
  for (const { layer, states } of journal.carried) {
    changed.set(layer, allOf((layer.states_ ?? []).map((state, i) => allFinite(state, states[i]))));
  }
  const { loss = null, ...signals } = Object.fromEntries(sound);
  const ok = flags.note(step, { changed, loss, signals: Object.values(signals) });
  journal.settle(ok);
  return ok;
}

/** Has a tfjs optimizer move its weights; whether they, and what it remembers, are finite. */
function descended(
  optimizer: tf.Optimizer,
  planned: readonly PlannedWeight[],
  { moving, gradients, scale }: Found,
  journal: Journal,
): ReadonlyMap<object, tf.Tensor> {
  const finite = new Map<object, tf.Tensor>();
  // tfjs's optimizers find their moments by place in the list, so a weight that stays has its place in it too.
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

/** What one weight's plasticity makes of a step; null if the step did not reach it. */
function moveOf(each: Managed, found: Found, sound: ReadonlyMap<string, tf.Tensor>): Move | null {
  const { step, gradients, signals, plastic, measured } = found;
  const { mover, weight } = each.planned;
  if (!isPlasticity(mover)) return null;
  const layer = plastic.get(each);
  layer?.open(signals, step, each.state);
  const correlated = layer?.correlated() ?? null;
  const variable = variableOf(weight);
  if (variable.size === 0) return null;
  const descends = mover.reads.includes('gradient');
  if (needsActivity(mover) ? correlated === null : descends && gradients.get(variable) == null) return null;
  const gradient = gradients.get(variable) ?? (descends || measured ? tf.zerosLike(variable) : undefined);
  const reached: Reached = { mover, variable, correlated, gradient, state: layer?.state ?? each.state };
  const heard = mover.reads.map((name) => sound.get(name)).filter((ok) => ok !== undefined);
  const fused = measured === null && heard.length === 0 ? fusedMove(each, found, reached) : null;
  const made = fused ?? plainMove(each, found, reached, layer?.calls.map(({ post }) => post) ?? []);
  checkState(each, made.state);
  const old = new Map(leaves(each.state));
  const states = leaves(made.state).filter(([name, leaf]) => leaf.dataId !== old.get(name)?.dataId);
  return {
    weights: made.weights,
    // Clones, since the rule's own part of it goes with the layer's gates.
    state: mapLeaves(made.state, (leaf) => tf.clone(leaf)),
    ok: allOf([...heard, ...made.finite, ...states.map(([, leaf]) => allFinite(leaf))]),
  };
}

/** A weight that a step reached. */
interface Reached {
  readonly mover: Plasticity;
  readonly variable: tf.Variable;
  readonly correlated: Correlated | null;
  readonly gradient: tf.Tensor | undefined;
  readonly state: PlasticityState;
}

/** The new value of a weight and its state, and whether the value is finite, and was before its constraint. */
interface Made {
  readonly weights: tf.Tensor;
  readonly state: PlasticityState;
  readonly finite: readonly tf.Tensor[];
}

/**
 * The move in one kernel, where the backend has it and every part of the plasticity is an operation of it; else null.
 */
function fusedMove(
  { planned }: Managed,
  { step, scale }: Found,
  { mover, variable, correlated, gradient, state }: Reached,
): Made | null {
  const program = fusedOperations(mover, step, scale);
  if (program === null || !hasKernel(FUSED_UPDATE)) return null;
  const overlap = correlated?.gates.overlaps[0] ?? null;
  const byUnit = overlap === null || overlap.rank === 1;
  const inputs = {
    weights: variable,
    ...(correlated !== null && { sums: byUnit ? correlated.sums[0] : eligibilitiesOf(planned, correlated)[0] }),
    ...(overlap !== null && byUnit && { overlap }),
    ...(gradient !== undefined && { gradient }),
  } as tf.NamedTensorMap;
  const nonNegative = isNonNegative(planned);
  const [moved, ok] = tf
    .engine()
    .runKernel(FUSED_UPDATE, inputs, { program, nonNegative } as never) as unknown as tf.Tensor[];
  const made = { weights: moved as tf.Tensor, state, finite: [ok as tf.Tensor] };
  return nonNegative ? made : limit(planned, made);
}

/** The move by the engine's own arithmetic. */
function plainMove(
  { planned }: Managed,
  { step, signals, scale, measured }: Found,
  { mover, variable, correlated, gradient, state }: Reached,
  posts: readonly tf.Tensor[],
): Made {
  const { connection, owner, isKernel } = planned;
  const result = computeIncrement(
    mover,
    {
      weights: variable,
      ...(correlated !== null && { eligibilities: eligibilitiesOf(planned, correlated) }),
      signals: gradient === undefined ? signals : { ...signals, gradient },
      ...(connection && { units: connection.units }),
      batch: batchOf(posts),
      step,
    },
    state,
  );
  const added = scale === 1 ? result.increment : tf.mul(result.increment, scale);
  if (measured && isKernel) measured.push(measureLayer(owner.path, added, gradient as tf.Tensor, posts));
  const weights = tf.add(variable, added);
  return limit(planned, { weights, state: result.state, finite: [allFinite(weights)] });
}

/** The move with the weight's constraint applied. */
function limit(planned: PlannedWeight, made: Made): Made {
  const weights = constrain(planned, made.weights);
  return weights === made.weights ? made : { ...made, weights, finite: [...made.finite, allFinite(weights)] };
}

function eligibilitiesOf({ connection, weight }: PlannedWeight, { gates, sums }: Correlated): tf.Tensor[] {
  const layer = { connection: connection as Connection, kernel: variableOf(weight) };
  return computeEligibilities(layer, gates, sums);
}

function checkState({ planned, state: before }: Managed, after: PlasticityState): void {
  const shapes = (state: PlasticityState) =>
    JSON.stringify(leaves(state).map(([name, { shape }]) => [name, shape])).replaceAll('"', '');
  if (shapes(before) === shapes(after)) return;
  throw new ConfigurationError(
    'WRONG_SHAPE',
    `The state of ${planned.path} is ${shapes(after)} after a step, not ${shapes(before)}.`,
    'a rule, modulator or transform keeps the structure and shapes of its init() for good.',
  );
}

/** Whether a mover is a local rule that looks at x and y. */
export function needsActivity(mover: Updater): boolean {
  return isPlasticity(mover) && mover.rule !== null && mover.rule.active !== false;
}
