/** A spec as the code that creates it, for the reader of a report. */
import type { Json } from '@ghl/core';
import { isSpec } from '@ghl/core/plugin';

/** `{ name: 'maxAbs', args: [...] }` as `maxAbs(swta({ temperature: 1 }))`; numbers to four digits. */
export function specText(json: Json): string {
  if (typeof json === 'number') return String(Number(json.toPrecision(4)));
  if (typeof json === 'string') return `'${json}'`;
  if (typeof json !== 'object' || json === null) return String(json);
  if (Array.isArray(json)) return `[${json.map(specText).join(', ')}]`;
  if (isSpec(json)) return `${json.name}(${json.args.map(specText).join(', ')})`;
  const entries = Object.entries(json).map(([key, value]) => `${key}: ${specText(value)}`);
  return entries.length === 0 ? '{}' : `{ ${entries.join(', ')} }`;
}
