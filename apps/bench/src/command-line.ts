/** The command line: commands, options, and what is refused before anything runs. */
import { ConfigurationError, type Json } from '@ghl/core';
import { unknownName } from '@ghl/core/plugin';
import { Command, CommanderError, Option } from 'commander';

/** Options that say which recipes, as they were given; what is absent was not. */
export interface RecipeOptions {
  readonly recipe?: readonly string[];
  readonly rule?: string;
  readonly ruleOptions?: Readonly<Record<string, Json>>;
  readonly modulator?: string;
  readonly modulatorOptions?: Readonly<Record<string, Json>>;
  readonly raw?: boolean;
}

/** Options of `run`, likewise. */
export interface RunOptions extends RecipeOptions {
  readonly network?: string;
  readonly dataset?: string;
  readonly data?: string;
  readonly seeds?: number;
  readonly epochs?: number;
  readonly trainSize?: number;
  readonly validationSize?: number;
  readonly batch?: number;
  readonly backend?: string;
  readonly target?: number;
  readonly processes?: number;
  readonly out?: string;
  readonly resume?: string;
  readonly inexact?: boolean;
}

/** Options of `speed`, likewise. */
export interface SpeedOptions extends RecipeOptions {
  readonly network?: string;
  readonly dataset?: string;
  readonly data?: string;
  readonly batch?: number;
  readonly backend?: string;
  readonly threads?: number;
  readonly steps?: number;
  readonly against?: string;
  readonly profile?: boolean;
}

/** What was asked for. */
export type Request = { readonly json: boolean } & (
  | { readonly command: 'run'; readonly options: RunOptions }
  | { readonly command: 'speed'; readonly options: SpeedOptions }
  | { readonly command: 'list' }
  | { readonly command: 'doctor' }
  | { readonly command: 'report'; readonly folder: string }
  | { readonly command: 'help'; readonly text: string }
);

/**
 * Understands the words after `bench`; without a command they are `run`'s.
 *
 * @throws ConfigurationError `UNKNOWN_COMMAND`, `UNKNOWN_OPTION`, `BAD_VALUE`, `BAD_ARGUMENTS`.
 */
export function parseCommandLine(words: readonly string[]): Request {
  let request: Request | undefined;
  let written = '';
  const program = describe((found) => {
    request = found;
  });
  for (const each of [program, ...program.commands]) {
    each.exitOverride().configureOutput({ writeOut: (text) => (written += text), writeErr: () => {} });
  }
  // A machine's option before the command is a habit of other programs.
  const ordered = words[0] === '--json' ? [...words.slice(1), '--json'] : words;
  const [first] = ordered;
  const commands = [...program.commands.map((each) => each.name()), 'help'];
  if (first !== undefined && !first.startsWith('-') && !commands.includes(first)) {
    throw unknownName('command', first, commands);
  }
  try {
    program.parse([...ordered], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0 || error.code === 'commander.help') return { command: 'help', text: written, json: false };
    throw refusal(error, program.commands.find((each) => each.name() === first) ?? program.commands[0] ?? program);
  }
  return request as Request;
}

