export * from './hebb.js';
export * from './plugins.js';
export * from './presynaptic.js';
