/**
 * A spec is the JSON from which a product can be rebuilt: the name of a factory and its arguments. The manifest of a
 * run, a URL and a saved optimizer contain specs.
 */

/** A value that JSON can represent. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** The name of a factory and its arguments, which may contain specs. */
export interface Spec {
  /** The name of the factory, which `fromSpec` looks up. */
  readonly name: string;
  /** Its arguments in order. An argument that has a spec is represented by that spec. */
  readonly args: readonly Json[];
}

/** Anything that can be rebuilt from JSON. */
export interface Specified {
  /** The call that made it; `fromSpec(spec)` makes an equal one. */
  readonly spec: Spec;
}

/** A factory of things with a spec. */
// biome-ignore lint/suspicious/noExplicitAny: factories differ in their arguments, which only their spec knows
export type Factory = (...args: any[]) => Specified;

/** Whether a JSON value is a spec rather than a record of options. */
export function isSpec(value: Json): value is Json & Spec {
  const spec = value as Partial<Spec> | null;
  return typeof spec?.name === 'string' && Array.isArray(spec.args) && Object.keys(spec).length === 2;
}

/**
 * The spec of a call `name(...args)`. Arguments that carry a spec are replaced by it; a plain function is represented
 * by its source, for readers only, and cannot be rebuilt.
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
