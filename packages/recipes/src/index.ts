/** Named products of local rules and global modulators, with the constants of the paper's code. */
export * from './constants.js';
export * from './recipes.js';
