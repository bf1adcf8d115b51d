/** Checks of the arguments of factories and kernels. An error names the argument and its value. */
import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import { ConfigurationError, DataError, unknownName } from './errors.js';

/**
 * Throws unless the options are a record of known names. `swta(0.5)` is an error.
 *
 * @throws ConfigurationError with code `BAD_VALUE`; `UNKNOWN_OPTION`, naming the nearest known option.
 */
export function checkOptions(factory: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new ConfigurationError(
      'BAD_VALUE',
      `The options of ${factory} are ${printable(options)}.`,
      known.length === 0
        ? 'leave them out: there are none yet.'
        : `give them by name: ${factory}({ ${known[0]}: … }). Known: ${known.join(', ')}.`,
    );
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw unknownName('option', name, known, `${factory} has no option '${name}'.`);
  }
}

/** The range that {@link checkNumber} allows. */
export interface NumberRange {
  /** Least value allowed. */
  readonly least?: number;
  /** Bound that the value must exceed. */
  readonly above?: number;
  /** Greatest value allowed. */
  readonly most?: number;
  /** Bound that the value must stay under. */
  readonly below?: number;
}

/**
 * Throws unless the value is a finite number in range.
 *
 * @throws ConfigurationError with code `BAD_VALUE`.
 */
export function checkNumber(name: string, value: unknown, { least, above, most, below }: NumberRange = {}): void {
  const bad =
    typeof value !== 'number' ||
    !Number.isFinite(value) ||
    (least !== undefined && value < least) ||
    (above !== undefined && value <= above) ||
    (most !== undefined && value > most) ||
    (below !== undefined && value >= below);
  if (!bad) return;
  const bounds = [
    least !== undefined && `at least ${least}`,
    above !== undefined && `above ${above}`,
    most !== undefined && `at most ${most}`,
    below !== undefined && `below ${below}`,
  ].filter(Boolean);
  throw new ConfigurationError(
    'BAD_VALUE',
    `${name} is ${printable(value)}.`,
    `give a finite number${bounds.length ? `, ${bounds.join(' and ')}` : ''}.`,
  );
}

/**
 * Throws unless the value is one of a few words.
 *
 * @throws ConfigurationError with code `BAD_VALUE`.
 */
export function checkChoice(name: string, value: unknown, choices: readonly string[]): void {
  if (choices.includes(value as string)) return;
  throw new ConfigurationError(
    'BAD_VALUE',
    `${name} is ${printable(value)}.`,
    `give one of ${choices.map((choice) => `'${choice}'`).join(', ')}.`,
  );
}

/**
 * Throws unless the value is true or false.
 *
 * @throws ConfigurationError with code `BAD_VALUE`.
 */
export function checkBoolean(name: string, value: unknown): void {
  if (typeof value === 'boolean') return;
  throw new ConfigurationError('BAD_VALUE', `${name} is ${printable(value)}.`, 'give true or false.');
}

/**
 * Throws unless the value has the member that identifies its kind. It catches a modulator in place of a rule, and the
 * factory `oja` in place of `oja()`.
 *
 * @param name The name of the argument in the message: `'the rule of threeFactor'`.
 * @param member A name that only the right kind of thing has.
 * @throws ConfigurationError with code `BAD_VALUE`.
 */
export function checkPart(name: string, value: unknown, member: string, help: string): void {
  if (typeof value === 'object' && value !== null && member in value) return;
  throw new ConfigurationError('BAD_VALUE', `${name} is ${printable(value)}.`, help);
}

/** A value as text for a message: functions and products by their names. */
function printable(value: unknown): string {
  if (value instanceof Promise) return 'a promise';
  if (typeof value === 'function') return `the function ${value.name || '() => …'}`;
  if (typeof value === 'bigint') return `${value}n`;
  const spec = (value as { spec?: { name?: unknown } } | null | undefined)?.spec;
  if (typeof spec?.name === 'string') return `${spec.name}(…)`;
  return typeof value === 'object' || typeof value === 'string' ? JSON.stringify(value) : String(value);
}

/**
 * Throws if a tensor has no values, for a kernel that needs some.
 *
 * @throws DataError with code `EMPTY_TENSOR` if a size is 0.
 */
export function checkNotEmpty(kernel: string, tensors: Readonly<Record<string, TensorInfo>>): void {
  for (const [name, { shape }] of Object.entries(tensors)) {
    if (!shape.includes(0)) continue;
    throw new DataError(
      'EMPTY_TENSOR',
      `${kernel} got ${name} of shape [${shape.join(', ')}], which holds no values.`,
      'drop empty batches before training on them.',
    );
  }
}

/**
 * Throws unless a tensor has the shape that the other arguments of a kernel imply. The kernel would read beyond its
 * end.
 *
 * @throws DataError with code `WRONG_SHAPE`.
 */
export function checkShape(kernel: string, name: string, { shape }: TensorInfo, expected: readonly number[]): void {
  if (util.arraysEqual(shape, [...expected])) return;
  throw new DataError(
    'WRONG_SHAPE',
    `${kernel} got ${name} of shape [${shape.join(', ')}], not [${expected.join(', ')}].`,
    'check strides, padding and the requested shape.',
  );
}
