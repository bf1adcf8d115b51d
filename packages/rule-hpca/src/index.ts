export * from './hpca.js';
export * from './plugins.js';
export * from './subspace.js';
