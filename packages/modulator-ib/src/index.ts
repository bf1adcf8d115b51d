export * from './ib.js';
export * from './plugins.js';
