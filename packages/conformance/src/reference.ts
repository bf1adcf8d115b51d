/**
 * The algebra in float64 and plain arrays, one sample at a time. It shares no code with the engine, so that tests can
 * compare the two.
 *
 *     Δw_k = Σₚ g_pk · (xₚ − Σ_{j ∈ S(k)} r_pj · w_j)
 */
import type { Connection, ConvolutionOptions } from '@ghl/core/engine';
import type { Scope, Units } from '@ghl/core/plugin';

/** Rows of numbers. */
export type Matrix = readonly (readonly number[])[];

/** A state in plain numbers, with the structure of the tree of tensors that it represents. */
export type ReferenceState = number | readonly ReferenceState[] | { readonly [key: string]: ReferenceState };

/** A layer's geometry as data: the arguments of a connection. */
export interface LayerGeometry extends ConvolutionOptions {
  /** The kind of connection. */
  readonly kind: Connection['kind'];
  /** As in TensorFlow.js: [in, out], [k, cin, out], [kh, kw, cin, out] or [kh, kw, cin, multiplier]. */
  readonly kernelShape: readonly number[];
}

/** The inputs of a rule's reference. */
export interface ReferenceContext {
  /** y, [P][K]. */
  readonly post: Matrix;
  /** W, [D][K]. */
  readonly weights: Matrix;
  /** Sizes of the layer. */
  readonly units: Units;
  /** Updates made so far, for schedules. */
  readonly step: number;
  /** The input of unit k at position p: [D]. */
  patch(p: number, k: number): readonly number[];
}

/** The output of a rule's reference for one step. */
export interface ReferenceGate {
  /** G, [P][K]. */
  readonly gate: Matrix;
  /** R, [P][K] or 1. Default 1. */
  readonly reconstruction?: Matrix | 1;
  /** Whose reconstruction is subtracted. */
  readonly scope: Scope;
  /** The state after this step; absent for a rule without state. */
  readonly state?: ReferenceState;
}

/** A rule in float64, sample by sample, without tensors. */
export interface LocalRuleReference {
  /** The state before the first step; absent for a rule without state. */
  init?(units: Units): ReferenceState;
  /** Gate, reconstruction and scope of one step. */
  gate(context: ReferenceContext, state: ReferenceState): ReferenceGate;
}

/** The sizes of a connection with this geometry. */
export function unitsOf({ kind, kernelShape }: LayerGeometry): Units {
  const last = kernelShape.at(-1) as number;
  const channels = kernelShape.at(-2) as number;
  const taps = kernelShape.slice(0, -2).reduce((product, size) => product * size, 1);
  return kind === 'depthwiseConv2d'
    ? { fanIn: taps, fanOut: channels * last, taps, groups: channels }
    : { fanIn: taps * channels, fanOut: last, taps, groups: 1 };
}

/** The windows of one spatial axis. */
interface Axis {
  readonly size: number;
  readonly taps: number;
  readonly stride: number;
  readonly dilation: number;
  readonly before: number;
  readonly outputs: number;
}

/** The spatial axes of a layer on an input. A dense layer has none. */
function axesOf(geometry: LayerGeometry, preShape: readonly number[]): Axis[] {
  const count = { dense: 0, conv1d: 1, conv2d: 2, depthwiseConv2d: 2 }[geometry.kind];
  const each = (value: number | readonly number[] | undefined, axis: number) =>
    typeof value === 'object' ? (value[axis] as number) : (value ?? 1);
  return Array.from({ length: count }, (_, axis) => {
    const size = preShape[axis + 1] as number;
    const taps = geometry.kernelShape[axis] as number;
    const stride = each(geometry.strides, axis);
    const dilation = each(geometry.dilations, axis);
    const { padding = 'valid' } = geometry;
    const reach = (taps - 1) * dilation + 1;
    if (padding === 'same') {
      const outputs = Math.ceil(size / stride);
      const total = Math.max((outputs - 1) * stride + reach - size, 0);
      return { size, taps, stride, dilation, before: Math.floor(total / 2), outputs };
    }
    const [before, after] =
      padding === 'valid'
        ? [0, 0]
        : typeof padding === 'number'
          ? [padding, padding]
          : (padding[axis] as [number, number]);
    return { size, taps, stride, dilation, before, outputs: Math.floor((size + before + after - reach) / stride) + 1 };
  });
}

/** The shape of y for an input of shape `preShape`. */
export function postShapeOf(geometry: LayerGeometry, preShape: readonly number[]): number[] {
  const { fanOut } = unitsOf(geometry);
  if (geometry.kind === 'dense') return [...preShape.slice(0, -1), fanOut];
  return [preShape[0] as number, ...axesOf(geometry, preShape).map(({ outputs }) => outputs), fanOut];
}

