/** Assignments: the updater of each weight, by selector, and their resolution on a model. */
import { ConfigurationError, type Factory, fromSpec, type Json, type Plasticity, type Spec } from '@ghl/core';
import { type Connection, rulesOf } from '@ghl/core/engine';
import { isSpec, type Units, unknownName } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { connectionOf, dilatedIn, hasConnection, refuseDilated, unitsOf } from './tfjs/connections.js';
import { isTrainable, layersOf, type ModelLayer, type ModelWeight, weightsOf } from './tfjs/model-layers.js';
import { optimizerFrom } from './tfjs/tfjs-optimizer.js';

/** Moves a weight: a plasticity or any tfjs optimizer. null freezes the weight. */
export type Updater = Plasticity | tf.Optimizer | null;

/**
 * Updaters by selector. A selector is one of these, most specific first:
 *
 * - the path of a weight, `'conv1/kernel'`;
 * - the path of a layer, `'conv1'` or `'inner/dense'`;
 * - a nested model, `'inner'`;
 * - a pattern with `*` (within a name) or `**` (across `/`);
 * - `'*'`, which matches all other weights.
 *
 * A rule moves only kernels, so the bias of a plastic layer belongs to the
 * next matching selector.
 */
export type Assignment = { readonly [selector: string]: Updater };

/** A weight and its updater. */
export interface PlannedWeight extends ModelWeight {
  readonly selector: string;
  readonly updater: Updater;
  /** The geometry of the layer, if a local rule moves the weight. */
  readonly connection: Connection | null;
  /** The sizes of the layer if this is its kernel; otherwise each number of the last axis is a unit. */
  readonly units: Units;
}

/** An assignment resolved on a model. */
export interface Plan {
  readonly model: tfl.LayersModel;
  readonly assignment: Assignment;
  readonly layers: readonly ModelLayer[];
  readonly weights: readonly PlannedWeight[];
  /** Weights without a selector. They are not trainable and must not become so. */
  readonly unclaimed: readonly ModelWeight[];
  /** Layers with null for every weight, and layers without weights whose selector has null. */
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
  const selectors = Object.entries(assignment);
  checkSelectors(
    selectors.map(([selector]) => selector),
    layers,
    weights,
  );

  const claims = new Map(selectors.map(([selector]) => [selector, 0]));
  const claim = (selector: string) => claims.set(selector, (claims.get(selector) ?? 0) + 1);
  const planned: PlannedWeight[] = [];
  const unclaimed: ModelWeight[] = [];
  for (const weight of weights) {
    const claimants = selectors.filter(
      ([selector, updater]) => rank(selector, weight) !== null && canMove(selector, updater, weight),
    );
    for (const [selector] of claimants) claim(selector);
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
        `name '${weight.owner.path}' itself, which takes precedence over patterns, or narrow one of them.`,
      );
    }
    const [selector, updater] = first;
    const connection = isRule(updater) ? connectionOf(weight.owner) : null;
    planned.push({ ...weight, selector, updater, connection, units: connection?.units ?? unitsOf(weight) });
  }
  refuseUnclaimed(unclaimed, assignment);
  refuseStrangers(model, weights);
  // A layer without any gradient is refused now, not at the first step.
  for (const part of layers.flatMap(dilatedIn)) refuseDilated(part);

  const updaters = new Map(layers.map((layer): [ModelLayer, Updater[]] => [layer, []]));
  for (const { owner, updater } of planned) updaters.get(owner)?.push(updater);
  const isNull = (updater: Updater) => updater === null;
  const frozen = new Set(
    layers.filter((layer) => {
      const ofLayer = updaters.get(layer) ?? [];
      return ofLayer.length > 0 ? ofLayer.every(isNull) : freezes(layer, selectors);
    }),
  );
  for (const [selector, updater] of selectors) {
    if (selector === '*' || claims.get(selector) !== 0 || updater === null) continue;
    throw new ConfigurationError(
      'SELECTOR_CLAIMS_NOTHING',
      `Selector '${selector}' matches nothing that its updater can move.`,
      isRule(updater) ? 'a local rule moves kernels; give a bias or a scale gradientDescent().' : 'remove it.',
    );
  }
  return { model, assignment, layers, weights: planned, unclaimed, frozen };
}

