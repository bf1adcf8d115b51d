/** The command line: finds the command and reads its options, before anything runs. */
import { ConfigurationError } from '@ghl/core';
import { unknownName } from '@ghl/core/plugin';
import { CommanderError, Command as Parser } from 'commander';
import { commands } from './commands/index.js';
import type { Command } from './options/command.js';

/** A command with its options, or a text of help. */
export type Request =
  | { readonly command: Command; readonly options: object; readonly json: boolean }
  | { readonly help: string };

/**
 * Parses the words after `bench`; without the name of a command they belong to the default command.
 *
 * @throws ConfigurationError `UNKNOWN_COMMAND`, `UNKNOWN_OPTION`, `BAD_VALUE`, `BAD_ARGUMENTS`.
 */
export function parseCommandLine(words: readonly string[]): Request {
  let request: Request | undefined;
  let help = '';
  const program = new Parser('bench')
    .description('Races recipes of three-factor learning on networks and data, and reports the results.')
    .helpCommand('help [command]', 'show the options of a command');
  for (const command of Object.values(commands)) {
    addCommand(program, command, (options, json) => {
      request = { command, options, json };
    });
  }
  for (const each of [program, ...program.commands]) {
    each.exitOverride().configureOutput({ writeOut: (text) => (help += text), writeErr: () => {} });
  }
  // Other programs take --json before the command.
  const ordered = words[0] === '--json' ? [...words.slice(1), '--json'] : words;
  const [first] = ordered;
  const names = [...program.commands.map((each) => each.name()), 'help'];
  if (first !== undefined && !first.startsWith('-') && !names.includes(first)) {
    throw unknownName('command', first, names);
  }
  try {
    program.parse([...ordered], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0 || error.code === 'commander.help') return { help };
    throw usageError(error, program, first);
  }
  return request as Request;
}

function addCommand(program: Parser, command: Command, select: (options: object, json: boolean) => void): void {
  const words = command.arguments ?? [];
  const parser = program
    .command(command.name, { isDefault: command.isDefault ?? false })
    .description(command.describe)
    .action((...values: unknown[]) => {
      const { json = false, ...options } = values[words.length] as { json?: boolean };
      select({ ...Object.fromEntries(words.map(({ name }, i) => [name, values[i]])), ...options }, json);
    });
  for (const { name, describe } of words) parser.argument(`<${name}>`, describe);
  for (const { flags, describe, parse } of command.options) {
    const [long] = flags.split(' ') as [string];
    if (parse) parser.option(flags, describe, (text: string) => parse(text, long));
    else parser.option(flags, describe);
  }
  parser.option('--json', 'print one JSON document on standard output');
}

function usageError({ message }: CommanderError, program: Parser, first: string | undefined): ConfigurationError {
  const defaultCommand = Object.values(commands).find(({ isDefault }) => isDefault);
  const named = (name: string | undefined) => program.commands.find((each) => each.name() === name);
  const parser = named(first) ?? named(defaultCommand?.name) ?? program;
  const option = /unknown option '([^']+)'/.exec(message)?.[1];
  if (option !== undefined) {
    const options = parser.options.flatMap(({ long }) => long ?? []);
    return unknownName('option', option, options);
  }
  return new ConfigurationError(
    'BAD_ARGUMENTS',
    `${message.replace(/^error: /, '').replace(/\.$/, '')}.`,
    `\`bench ${parser.name()} --help\` shows its options.`,
  );
}
