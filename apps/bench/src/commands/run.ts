/** `bench run`: begins or resumes a race, and reports it. */
import { join, resolve } from 'node:path';
import { ConfigurationError, StateError } from '@ghl/core';
import {
  type CacheLimits,
  checkRecipe,
  defaultCacheLimits,
  networkOf,
  type PlannedRecipe,
  type PlannedRun,
  phasesOf,
  phasesText,
  plannedRuns,
  type RacePlan,
  resumeInexact,
  toJson,
} from '@ghl/race';
import { loadData, targetOf } from '../files/data.js';
import { type Lock, lockFolder } from '../files/folder-lock.js';
import { RaceFolder } from '../files/race-folder.js';
import type { Command } from '../options/command.js';
import { share, whole } from '../options/values.js';
import { selectedRecipes, type WorkloadOptions, workloadOptions } from '../options/workload.js';
import { checkBackend } from '../platform/backends.js';
import { codeVersion } from '../platform/environment.js';
import { untilInterrupted } from '../platform/interrupt.js';
import { runRace, shareCores } from '../processes/race.js';
import { display } from '../report/progress.js';
import { makeReport, type Report, reportDocument, reportText } from '../report/report.js';

/** The options of `run`; an option that the user omitted is absent. */
interface RunOptions extends WorkloadOptions {
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
  readonly cacheMemory?: number;
  readonly cacheDisk?: number;
}

const MB = 2 ** 20;

export const command: Command<RunOptions, Report> = {
  name: 'run',
  describe: 'race recipes; without options, all of one phase on generated glyphs with 3 seeds',
  isDefault: true,
  options: [
    ...workloadOptions('all of one phase'),
    { flags: '--seeds <n>', describe: 'runs of each recipe, seeds 0 to n - 1 (default: 3)', parse: whole(1) },
    {
      flags: '--epochs <n>',
      describe:
        "times through the training images; a recipe with a protocol divides them among its phases (default: the protocol's, else the network's)",
      parse: whole(1),
    },
    { flags: '--train-size <n>', describe: 'images to train on (default: all)', parse: whole(1) },
    {
      flags: '--validation-size <n>',
      describe:
        'images held out for validation (default: a quarter of --train-size, at most 5000; without it, 500 glyphs or a tenth of the images)',
      parse: whole(0),
    },
    {
      flags: '--batch <n>',
      describe: "images in a batch of a recipe of one phase (default: the network's)",
      parse: whole(1),
    },
    { flags: '--backend <name>', describe: 'backend that computes (default: wasm)' },
    { flags: '--target <accuracy>', describe: 'validation accuracy to time, between 0 and 1', parse: share },
    { flags: '--processes <n>', describe: 'runs at the same time (default: one per core)', parse: whole(1) },
    {
      flags: '--cache-memory <mb>',
      describe: `memory of a run for activations of frozen layers, in MB (default: ${defaultCacheLimits.memory / MB})`,
      parse: whole(0),
    },
    {
      flags: '--cache-disk <mb>',
      describe: `disk of a run for activations beyond --cache-memory, in MB (default: ${defaultCacheLimits.storage / MB})`,
      parse: whole(0),
    },
    { flags: '--out <dir>', describe: 'folder of the race (default: a new one under results/)' },
    { flags: '--resume <dir>', describe: 'resume the race in this folder' },
    {
      flags: '--inexact',
      describe: 'with --resume: continue although --backend, kernels or versions differ, and with them the last bits',
    },
  ],
  run,
  text: reportText,
  document: reportDocument,
  failures: ({ failures }) => failures,
};

const DEFAULTS = { network: 'deephebb-small', seeds: 3, backend: 'wasm' } as const;

async function run(options: RunOptions): Promise<Report> {
  if (options.inexact && options.resume === undefined) {
    throw new ConfigurationError(
      'BAD_ARGUMENTS',
      '--inexact says how to resume, but there is no --resume.',
      'give the folder of a race to resume: --resume DIR --inexact.',
    );
  }
  const say = (text: string) => process.stderr.write(`${text}\n`);
  const begun = options.resume === undefined ? await begin(options, say) : await resume(options.resume, options, say);
  const { folder, plan, dataFolder, lock } = begun;
  const { processes } = shareCores(plannedRuns(plan).length, options.processes);
  const progress = display(plan);
  try {
    const { backend = plan.backend, inexact = false } = options;
    const how = { processes, backend, inexact, cache: cacheLimits(options) };
    const race = runRace(folder, plan, dataFolder, how, progress);
    const help = `resume with \`bench run --resume ${folder.shellPath}\`.`;
    const work = Promise.race([race, lock.lost]);
    const failures = await untilInterrupted(work, 'The race', help).finally(() => progress.close());
    const report = await makeReport(folder);
    const known = failures.map(({ failure }) => failure);
    const more = report.failures.filter(({ message }) => known.every((each) => each.message !== message));
    return { ...report, failures: [...known, ...more] };
  } finally {
    await lock.release();
  }
}

function cacheLimits({ cacheMemory, cacheDisk }: RunOptions): CacheLimits {
  const { memory, storage } = defaultCacheLimits;
  return {
    memory: cacheMemory === undefined ? memory : cacheMemory * MB,
    storage: cacheDisk === undefined ? storage : cacheDisk * MB,
  };
}

