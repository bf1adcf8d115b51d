/** The rules of this package, described for lists and tests of parts. */
import type { Plugin } from '@ghl/core/plugin';
import { hebb } from './hebb.js';
import { presynaptic } from './presynaptic.js';

/** Hebb's rule and its presynaptic factor, described for lists and tests of parts. */
export const plugins: readonly Plugin[] = [
  { kind: 'rule', name: 'hebb', make: hebb, examples: [[]] },
  { kind: 'rule', name: 'presynaptic', make: presynaptic, examples: [[]] },
];
