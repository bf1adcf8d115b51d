export * from './oja.js';
