/** Training on native TensorFlow in Node: `activate()` before anything else. */
import './codes.js';

export { activate, backend, deactivate, isSupported } from './activate.js';
