/** Errors between processes and on the terminal. */
import { ConfigurationError, type ErrorCode, GhlError } from '@ghl/core';
import type { Failure } from '@ghl/race';

/** The error that a failure describes. */
export function errorOf(failure: Failure): GhlError {
  const { message, help, usage, stack } = failure;
  const error = new (usage ? ConfigurationError : GhlError)(failure.code as ErrorCode, message, help);
  if (stack !== undefined) error.stack = stack;
  return error;
}

/** `code: message`, then `help: …`; with `GHL_DEBUG` set, also the stack. */
export function failureText({ code, message, help, stack }: Failure): string {
  return [`${code}: ${message}`, `help: ${help}`, ...(process.env.GHL_DEBUG && stack ? [stack] : [])].join('\n');
}

/** Code of the error for a command that a signal stopped. */
export const INTERRUPTED = 'INTERRUPTED';

/** The exit status: 2 for a usage error, 130 after Ctrl-C as in shells, else 1. */
export function exitStatus({ code, usage }: Failure): number {
  if (code === INTERRUPTED) return 130;
  return usage ? 2 : 1;
}
