/** The parts of this project: the one list that names every rule and modulator. */
import { constant, type Factory } from '@ghl/core';
import type { Plugin } from '@ghl/core/plugin';
import { plugin as gate } from '@ghl/modulator-gate';
import { plugins as ib } from '@ghl/modulator-ib';
import { plugin as scalar } from '@ghl/modulator-scalar';
import { plugin as sign } from '@ghl/modulator-sign';
import { plugins as bcm } from '@ghl/rule-bcm';
import { plugin as hah } from '@ghl/rule-hah';
import { plugins as hebb } from '@ghl/rule-hebb';
import { plugins as hpca } from '@ghl/rule-hpca';
import { plugin as krotov } from '@ghl/rule-krotov';
import { plugin as oja } from '@ghl/rule-oja';
import { plugin as softHebb } from '@ghl/rule-softhebb';
import { plugin as swta } from '@ghl/rule-swta';
import { plugins as wta } from '@ghl/rule-wta';

/** Every rule and modulator of this project. */
export const parts: readonly Plugin[] = [
  ...hebb,
  oja,
  swta,
  softHebb,
  ...wta,
  ...bcm,
  ...hpca,
  krotov,
  hah,
  { kind: 'rule', name: 'constant', make: constant, examples: [[]] },
  sign,
  gate,
  scalar,
  ...ib,
];

/** The factories of {@link parts} by name, for `fromSpec` and `register`. */
export const factories: Readonly<Record<string, Factory>> = Object.fromEntries(
  parts.map(({ name, make }) => [name, make]),
);
