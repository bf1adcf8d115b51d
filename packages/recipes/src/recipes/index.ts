/** The recipes of this package. Written by `npm run collect` from the files of this folder: do not edit. */
import type { Recipe } from '../recipe.js';
import { recipe as backprop } from './backprop.js';
import { recipe as ghl } from './ghl.js';
import { recipe as ghlUnit } from './ghl-unit.js';
import { recipe as hah } from './hah.js';
import { recipe as hpcaFastHebb } from './hpca-fast-hebb.js';
import { recipe as hwtaBcm } from './hwta-bcm.js';
import { recipe as krotovHopfield } from './krotov-hopfield.js';
import { recipe as localOnly } from './local-only.js';
import { recipe as signMatched } from './sign-matched.js';
import { recipe as signOnly } from './sign-only.js';
import { recipe as signPermuted } from './sign-permuted.js';
import { recipe as softHebb } from './soft-hebb.js';
import { recipe as swtaFastHebb } from './swta-fast-hebb.js';

export { backprop } from './backprop.js';
export { ghl } from './ghl.js';
export { ghlUnit } from './ghl-unit.js';
export { hah } from './hah.js';
export { hpcaFastHebb } from './hpca-fast-hebb.js';
export { hwtaBcm } from './hwta-bcm.js';
export { krotovHopfield } from './krotov-hopfield.js';
export { localOnly } from './local-only.js';
export { signMatched } from './sign-matched.js';
export { signOnly } from './sign-only.js';
export { signPermuted } from './sign-permuted.js';
export { softHebb } from './soft-hebb.js';
export { swtaFastHebb } from './swta-fast-hebb.js';

/** The recipes by name. */
export const recipes: Readonly<
  Record<
    | 'ghl'
    | 'backprop'
    | 'signOnly'
    | 'signMatched'
    | 'localOnly'
    | 'ghlUnit'
    | 'hah'
    | 'hpcaFastHebb'
    | 'hwtaBcm'
    | 'krotovHopfield'
    | 'signPermuted'
    | 'softHebb'
    | 'swtaFastHebb',
    Recipe
  >
> = {
  ghl: ghl,
  backprop: backprop,
  signOnly: signOnly,
  signMatched: signMatched,
  localOnly: localOnly,
  ghlUnit: ghlUnit,
  hah: hah,
  hpcaFastHebb: hpcaFastHebb,
  hwtaBcm: hwtaBcm,
  krotovHopfield: krotovHopfield,
  signPermuted: signPermuted,
  softHebb: softHebb,
  swtaFastHebb: swtaFastHebb,
};
