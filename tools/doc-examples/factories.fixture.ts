/** Exports of every kind, for the test of `factoriesOf`. */
import type { BackendAdapter, LocalRule } from '@ghl/core';
import type { layers } from '@tensorflow/tfjs-layers';

declare const all: { rule: LocalRule; layer: layers.Layer & { extra: number }; adapter: BackendAdapter };

/**
 * @example
 * ```ts
 * rule();
 * ```
 */
export const rule = (): LocalRule => all.rule;

/** No example. */
export async function loadRule(): Promise<LocalRule> {
  return all.rule;
}

/** No example. */
export const layer = () => all.layer;

/** No example. */
export const adapter: BackendAdapter = all.adapter;

/** Neither part nor factory. */
export const nameOf = (part: LocalRule): string => part.spec.name;

export type { LocalRule };
