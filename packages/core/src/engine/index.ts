/** For authors of learners: connections, the phases of a step, and state that is saved and loaded. */
export { leaves, loadState, mapLeaves, saveState } from '../state.js';
export * from './connection.js';
export * from './engine.js';
export * from './step-counter.js';
