/** Errors as they cross from a training process to the race, and as they are shown. */
import { ConfigurationError, type ErrorCode, GhlError } from '@ghl/core';

/** An error as data. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly help: string;
  /** Whether the command line was at fault. */
  readonly usage: boolean;
  readonly stack?: string;
}

/** What is known of any thrown value. */
export function failureOf(error: unknown): Failure {
  const stack = error instanceof Error && error.stack !== undefined ? { stack: error.stack } : {};
  if (error instanceof GhlError) {
    const { code, help } = error;
    const message = error.summary;
    return { code, message, help, usage: error instanceof ConfigurationError, ...stack };
  }
  return {
    code: 'UNEXPECTED',
    message: error instanceof Error ? error.message : String(error),
    help: 'this is a bug of the bench, or of what it uses; GHL_DEBUG=1 shows where.',
    usage: false,
    ...stack,
  };
}

/** The error that a failure came from, as far as it is known. */
export function errorOf(failure: Failure): GhlError {
  const { message, help, usage, stack } = failure;
  const error = new (usage ? ConfigurationError : GhlError)(failure.code as ErrorCode, message, help);
  if (stack !== undefined) error.stack = stack;
  return error;
}

/** `code: message`, then `help: …`; with `GHL_DEBUG` set, where it was thrown. */
export function describeFailure({ code, message, help, stack }: Failure): string {
  return [`${code}: ${message}`, `help: ${help}`, ...(process.env.GHL_DEBUG && stack ? [stack] : [])].join('\n');
}

/** Code of the error for a race that was stopped from outside. */
export const INTERRUPTED = 'INTERRUPTED';

/** 2 where the command line was at fault, 130 where the user stopped it, as shells have it, else 1. */
export function exitStatus({ code, usage }: Failure): number {
  if (code === INTERRUPTED) return 130;
  return usage ? 2 : 1;
}
