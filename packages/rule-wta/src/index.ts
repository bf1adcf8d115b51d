export * from './fast-swta.js';
export * from './plugins.js';
export * from './wta.js';
