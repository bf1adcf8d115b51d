/** Which plasticity moves which weight: labels, and how they are resolved on a model. */
import { ConfigurationError, type Factory, fromSpec, type Json, type Plasticity, type Spec } from '@ghl/core';
import type { Connection } from '@ghl/core/engine';
import { isSpec, unknownName } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import {
  connectionOf,
  dilatedIn,
  hasConnection,
  isTrainable,
  layersOf,
  type ModelLayer,
  type ModelWeight,
  refuseDilated,
  weightsOf,
} from './model-layers.js';

/** What can move a weight: a plasticity, any tfjs optimizer, or nothing (null), which freezes it. */
export type Updater = Plasticity | tf.Optimizer | null;

/**
 * Movers by label. A label is, most specific first, a weight's path `'conv1/kernel'`, a layer's `'conv1'` or
 * `'inner/dense'`, a nested model's `'inner'`, a pattern with `*` (within a name) or `**` (across `/`), or `'*'`: what
 * no other label claims. A rule claims kernels only, so a plastic layer's bias falls to the next label that can have
 * it.
 */
export type Assignment = { readonly [label: string]: Updater };

/** One weight, and what moves it. */
export interface PlannedWeight extends ModelWeight {
  readonly label: string;
  readonly mover: Updater;
  /** The layer's geometry, where a local rule moves the weight. */
  readonly connection: Connection | null;
}

/** An assignment resolved on a model. */
export interface Plan {
  readonly model: tfl.LayersModel;
  readonly assignment: Assignment;
  readonly layers: readonly ModelLayer[];
  readonly weights: readonly PlannedWeight[];
  /** Weights that no label names, which must stay untrainable as they are. */
  readonly unclaimed: readonly ModelWeight[];
  /** Layers whose every weight is frozen by null, or which have no weights and are named by null. */
  readonly frozen: ReadonlySet<ModelLayer>;
}

/**
 * Resolves an assignment.
 *
 * @throws ConfigurationError `NO_WEIGHTS` for a model that is not built, `UNKNOWN_LAYER`, `SELECTOR_UNMATCHED`,
 * `SELECTOR_CLAIMS_NOTHING`, `TWO_PATTERNS`, `RULE_ON_BIAS`, `UNCLAIMED_WEIGHT`; UnsupportedError `UNSUPPORTED_LAYER`.
 */
export function resolve(model: tfl.LayersModel, assignment: Assignment): Plan {
  const layers = layersOf(model);
  const weights = weightsOf(layers);
  if (weights.length === 0) {
    throw new ConfigurationError(
      'NO_WEIGHTS',
      `Model '${model.name}' has no trainable weights.`,
      'build it first: give its first layer an inputShape.',
    );
  }
  const labels = Object.entries(assignment);
  checkLabels(
    labels.map(([label]) => label),
    layers,
    weights,
  );

  const claims = new Map(labels.map(([label]) => [label, 0]));
  const claim = (label: string) => claims.set(label, (claims.get(label) ?? 0) + 1);
  const planned: PlannedWeight[] = [];
  const unclaimed: ModelWeight[] = [];
  for (const weight of weights) {
    const claimants = labels.filter(([label, mover]) => rank(label, weight) !== null && canMove(label, mover, weight));
    for (const [label] of claimants) claim(label);
    const best = claimants.sort(([a], [b]) => (rank(b, weight) as number) - (rank(a, weight) as number));
    const [first, second] = best;
    if (first === undefined) {
      unclaimed.push(weight);
      continue;
    }
    if (second !== undefined && rank(first[0], weight) === PATTERN && rank(second[0], weight) === PATTERN) {
      throw new ConfigurationError(
        'TWO_PATTERNS',
        `Both '${first[0]}' and '${second[0]}' match ${weight.path}.`,
        `name '${weight.owner.path}' itself, which goes before patterns, or narrow one of them.`,
      );
    }
    const [label, mover] = first;
    const connection = isRule(mover) ? connectionOf(weight.owner) : null;
    planned.push({ ...weight, label, mover, connection });
  }
  refuseUnclaimed(unclaimed, assignment);
  refuseStrangers(model, weights);
  // A layer of which tfjs has no gradient, and we have none either, is refused now rather than at the first step.
  for (const part of layers.flatMap(dilatedIn)) refuseDilated(part);

  const movers = new Map(layers.map((layer): [ModelLayer, Updater[]] => [layer, []]));
  for (const { owner, mover } of planned) movers.get(owner)?.push(mover);
  const isNull = (mover: Updater) => mover === null;
  const frozen = new Set(
    layers.filter((layer) => {
      const ofLayer = movers.get(layer) ?? [];
      return ofLayer.length > 0 ? ofLayer.every(isNull) : freezes(layer, labels);
    }),
  );
  for (const [label, mover] of labels) {
    if (label === '*' || claims.get(label) !== 0 || mover === null) continue;
    throw new ConfigurationError(
      'SELECTOR_CLAIMS_NOTHING',
      `Label '${label}' matches nothing that its mover could move.`,
      isRule(mover) ? 'a local rule moves kernels; give a bias or a scale gradientDescent().' : 'remove it.',
    );
  }
  return { model, assignment, layers, weights: planned, unclaimed, frozen };
}

