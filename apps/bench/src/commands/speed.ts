/** `bench speed`: times the training steps of recipes against each other, and against PyTorch. */
import { ConfigurationError } from '@ghl/core';
import { checkRecipe, failureOf, networkOf } from '@ghl/race';
import type { Command } from '../options/command.js';
import { whole } from '../options/values.js';
import { selectedRecipes, workloadOptions } from '../options/workload.js';
import { backendNames } from '../platform/backends.js';
import { askChild } from '../platform/child-process.js';
import { INTERRUPTED } from '../platform/failure.js';
import { untilInterrupted } from '../platform/interrupt.js';
import { examineBackend } from '../processes/examine-backend.js';
import { DEFAULTS, measureBackend, type SpeedOptions } from '../speed/measure.js';
import type { BackendsSummary, NotRun, SpeedSummary } from '../speed/summary.js';
import { backendsText, speedText } from '../speed/text.js';

export const command: Command<SpeedOptions, SpeedSummary | BackendsSummary> = {
  name: 'speed',
  describe: 'time the training steps of recipes against each other, on one machine at one time',
  options: [
    ...workloadOptions('ghl,backprop; a protocol of several phases is timed phase by phase'),
    { flags: '--batch <n>', describe: 'images in a batch (default: 64)', parse: whole(1) },
    {
      flags: '--backend <name>',
      describe: 'backend that computes, or all, each in a separate process (default: wasm)',
    },
    { flags: '--threads <n>', describe: "threads that compute (default: the backend's choice)", parse: whole(1) },
    { flags: '--steps <n>', describe: 'timed steps of each recipe (default: about a minute of them)', parse: whole(1) },
    {
      flags: '--against <opponent>',
      describe: 'also time the same network in PyTorch: pytorch, which runs python3',
    },
    { flags: '--profile', describe: 'also show the time by kernel and layer' },
  ],
  run: speed,
  text: (summary) => ('backends' in summary ? backendsText(summary) : speedText(summary)),
  document: (summary) => summary,
};

/** Every backend that is optimized for training; plain JavaScript is not. */
const ALL = 'all';
const compared = backendNames.filter((name) => name !== 'cpu');

/**
 * Measures one backend or all, and reports progress on standard error.
 *
 * @throws ConfigurationError `BAD_ARGUMENTS`, and the errors of {@link measureBackend}.
 */
async function speed(options: SpeedOptions): Promise<SpeedSummary | BackendsSummary> {
  if (options.backend !== ALL) return measureBackend(options);
  for (const name of ['against', 'threads'] as const) {
    if (options[name] === undefined) continue;
    throw new ConfigurationError(
      'BAD_ARGUMENTS',
      `--${name} does not go with --backend all.`,
      'give it with the name of one backend.',
    );
  }
  const { network = DEFAULTS.network, batch = DEFAULTS.batch } = options;
  networkOf(network);
  for (const recipe of selectedRecipes({ ...options, recipe: options.recipe ?? DEFAULTS.recipe })) {
    checkRecipe(recipe, network);
  }
  const backends: Record<string, SpeedSummary | NotRun> = {};
  const work = async () => {
    for (const name of compared) backends[name] = await measureInProcess({ ...options, backend: name });
  };
  await untilInterrupted(work(), 'The measurement', 'begin again: nothing was kept.');
  return { schemaVersion: 1, network, batch, backends };
}

async function measureInProcess(options: SpeedOptions & { backend: string }): Promise<SpeedSummary | NotRun> {
  const { supported, reason, help } = await examineBackend(options.backend);
  if (!supported) return { reason: reason ?? '', help: help ?? '' };
  const died = {
    code: 'SPEED_PROCESS_DIED' as const,
    what: `The process that measures ${options.backend}`,
    help: 'often memory ran out: try a smaller --batch.',
  };
  try {
    return await askChild<SpeedSummary>({ script: 'processes/speed-process', died, inheritStderr: true }, options);
  } catch (error) {
    const failure = failureOf(error);
    if (failure.code === INTERRUPTED) throw error;
    return { reason: failure.message, help: failure.help };
  }
}
