export * from './scalar.js';
