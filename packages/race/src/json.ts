/**
 * JSON as the bench writes and reads it. JSON has no NaN and no ±∞: here they are the strings "NaN", "Infinity" and
 * "-Infinity". Every file and every `--json` document is written by {@link toJson}; every schema takes its numbers from
 * {@link number}, and values of any shape from {@link json}.
 */
import type { Json } from '@ghl/core';
import { z } from 'zod';

/** A value as JSON text. */
export function toJson(value: unknown, indent?: number): string {
  const encode = (_: string, each: unknown) =>
    typeof each === 'number' && !Number.isFinite(each) ? String(each) : each;
  return JSON.stringify(value, encode, indent);
}

const nonFinite = z.enum(['NaN', 'Infinity', '-Infinity']).transform(Number);

/** Any number. Null, which earlier versions wrote for one that is not finite, reads as NaN. */
export const number: z.ZodType<number> = z.union([z.number(), nonFinite, z.null().transform(() => Number.NaN)]);

/** Any JSON value. */
export const json: z.ZodType<Json> = z.lazy(() =>
  z.union([z.null(), z.boolean(), z.number(), nonFinite, z.string(), z.array(json), z.record(z.string(), json)]),
);
