/**
 * For authors of learners. The engine turns the (G, R, S) of a rule into ΔW = Xᵀ·G − W·M for any connection, and a
 * plasticity into the increment of one layer. A step has three phases, so that a learner can correlate gates together
 * with back-propagation's own cotangents, in one pass over x:
 *
 *     computeGates          y, W → G, M                     after the forward pass
 *     correlate             x, G → Xᵀ·G                     connection.correlate(x, [∂L/∂y, G])
 *     computeEligibilities  Xᵀ·G, M → ΔW
 *     computeIncrement      ΔW, signals → Δ                 wrappers, third factor, transforms
 *
 * The functions are pure: wrap them in `tf.tidy` and keep the results.
 */

export { readsActivity, rulesOf } from '../plasticity.js';
export { variablesIn } from '../schedules.js';
export { leaves, loadState, mapLeaves, saveState } from '../state.js';
export * from './connection.js';
export * from './eligibility.js';
export * from './fused.js';
export { computeGates, type LayerGates } from './gates.js';
export * from './increment.js';
export * from './layer-increment.js';
export * from './layer-step.js';
export { type AvailableSignals, batchOf, examplesOf } from './signals.js';
export { initState, type PlasticityState, unitsOfWeight } from './state.js';
export * from './step-counter.js';