function describe(found: (request: Request) => void): Command {
  const json = () => new Option('--json', 'print one JSON document on standard output');
  const program = new Command('bench')
    .description('Races recipes of three-factor learning on networks and data, and reports what came out.')
    .helpCommand('help [command]', 'show what a command takes');
  withWorkload(program.command('run', { isDefault: true }), 'all')
    .description('race recipes; with nothing else said, all of them on generated glyphs, on 3 seeds')
    .option('--seeds <n>', 'runs of each recipe, seeds 0 to n - 1 (default: 3)', whole('--seeds', 1))
    .option(
      '--epochs <n>',
      'times through the training images (default: 4 for a small network, else 100)',
      whole('--epochs', 1),
    )
    .option('--train-size <n>', 'images to train on (default: all)', whole('--train-size', 1))
    .option(
      '--validation-size <n>',
      'images held out for validation (default: a quarter of --train-size, at most 5000; without it, 500 glyphs or a tenth of the images)',
      whole('--validation-size', 0),
    )
    .option('--batch <n>', 'images in a batch (default: 32 for a small network, else 64)', whole('--batch', 1))
    .option('--backend <name>', 'what computes (default: wasm)')
    .option('--target <accuracy>', 'validation accuracy to time, between 0 and 1', share('--target'))
    .option('--processes <n>', 'runs at the same time (default: one a core)', whole('--processes', 1))
    .option('--out <dir>', 'folder of the race (default: a new one under results/)')
    .option('--resume <dir>', 'go on with the race in this folder')
    .option(
      '--inexact',
      'with --resume: go on although --backend, kernels or versions differ, and with them the last bits',
    )
    .addOption(json())
    .action((options: RunOptions & { json?: boolean }) => {
      const { json: asJson = false, ...rest } = options;
      found({ command: 'run', options: rest, json: asJson });
    });
  withWorkload(program.command('speed'), 'ghl,backprop')
    .description('time the training steps of recipes against each other, on one machine at one time')
    .option('--batch <n>', 'images in a batch (default: 64)', whole('--batch', 1))
    .option('--backend <name>', 'what computes, or all, each in a process of its own (default: wasm)')
    .option('--threads <n>', "threads that compute (default: the backend's own choice)", whole('--threads', 1))
    .option('--steps <n>', 'timed steps of each recipe (default: what takes about a minute)', whole('--steps', 1))
    .option('--against <opponent>', 'also time the same network in PyTorch: pytorch, by way of python3')
    .option('--profile', 'also show which kernels the time goes to, for which layer')
    .addOption(json())
    .action((options: SpeedOptions & { json?: boolean }) => {
      const { json: asJson = false, ...rest } = options;
      found({ command: 'speed', options: rest, json: asJson });
    });
  program
    .command('list')
    .description('show networks, recipes, rules, modulators, datasets and backends')
    .addOption(json())
    .action((options: { json?: boolean }) => found({ command: 'list', json: options.json ?? false }));
  program
    .command('doctor')
    .description('say which backends this machine can use, and for the rest why not and what to install')
    .addOption(json())
    .action((options: { json?: boolean }) => found({ command: 'doctor', json: options.json ?? false }));
  program
    .command('report')
    .description('make table and report again from the runs in a folder')
    .argument('<dir>', 'folder of a race')
    .addOption(json())
    .action((folder: string, options: { json?: boolean }) =>
      found({ command: 'report', folder, json: options.json ?? false }),
    );
  return program;
}

/** Adds the options that say what is trained on what. */
function withWorkload(command: Command, recipes: string): Command {
  return command
    .option('--network <name>', 'network to train (default: deephebb-small)')
    .option('--dataset <name>', 'images to train on (default: what lies in --data, else glyphs)')
    .option(
      '--data <dir>',
      "folder of the dataset's files, or the folder above it (default, for a --dataset: GHL_DATA, else a download)",
    )
    .option('--recipe <names>', `recipes, separated by commas (default: ${recipes})`, names)
    .option('--rule <name>', 'a local rule in place of a recipe')
    .option('--rule-options <json>', 'its options', record('--rule-options'))
    .option('--modulator <name>', 'the third factor of --rule (default: none)')
    .option(
      '--modulator-options <json>',
      'its options (default for gate: {"on": "surprise", "threshold": 0.05})',
      record('--modulator-options'),
    )
    .option('--raw', 'do not wrap --rule in maxAbs');
}

function refusal({ message }: CommanderError, command: Command): ConfigurationError {
  const option = /unknown option '([^']+)'/.exec(message)?.[1];
  if (option !== undefined) {
    return unknownName(
      'option',
      option,
      command.options.flatMap(({ long }) => long ?? []),
    );
  }
  return new ConfigurationError(
    'BAD_ARGUMENTS',
    `${message.replace(/^error: /, '').replace(/\.$/, '')}.`,
    `\`bench ${command.name()} --help\` shows what it takes.`,
  );
}

const bad = (option: string, value: string, help: string) =>
  new ConfigurationError('BAD_VALUE', `${option} is '${value}'.`, help);

function whole(option: string, least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
    throw bad(option, text, `give a whole number of at least ${least}.`);
  };
}

function share(option: string): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && value > 0 && value <= 1) return value;
    throw bad(option, text, 'give a number above 0 and at most 1: 0.9 is 90 %.');
  };
}

function names(text: string): string[] {
  const found = [...new Set(text.split(',').map((each) => each.trim()))].filter((each) => each !== '');
  if (found.length > 0) return found;
  throw bad('--recipe', text, 'give names separated by commas; `bench list` shows them.');
}

function record(option: string): (text: string) => Record<string, Json> {
  return (text) => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw bad(option, text, `give a JSON object, in quotes: ${option} '{"temperature": 0.5}'.`);
    }
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, Json>;
    throw bad(option, text, `give a JSON object, in quotes: ${option} '{"temperature": 0.5}'.`);
  };
}
