/** The command line: commands, options and help. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ConfigurationError } from '@ghl/core';
import { unknownName } from '@ghl/core/plugin';

/** A request of the user. */
export type Request =
  | { readonly command: 'install'; readonly gpu: boolean }
  /** Print a text: help, or the version. */
  | { readonly command: 'print'; readonly text: string };

const commands = ['install', 'help'];

const options = {
  gpu: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'V' },
} as const;

const help = `Usage: backend-node-gpu install [--gpu]

Installs a libtensorflow in the user's cache, and builds the native part of the @tensorflow/tfjs-node
of the current folder against it. Requires Linux on x64, python3 with pip, a C++ compiler, and 1 GB
of disk space (5.9 GB with --gpu).

Options:
  --gpu           install the library for NVIDIA GPUs, with its parts of CUDA 12
  -h, --help      show this help
  -V, --version   show the version of this package

Environment:
  GHL_CACHE       the folder of the cache
  CXX             the C++ compiler
`;

/**
 * Parses the arguments of `backend-node-gpu`.
 *
 * @throws ConfigurationError `UNKNOWN_COMMAND`, `UNKNOWN_OPTION`, `BAD_ARGUMENTS`.
 */
export function parseCommandLine(args: readonly string[]): Request {
  const { tokens, values, positionals } = parseArgs({ args: [...args], options, strict: false, tokens: true });
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    if (!Object.hasOwn(options, token.name)) {
      throw unknownName(
        'option',
        token.rawName,
        Object.keys(options).map((name) => `--${name}`),
      );
    }
    if (token.value !== undefined) throw badArguments(`${token.rawName} takes no value, but got '${token.value}'.`);
  }
  if (values.version) return { command: 'print', text: `${version()}\n` };
  const [command = 'help', ...rest] = positionals;
  if (!commands.includes(command)) throw unknownName('command', command, commands);
  if (values.help || command === 'help') return { command: 'print', text: help };
  if (rest.length > 0) throw badArguments(`install takes no argument '${rest[0]}'.`);
  return { command: 'install', gpu: values.gpu === true };
}

function badArguments(summary: string): ConfigurationError {
  return new ConfigurationError(
    'BAD_ARGUMENTS',
    summary,
    "'npx @ghl/backend-node-gpu install --help' shows the options.",
  );
}

function version(): string {
  const manifest = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version;
}