/** The weights of a plan that are trainable now: the model, the layer and the weight must be trainable. */
export function trainableOf({ model, weights }: Plan): PlannedWeight[] {
  const trainable = new Set(model.trainableWeights);
  return weights.filter(({ weight, owner }) => weight.trainable && isTrainable(owner) && trainable.has(weight));
}

/**
 * The JSON of an assignment. {@link assignmentFrom} builds an equal assignment from it.
 *
 * @throws ConfigurationError `BAD_ASSIGNMENT`, `BAD_UPDATER`.
 */
export function assignmentSpec(assignment: Assignment): { readonly [selector: string]: Json } {
  checkAssignment(assignment);
  const selectorOf = new Map<tf.Optimizer, string>();
  const json = (selector: string, updater: Updater): Json => {
    if (updater === null) return null;
    if (isPlasticity(updater)) return { ...updater.spec };
    const first = selectorOf.get(updater);
    if (first !== undefined) return { sameOptimizerAs: first };
    selectorOf.set(updater, selector);
    return { optimizer: updater.getClassName(), config: updater.getConfig() as Json };
  };
  return Object.fromEntries(
    Object.entries(assignment).map(([selector, updater]) => [selector, json(selector, updater)]),
  );
}

/**
 * Builds the assignment that a spec describes.
 *
 * @throws ConfigurationError `UNKNOWN_OPTIMIZER`, or those of `fromSpec`.
 */
export function assignmentFrom(
  spec: { readonly [selector: string]: Json },
  factories: Readonly<Record<string, Factory>>,
): Assignment {
  const built = new Map<string, Updater>();
  const updater = (json: Json): Updater => {
    if (json === null) return null;
    if (isSpec(json)) return fromSpec<Plasticity>(json as Spec, factories);
    const { sameOptimizerAs: selector } = json as { sameOptimizerAs?: string };
    if (selector !== undefined) return built.get(selector) as Updater;
    const { optimizer, config } = json as { optimizer: string; config: tf.serialization.ConfigDict };
    return optimizerFrom(optimizer, config);
  };
  for (const [selector, json] of Object.entries(spec)) built.set(selector, updater(json));
  return Object.fromEntries(built);
}

/** Whether an updater is a plasticity, as opposed to a tfjs optimizer or null. */
export function isPlasticity(updater: Updater): updater is Plasticity {
  return typeof updater === 'object' && updater !== null && 'transforms' in updater;
}

function isRule(updater: Updater): boolean {
  return isPlasticity(updater) && rulesOf(updater).length > 0;
}

const PATTERN = 1;

/** How specifically a selector matches a weight: 0 for `'*'`, 1 for a pattern, more for a name; null for no match. */
function rank(selector: string, { path, owner }: ModelWeight): number | null {
  if (selector === path) return 1000;
  return layerRank(selector, owner) ?? (isPattern(selector) && toRegExp(selector).test(path) ? PATTERN : null);
}

function layerRank(selector: string, { path, within }: ModelLayer): number | null {
  if (selector === path) return 999;
  const depth = within.findIndex((outer) => outer.path === selector);
  if (depth >= 0) return 998 - depth;
  if (selector === '*') return 0;
  return isPattern(selector) && toRegExp(selector).test(path) ? PATTERN : null;
}

/** Whether the most specific selector of the whole layer has null. */
function freezes(layer: ModelLayer, selectors: readonly [string, Updater][]): boolean {
  const naming = selectors.filter(([selector]) => layerRank(selector, layer) !== null);
  naming.sort(([a], [b]) => (layerRank(b, layer) as number) - (layerRank(a, layer) as number));
  return naming.length > 0 && (naming[0] as [string, Updater])[1] === null;
}

