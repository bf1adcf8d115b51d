/** The description of a command, from which the command line is made. */
import type { Failure } from '@ghl/race';

/** An option on the command line. */
export interface CommandOption {
  /** As in the help: `--seeds <n>`. */
  readonly flags: string;
  readonly describe: string;
  /**
   * Reads its value; without this, the text.
   *
   * @param option The long flag, for messages.
   * @throws ConfigurationError `BAD_VALUE`.
   */
  readonly parse?: (text: string, option: string) => unknown;
}

/** A command: one file in `commands/` exports it as `command`. */
export interface Command<Options extends object = object, Result = unknown> {
  readonly name: string;
  /** A line for the help. */
  readonly describe: string;
  /** Whether it runs if the command line names no command. */
  readonly isDefault?: boolean;
  /** Required words after the name; each is an option of that name. */
  readonly arguments?: readonly { readonly name: string; readonly describe: string }[];
  readonly options: readonly CommandOption[];
  /** Executes the command, and reports progress on standard error. */
  run(options: Options): Promise<Result>;
  /** The result as text for standard output. */
  text(result: Result): string;
  /** The result as a JSON document, for `--json`. */
  document(result: Result): object;
  /** Failures that the result contains; the exit status is that of the first. */
  failures?(result: Result): readonly Failure[];
}
