/** One plastic layer in one step: its recorded calls, its gates, and their correlations with x. */
import type { Plasticity } from '@ghl/core';
import {
  type AvailableSignals,
  type Connection,
  computeGates,
  type LayerGates,
  type LayerUse,
  leaves,
  type PlasticityState,
  readsActivity,
} from '@ghl/core/engine';
import * as tf from '@tensorflow/tfjs-core';
import type { Listener } from './tfjs/layer-overrides.js';

/** The gates of a layer, and their correlations with x. */
export interface Correlations {
  readonly gates: LayerGates;
  /** Xᵀ·G for each gate. */
  readonly sums: readonly tf.Tensor[];
}

/** A plastic layer in one step. Its creator must dispose of it. */
export interface PlasticLayer extends Listener {
  readonly calls: readonly LayerUse[];
  /** Computes the gates after the forward pass. Later calls do nothing. */
  open(signals: AvailableSignals, step: number, state: PlasticityState): void;
  /**
   * The gates and Xᵀ·G of each; null for a rule that reads no activity. Computes the correlations that the backward
   * pass did not compute.
   */
  correlations(): Correlations | null;
  /** The state after the gates; null before `open`. */
  readonly state: PlasticityState | null;
  dispose(): void;
}

/**
 * Creates a plastic layer at the beginning of a step.
 *
 * @param keepsPost Whether y is read after the gates are computed. If not, it is disposed of then.
 * @param openGates Called before each kernel gradient: opens the gates of this layer, and no earlier, since they are as
 * large as y.
 */
export function plasticLayer(
  plasticity: Plasticity,
  connection: Connection,
  kernel: tf.Variable,
  keepsPost: boolean,
  openGates: () => void,
): PlasticLayer {
  const calls: LayerUse[] = [];
  const sumsOfCalls = new Map<number, tf.Tensor[]>();
  const owned: tf.Tensor[] = [];
  let gates: LayerGates | null = null;
  let state: PlasticityState | null = null;
  const cotangentsOf = (index: number) => [...(gates?.cotangents[index] ?? [])];

  return {
    calls,
    ...(readsActivity(plasticity) && {
      onCall(call: LayerUse) {
        calls.push(call);
        owned.push(call.pre, call.post);
      },
    }),
    onKernelGradient(cotangent, pre, index) {
      openGates();
      const cotangents = cotangentsOf(index);
      const [own, ...sums] = connection.correlate(pre, [cotangent, ...cotangents]);
      tf.dispose(cotangents);
      sumsOfCalls.set(index, sums.map(tf.keep));
      owned.push(...sums);
      return own as tf.Tensor;
    },
    open(signals, step, before) {
      if (state !== null) return;
      state = before;
      if (calls.length === 0) return;
      tf.tidy(() => {
        gates = computeGates(plasticity, { connection, kernel, calls, signals, step }, before);
        if (gates === null) return;
        state = gates.state;
        const tensors = [...gates.cotangents.flat(), ...gates.overlaps.filter((m) => m !== null)];
        const old = new Set(leaves(before).map(([, leaf]) => leaf.id));
        tensors.push(...leaves(gates.state).flatMap(([, leaf]) => (old.has(leaf.id) ? [] : [leaf])));
        owned.push(...tensors.map(tf.keep));
      });
      if (!keepsPost) tf.dispose(calls.map(({ post }) => post));
    },
    correlations() {
      const layerGates = gates;
      if (layerGates === null) return null;
      const sumsByCall = calls.map(({ pre }, i) => sumsOfCalls.get(i) ?? connection.correlate(pre, cotangentsOf(i)));
      const sums = layerGates.overlaps.map((_, gate) => {
        const terms = sumsByCall.map((ofCall) => ofCall[gate] as tf.Tensor);
        return terms.length === 1 ? (terms[0] as tf.Tensor) : tf.addN(terms);
      });
      return { gates: layerGates, sums };
    },
    get state() {
      return state;
    },
    dispose() {
      tf.dispose(owned);
    },
  };
}
