export * from './hpca.js';
