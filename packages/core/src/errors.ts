/**
 * The errors that these packages throw on purpose. Each has a class to catch, a stable `code` to test for, a summary
 * with the offending value, and a `help:` line with the remedy.
 */
import { distance } from 'fastest-levenshtein';
import type { ErrorCode } from './codes.js';

/** Base class of all errors of the library. `message` is the summary, then `help: …` on a separate line. */
export class GhlError extends Error {
  /** Stable identifier, never reworded: test for this, not for the message. */
  readonly code: ErrorCode;
  /** The fault, with the offending value. */
  readonly summary: string;
  /** The remedy. */
  readonly help: string;
  /** The name of the class, also in a bundle whose minifier has renamed it. */
  override readonly name: string = 'GhlError';

  /**
   * @param code Stable identifier, such as `'BAD_VALUE'`.
   * @param summary The fault, with the offending value.
   * @param help The remedy.
   * @param cause The error that led to this one.
   */
  constructor(code: ErrorCode, summary: string, help: string, cause?: unknown) {
    super(`${summary}\nhelp: ${help}`, cause === undefined ? undefined : { cause });
    this.code = code;
    this.summary = summary;
    this.help = help;
  }
}

/** A name, option or combination makes no sense. Thrown before any training. */
export class ConfigurationError extends GhlError {
  override readonly name: string = 'ConfigurationError';
}

/** A layer, model or device is not supported. */
export class UnsupportedError extends GhlError {
  override readonly name: string = 'UnsupportedError';
}

/** A signal is missing, has the wrong shape, or is not available at its reader. */
export class SignalError extends GhlError {
  override readonly name: string = 'SignalError';
}

/** A saved state or a checkpoint does not fit its target. */
export class StateError extends GhlError {
  override readonly name: string = 'StateError';
}

/** Data is missing, truncated, corrupt or of the wrong shape. */
export class DataError extends GhlError {
  override readonly name: string = 'DataError';
}

/** The increment of a step is not finite. */
export class NonFiniteError extends GhlError {
  override readonly name: string = 'NonFiniteError';
}

/**
 * The member of `candidates` nearest to `name` in edit distance, or undefined if none is near enough to be a typo of it
 * (more than half of its letters differ).
 */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let least = Math.ceil(name.length / 2) + 1;
  for (const candidate of candidates) {
    const edits = distance(name.toLowerCase(), candidate.toLowerCase());
    if (edits < least) [best, least] = [candidate, edits];
  }
  return best;
}

/**
 * The error for a name that is not among those known, suggesting the nearest.
 *
 * @param kind The kind of thing that the name should denote: `'network'`, `'layer'`.
 * @param message The summary, if "There is no network 'x'." is not enough.
 * @returns A {@link ConfigurationError} with code `UNKNOWN_<KIND>`, to be thrown by the caller.
 */
export function unknownName(
  kind: string,
  name: string,
  candidates: Iterable<string>,
  message = `There is no ${kind} '${name}'.`,
): ConfigurationError {
  const known = [...candidates];
  const near = nearest(name, known);
  return new ConfigurationError(
    `UNKNOWN_${kind.toUpperCase().replace(/\W+/g, '_')}` as ErrorCode,
    message,
    `${near === undefined ? '' : `did you mean '${near}'? `}Known: ${known.join(', ') || 'none'}.`,
  );
}
