/** An error as plain data, which events record and processes exchange. */
import { ConfigurationError, GhlError } from '@ghl/core';

/** An error as data. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly help: string;
  /** Whether the configuration caused it, such as an unknown name. */
  readonly usage: boolean;
  readonly stack?: string;
}

/** Describes any thrown value. */
export function failureOf(error: unknown): Failure {
  const stack = error instanceof Error && error.stack !== undefined ? { stack: error.stack } : {};
  if (error instanceof GhlError) {
    const { code, summary, help } = error;
    return { code, message: summary, help, usage: error instanceof ConfigurationError, ...stack };
  }
  return {
    code: 'UNEXPECTED',
    message: error instanceof Error ? error.message : String(error),
    help: 'this is a bug of the bench or of a library that it uses; GHL_DEBUG=1 shows where.',
    usage: false,
    ...stack,
  };
}
