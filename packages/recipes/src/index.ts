/** Named products of local rules and global modulators, and the list of this project's parts. */
export { factories, parts } from './parts.js';
export { type ProductOptions, product } from './product.js';
export {
  byEpoch,
  type OnePhaseRecipe,
  type PhaseOptions,
  type Protocol,
  type ProtocolPhase,
  type ProtocolRecipe,
  type Recipe,
  type RecipeOptions,
} from './recipe.js';
export * from './recipes/index.js';
