/** The modulators of this package, described for lists and tests of parts. */
import type { Plugin } from '@ghl/core/plugin';
import { ib, ibExact } from './ib.js';

/** The information bottleneck as published, and its exact gradient, described for lists and tests of parts. */
export const plugins: readonly Plugin[] = [
  { kind: 'modulator', name: 'ib', make: ib, examples: [[]] },
  { kind: 'modulator', name: 'ibExact', make: ibExact, examples: [[]] },
];
