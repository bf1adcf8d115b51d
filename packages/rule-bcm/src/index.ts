export * from './bcm.js';
export * from './hwta-bcm.js';
export * from './plugins.js';
