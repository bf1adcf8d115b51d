/** The rules of this package, described for lists and tests of parts. */
import type { Plugin } from '@ghl/core/plugin';
import { hpca } from './hpca.js';
import { subspace } from './subspace.js';

/** Hebbian PCA and the subspace rule, described for lists and tests of parts. */
export const plugins: readonly Plugin[] = [
  { kind: 'rule', name: 'hpca', make: hpca, examples: [[], [{ activation: 'relu', scaleByFanIn: true }]] },
  { kind: 'rule', name: 'subspace', make: subspace, examples: [[]] },
];
