export * from './hebb.js';