/**
 * The weights of a plan that are trainable now, as TensorFlow.js sees it: the model, their layers and they themselves.
 */
export function trainableOf({ model, weights }: Plan): PlannedWeight[] {
  const trainable = new Set(model.trainableWeights);
  return weights.filter(({ weight, owner }) => weight.trainable && isTrainable(owner) && trainable.has(weight));
}

/**
 * The JSON of an assignment, from which {@link assignmentFrom} builds an equal one.
 *
 * @throws ConfigurationError `BAD_ASSIGNMENT`, `BAD_UPDATER`.
 */
export function assignmentSpec(assignment: Assignment): { readonly [label: string]: Json } {
  checkAssignment(assignment);
  const labelOf = new Map<tf.Optimizer, string>();
  const json = (label: string, mover: Updater): Json => {
    if (mover === null) return null;
    if (isPlasticity(mover)) return mover.spec as unknown as Json;
    const first = labelOf.get(mover);
    if (first !== undefined) return { sameOptimizerAs: first };
    labelOf.set(mover, label);
    return { optimizer: mover.getClassName(), config: mover.getConfig() as Json };
  };
  return Object.fromEntries(Object.entries(assignment).map(([label, mover]) => [label, json(label, mover)]));
}

/**
 * The assignment that a spec describes.
 *
 * @throws ConfigurationError as `fromSpec`, and `UNKNOWN_OPTIMIZER`.
 */
export function assignmentFrom(
  spec: { readonly [label: string]: Json },
  plugins: Readonly<Record<string, Factory>>,
): Assignment {
  const built = new Map<string, Updater>();
  const mover = (json: Json): Updater => {
    if (json === null) return null;
    if (isSpec(json)) return fromSpec<Plasticity>(json as Spec, plugins);
    const { sameOptimizerAs: label } = json as { sameOptimizerAs?: string };
    if (label !== undefined) return built.get(label) as Updater;
    const { optimizer, config } = json as { optimizer: string; config: tf.serialization.ConfigDict };
    const known = tf.serialization.SerializationMap.getMap().classNameMap;
    const entry = Object.hasOwn(known, optimizer) ? known[optimizer] : undefined;
    if (entry === undefined) throw unknownName('optimizer', optimizer, Object.keys(known));
    const [type, build] = entry;
    return build(type, config) as unknown as tf.Optimizer;
  };
  for (const [label, json] of Object.entries(spec)) built.set(label, mover(json));
  return Object.fromEntries(built);
}

/** Whether a mover is a plasticity (and not a tfjs optimizer, nor null). */
export function isPlasticity(mover: Updater): mover is Plasticity {
  return typeof mover === 'object' && mover !== null && 'transforms' in mover;
}

function isRule(mover: Updater): boolean {
  return isPlasticity(mover) && mover.rule !== null;
}

const PATTERN = 1;

/** How specifically a label names a weight: 0 for `'*'`, 1 for a pattern, more for a name; null if it does not. */
function rank(label: string, { path, owner }: ModelWeight): number | null {
  if (label === path) return 1000;
  return layerRank(label, owner) ?? (isPattern(label) && toRegExp(label).test(path) ? PATTERN : null);
}

function layerRank(label: string, { path, within }: ModelLayer): number | null {
  if (label === path) return 999;
  const depth = within.findIndex((outer) => outer.path === label);
  if (depth >= 0) return 998 - depth;
  if (label === '*') return 0;
  return isPattern(label) && toRegExp(label).test(path) ? PATTERN : null;
}

/** Whether the most specific label that names the layer as a whole is null. */
function freezes(layer: ModelLayer, labels: readonly [string, Updater][]): boolean {
  const naming = labels.filter(([label]) => layerRank(label, layer) !== null);
  naming.sort(([a], [b]) => (layerRank(b, layer) as number) - (layerRank(a, layer) as number));
  return naming.length > 0 && (naming[0] as [string, Updater])[1] === null;
}

