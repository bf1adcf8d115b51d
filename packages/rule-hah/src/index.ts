export * from './hah.js';
