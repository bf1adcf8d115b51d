/**
 * Every error that these packages throw on purpose: a class to catch, a stable `code` to test for, the value that was
 * wrong in the message, and a `help:` line that says what to do.
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

/** A name, option or combination that makes no sense; found before any training. */
export class ConfigurationError extends GhlError {
  override readonly name: string = 'ConfigurationError';
}

/** A layer, model or device that is not supported. */
export class UnsupportedError extends GhlError {
  override readonly name: string = 'UnsupportedError';
}

/** A signal that is missing, of the wrong shape, or not available where it is read. */
export class SignalError extends GhlError {
  override readonly name: string = 'SignalError';
}

/** Saved state, or a checkpoint, that does not fit what it is loaded into. */
export class StateError extends GhlError {
  override readonly name: string = 'StateError';
}

/** Data that is missing, truncated, corrupt or of the wrong shape. */
export class DataError extends GhlError {
  override readonly name: string = 'DataError';
}

/** A step whose increment was not finite. */
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
 * @param kind What the name should have named: `'network'`, `'layer'`.
 * @param message What to say where "There is no network 'x'." says too little.
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
