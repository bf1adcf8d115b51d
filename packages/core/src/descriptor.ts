/** The description of a plugin, from which lists, command lines and tests derive. */
import type { LocalRule } from './local-rule.js';
import type { GlobalModulator } from './modulator.js';
import type { Transform } from './transform.js';

interface Products {
  readonly rule: LocalRule;
  readonly modulator: GlobalModulator;
  readonly transform: Transform;
}

interface Descriptor<Kind extends keyof Products> {
  readonly kind: Kind;
  /** The factory's name, as in the spec of a product. */
  readonly name: string;
  // biome-ignore lint/suspicious/noExplicitAny: factories differ in their arguments, which only they know
  readonly make: (...args: any[]) => Products[Kind];
  /** Lists of arguments of `make`: one for each way to use it. A command line takes its defaults from the first. */
  readonly examples: readonly (readonly unknown[])[];
  /** Options for a layer with this temperature of the competition, if the part has such options. */
  readonly forLayer?: (temperature: number) => object;
}

/**
 * A rule, modulator or transform as a part of a list. Its package exports it as `plugin`:
 * `{ kind: 'rule', name: 'bcm', make: bcm, examples: [[], [{ divide: true }]] }`.
 */
export type Plugin = { [Kind in keyof Products]: Descriptor<Kind> }[keyof Products];
