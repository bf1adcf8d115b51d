export * from './softhebb.js';
