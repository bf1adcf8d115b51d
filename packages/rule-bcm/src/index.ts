export * from './bcm.js';
