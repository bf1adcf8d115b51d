/** `bench run`: begins a race, or goes on with one, and reports. */
import { join, resolve } from 'node:path';
import { ConfigurationError, StateError } from '@ghl/core';
import { checkBackend } from './backends.js';
import type { RunOptions } from './command-line.js';
import { codeVersion } from './environment.js';
import { type Lock, lockFolder } from './folder-lock.js';
import { untilInterrupted } from './interrupt.js';
import { toJson } from './json.js';
import { display } from './progress.js';
import { RaceFolder, runRace, shareCores } from './race.js';
import { type PlannedRecipe, type PlannedRun, plannedRuns, type RacePlan, stepsPerEpoch } from './race-plan.js';
import { chosenRecipes } from './recipe-choice.js';
import { makeReport, type Report } from './report-command.js';
import { assignmentOf } from './training/recipe.js';
import { inexactly } from './training/trainer.js';
import { checkNetwork, loadData } from './training/workload.js';

const DEFAULTS = { network: 'deephebb-small', seeds: 3, backend: 'wasm' } as const;

/** How long to train: the paper's protocol for its networks, and what the small ones need on glyphs. */
const protocol = (network: string) =>
  network.endsWith('-small') ? { epochs: 4, batch: 32 } : { epochs: 100, batch: 64 };

/** Validation accuracies worth timing, by dataset. */
const TARGETS: Readonly<Record<string, number>> = {
  glyphs: 0.8,
  cifar10: 0.5,
  cifar100: 0.2,
  mnist: 0.95,
  'fashion-mnist': 0.85,
};

/** Does what the options say; what is said meanwhile goes to standard error. */
export async function run(options: RunOptions): Promise<Report> {
  if (options.inexact && options.resume === undefined) {
    throw new ConfigurationError(
      'BAD_ARGUMENTS',
      '--inexact says how to go on, but there is no --resume.',
      'give the folder of a race to go on with: --resume DIR --inexact.',
    );
  }
  const say = (text: string) => process.stderr.write(`${text}\n`);
  const begun = options.resume === undefined ? await begin(options, say) : await resume(options.resume, options, say);
  const { folder, plan, dataFolder, lock } = begun;
  const { processes } = shareCores(plannedRuns(plan).length, options.processes);
  const shown = display(plan);
  try {
    const how = { processes, backend: options.backend ?? plan.backend, inexact: options.inexact ?? false };
    const race = runRace(folder, plan, dataFolder, how, shown);
    const help = `go on with \`bench run --resume ${folder.typed}\`.`;
    const work = Promise.race([race, lock.lost]);
    const failures = await untilInterrupted(work, 'The race', help).finally(() => shown.close());
    const report = await makeReport(folder);
    const known = failures.map(({ failure }) => failure);
    const more = report.failures.filter(({ message }) => known.every((each) => each.message !== message));
    return { ...report, failures: [...known, ...more] };
  } finally {
    await lock.release();
  }
}

interface Begun {
  readonly folder: RaceFolder;
  readonly plan: RacePlan;
  readonly dataFolder: string | null;
  readonly lock: Lock;
}

async function begin(options: RunOptions, say: (text: string) => void): Promise<Begun> {
  const { network = DEFAULTS.network, backend = DEFAULTS.backend, seeds = DEFAULTS.seeds } = options;
  const { epochs, batch } = { ...protocol(network), ...options };
  checkNetwork(network);
  await checkBackend(backend);
  const recipes = chosenRecipes(options);
  for (const recipe of recipes) assignmentOf(recipe, network, 1);

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
    target: options.target ?? TARGETS[data.name] ?? 0.9,
    code: codeVersion(),
  };
  const stamp = new Date().toISOString().slice(0, 19).replace('T', '-').replaceAll(':', '');
  const folder = new RaceFolder(options.out ?? join('results', `${network}-${data.name}-${stamp}`));
  const lock = await lockFolder(folder.path);
  await folder.begin(plan, dataFolder);
  say(
    `${recipes.map(({ name }) => name).join(', ')} on ${network} and ${data.name}: ${count(seeds, 'seed')}, ${count(epochs, 'epoch')} of ` +
      `${count(stepsPerEpoch(plan), 'step')}, into ${folder.typed}`,
  );
  return { folder, plan, dataFolder, lock };
}

async function resume(path: string, options: RunOptions, say: (text: string) => void): Promise<Begun> {
  const folder = new RaceFolder(path);
  const plan = await folder.readPlan();
  checkUnchanged(plan, options);
  await checkBackend(options.backend ?? plan.backend);
  const code = codeVersion();
  // A run whose files are damaged does not go on.
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
  say(`going on with the race in ${folder.typed}`);
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
    throw inexactly(options.backend, plan.backend);
  }
  const differs = (what: string, now: unknown, before: unknown) =>
    new StateError(
      'RESUME_MISMATCH',
      `${what} is ${String(now)}; the race began with ${String(before)}.`,
      'leave the option out to go on, or begin another race in another folder.',
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
    const now = chosenRecipes(options);
    const list = (recipes: readonly PlannedRecipe[]) => toJson(recipes);
    if (list(now) !== list(plan.recipes)) throw differs('recipe', list(now), list(plan.recipes));
  }
}

const count = (n: number, what: string) => `${n} ${what}${n === 1 ? '' : 's'}`;
const megabytes = (bytes: number) => Math.round(bytes / 1e6);
