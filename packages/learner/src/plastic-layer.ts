/** One plastic layer during one step: the calls it hears of, its gates, and the sums they add up to. */
import type { Plasticity } from '@ghl/core';
import {
  type AvailableSignals,
  type Connection,
  computeGates,
  type LayerGates,
  type LayerUse,
  leaves,
  type PlasticityState,
} from '@ghl/core/engine';
import * as tf from '@tensorflow/tfjs-core';
import type { Listener } from './stand-in.js';

/** Gates, and what they add up to. */
export interface Correlated {
  readonly gates: LayerGates;
  /** Xᵀ·G of the gate, and of the modulated gate where there is one. */
  readonly sums: readonly tf.Tensor[];
}

/** A plastic layer's part in a step. Whoever makes one disposes of it. */
export interface PlasticLayer extends Listener {
  readonly calls: readonly LayerUse[];
  /** Asks the rule for its gates, after the forward pass; once. */
  open(signals: AvailableSignals, step: number, state: PlasticityState): void;
  /**
   * The gates, and Xᵀ·G of each; null for a rule that looks at no activity. Correlates whatever the backward pass has
   * not.
   */
  correlated(): Correlated | null;
  /** The state after the gates; the state before where there were none. */
  readonly state: PlasticityState | null;
  dispose(): void;
}

/**
 * A plastic layer at the beginning of a step.
 *
 * @param keepsPost Whether y is asked for after the gates were opened; else it is freed then.
 * @param openGates Called before a kernel gradient: opens this layer's gates. No sooner, since they are as large as y.
 */
export function plasticLayer(
  plasticity: Plasticity,
  connection: Connection,
  kernel: tf.Variable,
  keepsPost: boolean,
  openGates: () => void,
): PlasticLayer {
  const calls: LayerUse[] = [];
  const correlated = new Map<number, tf.Tensor[]>();
  const owned: tf.Tensor[] = [];
  let opened: LayerGates | null = null;
  let state: PlasticityState | null = null;
  const cotangentsOf = (index: number) => [...(opened?.cotangents[index] ?? [])];
  const active = plasticity.rule !== null && plasticity.rule.active !== false;

  return {
    calls,
    ...(active && {
      onCall(call: LayerUse) {
        calls.push(call);
        owned.push(call.pre, call.post);
      },
    }),
    onKernelGradient(cotangent, pre, index) {
      openGates();
      const gates = cotangentsOf(index);
      const [own, ...sums] = connection.correlate(pre, [cotangent, ...gates]);
      tf.dispose(gates);
      correlated.set(index, sums.map(tf.keep));
      owned.push(...sums);
      return own as tf.Tensor;
    },
    open(signals, step, before) {
      if (state !== null) return;
      state = before;
      if (calls.length === 0) return;
      tf.tidy(() => {
        opened = computeGates(plasticity, { connection, kernel, calls, signals, step }, before);
        if (opened === null) return;
        state = opened.state;
        const made = [...opened.cotangents.flat(), ...opened.overlaps.filter((m) => m !== null)];
        const old = new Set(leaves(before).map(([, leaf]) => leaf.id));
        made.push(...leaves(opened.state).flatMap(([, leaf]) => (old.has(leaf.id) ? [] : [leaf])));
        owned.push(...made.map(tf.keep));
      });
      if (!keepsPost) tf.dispose(calls.map(({ post }) => post));
    },
    correlated() {
      const gates = opened;
      if (gates === null) return null;
      const each = calls.map(({ pre }, i) => correlated.get(i) ?? connection.correlate(pre, cotangentsOf(i)));
      const sums = gates.overlaps.map((_, gate) => {
        const ofCalls = each.map((ofCall) => ofCall[gate] as tf.Tensor);
        return ofCalls.length === 1 ? (ofCalls[0] as tf.Tensor) : tf.addN(ofCalls);
      });
      return { gates, sums };
    },
    get state() {
      return state;
    },
    dispose() {
      tf.dispose(owned);
    },
  };
}
