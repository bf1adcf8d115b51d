export * from './swta.js';
