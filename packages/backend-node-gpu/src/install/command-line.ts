/** The command line: commands, options, and what is refused before anything is done. */
import { readFileSync } from 'node:fs';
import { ConfigurationError } from '@ghl/core';
import { unknownName } from '@ghl/core/plugin';
import { Command, CommanderError } from 'commander';

/** What was asked for. */
export type Request =
  | { readonly command: 'install'; readonly gpu: boolean }
  /** To be said, and nothing else: help, or the version. */
  | { readonly command: 'say'; readonly text: string };

/**
 * Understands the words after `backend-node-gpu`.
 *
 * @throws ConfigurationError `UNKNOWN_COMMAND`, `UNKNOWN_OPTION`, `BAD_ARGUMENTS`.
 */
export function parseCommandLine(words: readonly string[]): Request {
  let request: Request | undefined;
  let written = '';
  const program = describe((found) => {
    request = found;
  });
  for (const each of [program, ...program.commands]) {
    const write = (text: string) => {
      written += text;
    };
    // What it writes of errors is said by who catches them, but for the help where no command is given.
    each.exitOverride().configureOutput({ writeOut: write, writeErr: write });
  }
  const [first] = words;
  const commands = [...program.commands.map((each) => each.name()), 'help'];
  if (first !== undefined && !first.startsWith('-') && !commands.includes(first)) {
    throw unknownName('command', first, commands);
  }
  try {
    program.parse([...words], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0 || error.code === 'commander.help') return { command: 'say', text: written };
    throw refusal(error, program.commands.find((each) => each.name() === first) ?? program);
  }
  return request as Request;
}

function describe(found: (request: Request) => void): Command {
  const manifest = new URL('../../package.json', import.meta.url);
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
  const program = new Command('backend-node-gpu')
    .description('Native TensorFlow for @ghl/backend-node-gpu.')
    .version(version, '-V, --version', 'show the version of this package')
    .helpCommand('help [command]', 'show what a command takes');
  program
    .command('install')
    .description(
      "Brings a libtensorflow into the user's cache and builds the native part of @tensorflow/tfjs-node, as installed in this " +
        'folder, against it. Needs python3 with pip, a C++ compiler, Linux on x64, and 1 GB of disk (5.9 GB with --gpu).',
    )
    .option('--gpu', 'the library for NVIDIA GPUs, with its parts of CUDA 12')
    .addHelpText(
      'after',
      '\nEnvironment:\n  GHL_CACHE   the cache, in place of the usual one\n  CXX         the C++ compiler',
    )
    .action(({ gpu = false }: { gpu?: boolean }) => found({ command: 'install', gpu }));
  return program;
}

function refusal({ message }: CommanderError, command: Command): ConfigurationError {
  const option = /unknown option '([^']+)'/.exec(message)?.[1];
  if (option !== undefined) {
    const known = command.createHelp().visibleOptions(command);
    return unknownName(
      'option',
      option,
      known.flatMap(({ long }) => long ?? []),
    );
  }
  const name = command.parent === null ? '' : ` ${command.name()}`;
  return new ConfigurationError(
    'BAD_ARGUMENTS',
    `${message.replace(/^error: /, '').replace(/\.$/, '')}.`,
    `'npx @ghl/backend-node-gpu${name} --help' shows what it takes.`,
  );
}
