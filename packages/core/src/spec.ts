/**
 * A spec is the JSON from which a product can be built again: the name of a factory and the arguments that it was
 * called with. It stands in a run's manifest, in a URL and in a saved optimizer.
 */

/** A value that JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A factory's name and the arguments that it was called with; arguments may hold specs. */
export interface Spec {
  /** The factory's name, as `fromSpec` looks it up. */
  readonly name: string;
  /** Its arguments in order; an argument that has a spec stands here as that spec. */
  readonly args: readonly Json[];
}

/** Anything that can be rebuilt from JSON. */
export interface Specified {
  /** The call that made it; `fromSpec(spec)` makes an equal one. */
  readonly spec: Spec;
}

/** A factory of specified things, as `fromSpec` takes it. */
// biome-ignore lint/suspicious/noExplicitAny: factories differ in their arguments, which only their spec knows
export type Factory = (...args: any[]) => Specified;

/** Whether a JSON value is a spec rather than a record of options. */
export function isSpec(value: Json): value is Json & Spec {
  const spec = value as Partial<Spec> | null;
  return typeof spec?.name === 'string' && Array.isArray(spec.args) && Object.keys(spec).length === 2;
}

/**
 * The spec of a call `name(...args)`. Arguments that carry a spec are replaced by it; a plain function is kept as its
 * source, for the reader's sake, and cannot be rebuilt.
 */
export function specOf(name: string, ...args: readonly unknown[]): Spec {
  return { name, args: args.map(toJson) };
}

function toJson(value: unknown): Json {
  const spec = (value as Partial<Specified> | null | undefined)?.spec;
  if (spec !== undefined) return spec as unknown as Json;
  if (typeof value === 'function') return { name: 'function', args: [String(value)] };
  if (Array.isArray(value)) return value.map(toJson);
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).filter(([, each]) => each !== undefined);
    return Object.fromEntries(entries.map(([key, each]) => [key, toJson(each)]));
  }
  return value as Json;
}