function canMove(label: string, mover: Updater, weight: ModelWeight): boolean {
  if (!isRule(mover)) return true;
  if (label === weight.owner.path && !hasConnection(weight.owner)) connectionOf(weight.owner);
  if (label === weight.path && !weight.isKernel) {
    if (hasConnection(weight.owner)) {
      throw new ConfigurationError(
        'RULE_ON_BIAS',
        `'${label}' is no kernel, and a local rule moves kernels only.`,
        `give it gradientDescent(), as in { '${label}': chain(gradientDescent(), scaleBy(1e-2)) }.`,
      );
    }
    connectionOf(weight.owner);
  }
  return weight.isKernel;
}

function checkAssignment(assignment: Assignment): void {
  const plain = typeof assignment === 'object' && assignment !== null && !Array.isArray(assignment);
  if (!plain || isMover(assignment)) {
    throw new ConfigurationError(
      'BAD_ASSIGNMENT',
      `The assignment is ${isMover(assignment) ? 'a mover' : assignment}.`,
      "give movers by label: { conv1: chain(…), '*': chain(gradientDescent(), scaleBy(1e-2)) }.",
    );
  }
  for (const [label, mover] of Object.entries(assignment)) checkMover(label, mover);
}

function isMover(value: unknown): value is Updater {
  if (value == null) return value === null; // tfjs's instanceof reads a property
  return isPlasticity(value as Updater) || value instanceof tf.Optimizer;
}

function checkMover(label: string, mover: unknown): void {
  if (isMover(mover)) return;
  throw new ConfigurationError(
    'BAD_UPDATER',
    `Label '${label}' is given ${describe(mover)}.`,
    'give it a plasticity such as chain(threeFactor(rule, modulator), scaleBy(1e-2)), a tf.Optimizer, or null.',
  );
}

function describe(value: unknown): string {
  const name = (value as { spec?: Spec } | undefined)?.spec?.name;
  if (typeof value === 'string') return `'${value}'`;
  return name === undefined ? String(value) : `${name}(…), which is no plasticity by itself`;
}

function checkLabels(labels: readonly string[], layers: readonly ModelLayer[], weights: readonly ModelWeight[]): void {
  const nested = layers.flatMap(({ within }) => within.map(({ path }) => path));
  const names = new Set([...layers.map(({ path }) => path), ...nested, ...weights.map(({ path }) => path)]);
  for (const label of labels) {
    if (label === '*' || names.has(label)) continue;
    if (!isPattern(label)) throw unknownName('layer', label, names);
    if ([...names].some((name) => toRegExp(label).test(name))) continue;
    throw new ConfigurationError(
      'SELECTOR_UNMATCHED',
      `Pattern '${label}' matches no layer or weight.`,
      `there are ${[...names].join(', ')}.`,
    );
  }
}

/**
 * Refuses trainable weights that no label names.
 *
 * @throws ConfigurationError `UNCLAIMED_WEIGHT`.
 */
export function refuseUnclaimed(unclaimed: readonly ModelWeight[], assignment: Assignment): void {
  const paths = unclaimed.filter(({ owner }) => isTrainable(owner)).map(({ path }) => path);
  if (paths.length === 0) return;
  const rest = assignment['*'];
  const reason =
    rest === undefined ? 'no label names' : "'*' is a local rule, which moves kernels only, and no other label names";
  throw new ConfigurationError(
    'UNCLAIMED_WEIGHT',
    `Nothing moves ${paths.join(', ')}: ${reason} ${paths.length > 1 ? 'them' : 'it'}.`,
    rest === undefined
      ? "add a label for it, or '*': chain(gradientDescent(), scaleBy(1e-2)); null freezes."
      : "add a label for it, for example '**/bias': chain(gradientDescent(), scaleBy(1e-2)); null freezes.",
  );
}

/**
 * Refuses trainable weights of the model that none of its layers had when its weights were listed.
 *
 * @throws ConfigurationError `UNCLAIMED_WEIGHT`.
 */
export function refuseStrangers(model: tfl.LayersModel, weights: readonly ModelWeight[]): void {
  const known = new Set(weights.map(({ weight }) => weight));
  const strangers = model.trainableWeights.filter((weight) => !known.has(weight));
  if (strangers.length === 0) return;
  throw new ConfigurationError(
    'UNCLAIMED_WEIGHT',
    `Nothing moves ${strangers.map(({ name }) => `'${name}'`).join(', ')}, which the model exposes as trainable.`,
    'a layer should expose its weights as trainableWeights when plasticOptimizer() is called; make a new optimizer after a change.',
  );
}

const isPattern = (label: string) => label !== '*' && label.includes('*');

function toRegExp(pattern: string): RegExp {
  const source = pattern
    .split(/(\*\*\/|\*\*|\*)/)
    .map((part) => {
      if (part === '**/') return '(?:.*/)?';
      if (part === '**') return '.*';
      return part === '*' ? '[^/]*' : part.replace(/[.+?^${}()|[\]\\]/g, '\\$&');
    })
    .join('');
  return new RegExp(`^${source}$`);
}
