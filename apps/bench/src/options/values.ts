/** Values of options: reads text, and throws before anything runs if it is out of range. */
import { ConfigurationError, type Json } from '@ghl/core';

type Parse<T> = (text: string, option: string) => T;

const bad = (option: string, value: string, help: string) =>
  new ConfigurationError('BAD_VALUE', `${option} is '${value}'.`, help);

/** A whole number of at least `least`. */
export function whole(least: number): Parse<number> {
  return (text, option) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
    throw bad(option, text, `give a whole number of at least ${least}.`);
  };
}

/** A number above 0 and at most 1. */
export const share: Parse<number> = (text, option) => {
  const value = Number(text);
  if (text.trim() !== '' && value > 0 && value <= 1) return value;
  throw bad(option, text, 'give a number above 0 and at most 1: 0.9 is 90 %.');
};

/** Names separated by commas, without duplicates. */
export const names: Parse<string[]> = (text, option) => {
  const list = [...new Set(text.split(',').map((each) => each.trim()))].filter((each) => each !== '');
  if (list.length > 0) return list;
  throw bad(option, text, 'give names separated by commas; `bench list` shows them.');
};

/** A JSON object. */
export const record: Parse<Record<string, Json>> = (text, option) => {
  const help = `give a JSON object, in quotes: ${option} '{"temperature": 0.5}'.`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw bad(option, text, help);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, Json>;
  throw bad(option, text, help);
};
