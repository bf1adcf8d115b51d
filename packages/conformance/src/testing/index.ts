/** For tests of plugins: seeded numbers, and steps of a part from plain numbers to plain numbers. */
export * from './numbers.js';
export * from './steps.js';
export * from './vectors.js';
