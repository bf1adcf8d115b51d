export * from './krotov.js';
