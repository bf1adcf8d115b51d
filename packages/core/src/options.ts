/** How a factory reads its options: name, default and range of each, in one place. */
import { checkBoolean, checkChoice, checkNumber, checkOptions, type NumberRange } from './checks.js';
import { ConfigurationError } from './errors.js';
import { checkHyperparameter, type Hyperparameter } from './schedule.js';

/** Checks one option, or supplies its default. `name` is the option's name in messages. */
export type OptionReader<T> = (name: string, value: unknown) => T;

/**
 * Reads the options of a factory: `readOptions('swta', options, { temperature: hyperparameter(1, { above: 0 }) })`.
 *
 * @param factory The factory's name, for messages.
 * @param readers A reader for each option. The factory has no other options.
 * @returns The value of each option: checked, or its default.
 * @throws ConfigurationError `UNKNOWN_OPTION`, and `BAD_VALUE` for options that are not a record or a value out of
 * range.
 */
export function readOptions<Readers extends Readonly<Record<string, OptionReader<unknown>>>>(
  factory: string,
  options: unknown,
  readers: Readers,
): { readonly [Name in keyof Readers]: ReturnType<Readers[Name]> } {
  checkOptions(factory, options, Object.keys(readers));
  const values = options as Readonly<Record<string, unknown>>;
  const entries = Object.entries(readers).map(([name, read]) => [name, read(`${factory} ${name}`, values[name])]);
  return Object.fromEntries(entries) as { [Name in keyof Readers]: ReturnType<Readers[Name]> };
}

/** A number or a schedule. Without a fallback the option is required. */
export function hyperparameter(fallback?: number, range: NumberRange = {}): OptionReader<Hyperparameter> {
  return (name, value = fallback) => checkHyperparameter(name, value, range);
}

/** A finite number in range. Without a fallback the option is required. */
export function number(fallback?: number, range: NumberRange = {}): OptionReader<number> {
  return (name, value = fallback) => {
    checkNumber(name, value, range);
    return value as number;
  };
}

/** A whole number in range. Without a fallback the option is required. */
export function whole(fallback?: number, range: NumberRange = {}): OptionReader<number> {
  const read = number(fallback, range);
  return (name, value) => {
    const size = read(name, value);
    if (Number.isSafeInteger(size)) return size;
    throw new ConfigurationError('BAD_VALUE', `${name} is ${size}.`, 'give a whole number.');
  };
}

/** One of a few words. Without a fallback the option is required. */
export function choice<const Word extends string>(choices: readonly Word[], fallback?: Word): OptionReader<Word> {
  return (name, value = fallback) => {
    checkChoice(name, value, choices);
    return value as Word;
  };
}

/** True or false. */
export function flag(fallback: boolean): OptionReader<boolean> {
  return (name, value = fallback) => {
    checkBoolean(name, value);
    return value as boolean;
  };
}
