/** The rules of this package, described for lists and tests of parts. */
import type { Plugin } from '@ghl/core/plugin';
import { bcm } from './bcm.js';
import { hwtaBcm, hwtaBcmOwn } from './hwta-bcm.js';

/** BCM and its two forms with a hard competition, described for lists and tests of parts. */
export const plugins: readonly Plugin[] = [
  { kind: 'rule', name: 'bcm', make: bcm, examples: [[], [{ divide: true }]] },
  { kind: 'rule', name: 'hwtaBcm', make: hwtaBcm, examples: [[]] },
  { kind: 'rule', name: 'hwtaBcmOwn', make: hwtaBcmOwn, examples: [[]] },
];