interface Begun {
  readonly folder: RaceFolder;
  readonly plan: RacePlan;
  readonly dataFolder: string | null;
  readonly lock: Lock;
}

async function begin(options: RunOptions, say: (text: string) => void): Promise<Begun> {
  const { network = DEFAULTS.network, backend = DEFAULTS.backend, seeds = DEFAULTS.seeds } = options;
  const { epochs, batch } = { ...networkOf(network).protocol, ...options };
  await checkBackend(backend);
  const recipes = selectedRecipes(options, options.epochs);
  for (const recipe of recipes) checkRecipe(recipe, network);

  const dataFolder = options.data === undefined ? null : resolve(options.data);
  const data = await loadData({
    ...(options.dataset !== undefined && { name: options.dataset }),
    ...(dataFolder !== null && { folder: dataFolder }),
    ...(options.trainSize !== undefined && { trainSize: options.trainSize }),
    ...(options.validationSize !== undefined && { validationSize: options.validationSize }),
    onProgress: ({ file, received, total }) =>
      say(`downloading ${file}: ${megabytes(received)}${total === undefined ? '' : ` of ${megabytes(total)}`} MB`),
  });
  const { threads } = shareCores(recipes.length * seeds, options.processes);
  const plan: RacePlan = {
    schemaVersion: 1,
    network,
    dataset: {
      name: data.name,
      checksum: data.checksum,
      trainSize: data.train.size,
      validationSize: data.validation.size,
      testSize: data.test.size,
    },
    recipes,
    seeds,
    epochs,
    batch,
    backend,
    threads,
    target: options.target ?? targetOf(data.name),
    code: codeVersion(),
  };
  const stamp = new Date().toISOString().slice(0, 19).replace('T', '-').replaceAll(':', '');
  const folder = new RaceFolder(options.out ?? join('results', `${network}-${data.name}-${stamp}`));
  const lock = await lockFolder(folder.path);
  await folder.begin(plan, dataFolder);
  say(`${network} and ${data.name}, ${count(seeds, 'seed')}, into ${folder.shellPath}`);
  for (const recipe of recipes) say(`${recipe.name}: ${phasesText(phasesOf(plan, recipe))}`);
  return { folder, plan, dataFolder, lock };
}

async function resume(path: string, options: RunOptions, say: (text: string) => void): Promise<Begun> {
  const folder = new RaceFolder(path);
  const plan = await folder.readPlan();
  checkUnchanged(plan, options);
  await checkBackend(options.backend ?? plan.backend);
  const code = codeVersion();
  // A run whose files are damaged does not resume.
  const left = async (run: PlannedRun) =>
    (await folder
      .run(run)
      .readResult()
      .catch(() => undefined)) === null;
  if (code !== plan.code && (await Promise.all(plannedRuns(plan).map(left))).includes(true)) {
    throw new StateError(
      'RESUME_MISMATCH',
      `The code is version ${code.slice(0, 12)}; the race began with ${plan.code.slice(0, 12)}.`,
      'build the code that the race began with (its manifests name the commit), or begin another race.',
    );
  }
  const lock = await lockFolder(folder.path);
  const dataFolder = options.data === undefined ? await folder.readDataFolder() : resolve(options.data);
  say(`resuming the race in ${folder.shellPath}`);
  return { folder, plan, dataFolder, lock };
}

/** An option given with `--resume` may only repeat what the race began with. */
function checkUnchanged(plan: RacePlan, options: RunOptions): void {
  const began: Partial<Record<keyof RunOptions, unknown>> = {
    network: plan.network,
    dataset: plan.dataset.name,
    seeds: plan.seeds,
    epochs: plan.epochs,
    trainSize: plan.dataset.trainSize,
    validationSize: plan.dataset.validationSize,
    batch: plan.batch,
    target: plan.target,
  };
  if (options.backend !== undefined && options.backend !== plan.backend && !options.inexact) {
    throw resumeInexact(options.backend, plan.backend);
  }
  const differs = (what: string, now: unknown, before: unknown) =>
    new StateError(
      'RESUME_MISMATCH',
      `${what} is ${String(now)}; the race began with ${String(before)}.`,
      'omit the option to resume, or start another race in another folder.',
    );
  for (const [key, value] of Object.entries(options)) {
    if (Object.hasOwn(began, key) && value !== began[key as keyof RunOptions]) {
      throw differs(key, value, began[key as keyof RunOptions]);
    }
  }
  if (options.out !== undefined && resolve(options.out) !== resolve(options.resume as string)) {
    throw differs('out', options.out, options.resume);
  }
  if (options.recipe !== undefined || options.rule !== undefined) {
    const now = selectedRecipes(options);
    const list = (recipes: readonly PlannedRecipe[]) => toJson(recipes.map(({ protocol: _, ...recipe }) => recipe));
    if (list(now) !== list(plan.recipes)) throw differs('recipe', list(now), list(plan.recipes));
  }
}

const count = (n: number, what: string) => `${n} ${what}${n === 1 ? '' : 's'}`;
const megabytes = (bytes: number) => Math.round(bytes / 1e6);