function canMove(selector: string, updater: Updater, weight: ModelWeight): boolean {
  if (!isRule(updater)) return true;
  if (selector === weight.owner.path && !hasConnection(weight.owner)) connectionOf(weight.owner);
  if (selector === weight.path && !weight.isKernel) {
    if (hasConnection(weight.owner)) {
      throw new ConfigurationError(
        'RULE_ON_BIAS',
        `'${selector}' is not a kernel, and a local rule moves only kernels.`,
        `give it gradientDescent(), as in { '${selector}': chain(gradientDescent(), scaleBy(1e-2)) }.`,
      );
    }
    connectionOf(weight.owner);
  }
  return weight.isKernel;
}

function checkAssignment(assignment: Assignment): void {
  const plain = typeof assignment === 'object' && assignment !== null && !Array.isArray(assignment);
  if (!plain || isUpdater(assignment)) {
    throw new ConfigurationError(
      'BAD_ASSIGNMENT',
      `The assignment is ${isUpdater(assignment) ? 'an updater' : assignment}.`,
      "give updaters by selector: { conv1: chain(…), '*': chain(gradientDescent(), scaleBy(1e-2)) }.",
    );
  }
  for (const [selector, updater] of Object.entries(assignment)) checkUpdater(selector, updater);
}

function isUpdater(value: unknown): value is Updater {
  if (value == null) return value === null; // the instanceof of tfjs throws for undefined
  return isPlasticity(value as Updater) || value instanceof tf.Optimizer;
}

function checkUpdater(selector: string, updater: unknown): void {
  if (isUpdater(updater)) return;
  throw new ConfigurationError(
    'BAD_UPDATER',
    `Selector '${selector}' has ${describe(updater)}.`,
    'give it a plasticity such as chain(threeFactor(rule, modulator), scaleBy(1e-2)), a tf.Optimizer, or null.',
  );
}

function describe(value: unknown): string {
  const name = (value as { spec?: Spec } | undefined)?.spec?.name;
  if (typeof value === 'string') return `'${value}'`;
  return name === undefined ? String(value) : `${name}(…), which is only a part of a plasticity`;
}

function checkSelectors(
  selectors: readonly string[],
  layers: readonly ModelLayer[],
  weights: readonly ModelWeight[],
): void {
  const nested = layers.flatMap(({ within }) => within.map(({ path }) => path));
  const names = new Set([...layers.map(({ path }) => path), ...nested, ...weights.map(({ path }) => path)]);
  for (const selector of selectors) {
    if (selector === '*' || names.has(selector)) continue;
    if (!isPattern(selector)) throw unknownName('layer', selector, names);
    if ([...names].some((name) => toRegExp(selector).test(name))) continue;
    throw new ConfigurationError(
      'SELECTOR_UNMATCHED',
      `Pattern '${selector}' matches no layer or weight.`,
      `there are ${[...names].join(', ')}.`,
    );
  }
}

/**
 * Rejects trainable weights without a selector.
 *
 * @throws ConfigurationError `UNCLAIMED_WEIGHT`.
 */
export function refuseUnclaimed(unclaimed: readonly ModelWeight[], assignment: Assignment): void {
  const paths = unclaimed.filter(({ owner }) => isTrainable(owner)).map(({ path }) => path);
  if (paths.length === 0) return;
  const rest = assignment['*'];
  const reason =
    rest === undefined
      ? 'no selector matches'
      : "'*' has a local rule, which moves only kernels, and no other selector matches";
  throw new ConfigurationError(
    'UNCLAIMED_WEIGHT',
    `Nothing moves ${paths.join(', ')}: ${reason} ${paths.length > 1 ? 'them' : 'it'}.`,
    rest === undefined
      ? "add a selector for it, or '*': chain(gradientDescent(), scaleBy(1e-2)); null freezes."
      : "add a selector for it, for example '**/bias': chain(gradientDescent(), scaleBy(1e-2)); null freezes.",
  );
}

/**
 * Rejects trainable weights of the model that belonged to no layer when the plan was made.
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
    'a layer should expose its weights as trainableWeights when plasticOptimizer() is called; create a new optimizer after a change.',
  );
}

const isPattern = (selector: string) => selector !== '*' && selector.includes('*');

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
