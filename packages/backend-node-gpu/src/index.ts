/** Training on native TensorFlow in Node: `activate()` before anything else. */
export { activate, backend, deactivate, isSupported } from './activate.js';
