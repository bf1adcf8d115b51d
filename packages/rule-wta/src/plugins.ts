/** The rules of this package, described for lists and tests of parts. */
import type { Plugin } from '@ghl/core/plugin';
import { fastSwta } from './fast-swta.js';
import { wta } from './wta.js';

/** Winner-take-all, hard and as in FastHebb. */
export const plugins: readonly Plugin[] = [
  { kind: 'rule', name: 'wta', make: wta, examples: [[], [{ winners: 3 }]] },
  { kind: 'rule', name: 'fastSwta', make: fastSwta, examples: [[]] },
];