/**
 * The index of each tap of each patch in the flat input, −1 in the padding: [P][groups][D]. A depthwise layer has one
 * group per input channel, any other layer has one group.
 */
function patchIndices(geometry: LayerGeometry, preShape: readonly number[]): number[][][] {
  const channels = preShape.at(-1) as number;
  const { groups } = unitsOf(geometry);
  const axes = axesOf(geometry, preShape);
  const batch = geometry.kind === 'dense' ? preShape.slice(0, -1).reduce((a, b) => a * b, 1) : (preShape[0] as number);
  const grid = (sizes: readonly number[]) =>
    sizes.reduce<number[][]>(
      (all, size) => all.flatMap((at) => Array.from({ length: size }, (_, i) => [...at, i])),
      [[]],
    );
  const windows = grid(axes.map(({ outputs }) => outputs));
  const taps = grid(axes.map((axis) => axis.taps));
  const positions: number[][][] = [];
  for (let example = 0; example < batch; example++) {
    for (const window of windows) {
      const places = taps.map((tap) => {
        let place = example;
        for (const [i, { size, stride, dilation, before }] of axes.entries()) {
          const coordinate = (window[i] as number) * stride + (tap[i] as number) * dilation - before;
          if (coordinate < 0 || coordinate >= size) return -1;
          place = place * size + coordinate;
        }
        return place;
      });
      const channelsOf = (group: number) =>
        groups === 1 ? Array.from({ length: channels }, (_, channel) => channel) : [group];
      positions.push(
        Array.from({ length: groups }, (_, group) =>
          places.flatMap((place) => channelsOf(group).map((channel) => (place < 0 ? -1 : place * channels + channel))),
        ),
      );
    }
  }
  return positions;
}

/**
 * The patches of an input: [P][groups][D], with zeros in the padding. P runs over examples, then over output positions
 * in row-major order; D runs over the kernel's taps, then over its input channels.
 *
 * @param pre x, flat in row-major order.
 */
export function patches(geometry: LayerGeometry, pre: ArrayLike<number>, preShape: readonly number[]): number[][][] {
  return patchIndices(geometry, preShape).map((position) =>
    position.map((indices) => indices.map((index) => (index < 0 ? 0 : (pre[index] as number)))),
  );
}

/** A kernel as [D][K]; flat kernels of every connection have this order. */
export function kernelRows(geometry: LayerGeometry, kernel: ArrayLike<number>): number[][] {
  const { fanIn, fanOut } = unitsOf(geometry);
  return Array.from({ length: fanIn }, (_, d) =>
    Array.from({ length: fanOut }, (_, k) => kernel[d * fanOut + k] as number),
  );
}

/** The group of a patch that unit k sees. */
const groupOf = ({ fanOut, groups }: Units, k: number) => Math.floor(k / (fanOut / groups));

/** y_pk = Σ_d x_pd·w_dk: [P][K]. */
export function referenceForward(units: Units, inputs: readonly Matrix[], weights: Matrix): number[][] {
  return inputs.map((position) =>
    Array.from({ length: units.fanOut }, (_, k) => {
      const patch = position[groupOf(units, k)] as readonly number[];
      return patch.reduce((sum, x, d) => sum + x * ((weights[d] as readonly number[])[k] as number), 0);
    }),
  );
}

/** Σₚ x_pd·v_pk: [D][K]. */
export function referenceCorrelate(units: Units, inputs: readonly Matrix[], cotangent: Matrix): number[][] {
  return Array.from({ length: units.fanIn }, (_, d) =>
    Array.from({ length: units.fanOut }, (_, k) =>
      inputs.reduce(
        (sum, position, p) =>
          sum +
          ((position[groupOf(units, k)] as readonly number[])[d] as number) *
            ((cotangent[p] as readonly number[])[k] as number),
        0,
      ),
    ),
  );
}

/** ∂(Σ v⊙y)/∂x, flat: each v_pk·w_dk is added at the index of unit k's tap d at position p. */
export function referenceBackward(
  geometry: LayerGeometry,
  cotangent: Matrix,
  weights: Matrix,
  preShape: readonly number[],
): Float64Array {
  const units = unitsOf(geometry);
  const sums = new Float64Array(preShape.reduce((product, size) => product * size, 1));
  for (const [p, position] of patchIndices(geometry, preShape).entries()) {
    for (let k = 0; k < units.fanOut; k++) {
      for (const [d, index] of (position[groupOf(units, k)] as number[]).entries()) {
        if (index < 0) continue;
        const w = (weights[d] as readonly number[])[k] as number;
        sums[index] = (sums[index] as number) + ((cotangent[p] as readonly number[])[k] as number) * w;
      }
    }
  }
  return sums;
}

/**
 * ΔW of a gate, reconstruction and scope: the formula at the top of this file, summed sample by sample.
 *
 * @param inputs [P][groups][D], as {@link patches} returns them.
 * @returns [D][K].
 */
export function referenceDelta(
  units: Units,
  inputs: readonly Matrix[],
  weights: Matrix,
  { gate, reconstruction = 1, scope }: ReferenceGate,
): number[][] {
  const { fanIn, fanOut } = units;
  const subtracts = (k: number, j: number) =>
    groupOf(units, j) === groupOf(units, k) &&
    ((scope === 'own' && j === k) || (scope === 'earlier' && j <= k) || scope === 'all');
  const delta = Array.from({ length: fanIn }, () => Array<number>(fanOut).fill(0));
  for (const [p, position] of inputs.entries()) {
    for (let k = 0; k < fanOut; k++) {
      const g = (gate[p] as readonly number[])[k] as number;
      for (let d = 0; d < fanIn; d++) {
        let left = (position[groupOf(units, k)] as readonly number[])[d] as number;
        for (let j = 0; j < fanOut; j++) {
          if (!subtracts(k, j)) continue;
          const r = reconstruction === 1 ? 1 : ((reconstruction[p] as readonly number[])[j] as number);
          left -= r * ((weights[d] as readonly number[])[j] as number);
        }
        const row = delta[d] as number[];
        row[k] = (row[k] as number) + g * left;
      }
    }
  }
  return delta;
}

/** The result of {@link referenceStep}. */
export interface ReferenceStep {
  /** ΔW, [D][K]. */
  readonly delta: number[][];
  /** y, [P][K]. */
  readonly post: number[][];
  /** The state after the step. */
  readonly state: ReferenceState;
}

/**
 * Makes one step of a rule's reference.
 *
 * @param inputs [P][groups][D], as {@link patches} returns them; for a dense layer, `x.map((row) => [row])`.
 * @param weights [D][K].
 */
export function referenceStep(
  reference: LocalRuleReference,
  units: Units,
  inputs: readonly Matrix[],
  weights: Matrix,
  step: number,
  state: ReferenceState,
): ReferenceStep {
  const post = referenceForward(units, inputs, weights);
  const patch = (p: number, k: number) => (inputs[p] as Matrix)[groupOf(units, k)] as readonly number[];
  const answer = reference.gate({ post, weights, units, step, patch }, state);
  return { delta: referenceDelta(units, inputs, weights, answer), post, state: answer.state ?? state };
}

/** The numbers of a reference state at a leaf's path, flat. */
export function numbersAt(state: ReferenceState, path: string): number[] {
  const overlap = path
    .split('/')
    .filter((key) => key !== '')
    .reduce<ReferenceState | undefined>(
      (tree, key) => (tree as Readonly<Record<string, ReferenceState>> | undefined)?.[key],
      state,
    );
  const flat = (tree: ReferenceState): number[] =>
    typeof tree === 'number' ? [tree] : (Object.values(tree) as ReferenceState[]).flatMap(flat);
  return overlap === undefined ? [] : flat(overlap);
}

/** The inputs of a modulator's reference. */
export interface ReferenceModulatorContext {
  /** ΔW, flat; weight (d, k) is number d·K + k. */
  readonly eligibility: readonly number[];
  /** y, flat; activity (p, k) is number p·K + k. */
  readonly post: readonly number[];
  /**
   * The signals by name, each flat: the gradient in the order of ΔW, one loss, one reward or one per example; inputs
   * and targets example by example.
   */
  readonly signals: Readonly<Record<string, readonly number[]>>;
  /** Sizes of the layer. */
  readonly units: Units;
  /** Updates made so far, for schedules. */
  readonly step: number;
  /** Examples in the batch. */
  readonly batch: number;
}

/** The output of a modulator's reference for one step. */
export interface ReferenceModulation {
  /** The increment, in the order of ΔW, or the factor of each example or activity. */
  readonly result: readonly number[];
  /** The state after this step; absent for a modulator without state. */
  readonly state?: ReferenceState;
}

/** A modulator in float64, without tensors. */
export interface ModulatorReference {
  /** The state before the first step; absent for a modulator without state. */
  init?(units: Units): ReferenceState;
  /** The increment or factors of one step. */
  modulate(context: ReferenceModulatorContext, state: ReferenceState): ReferenceModulation;
}
