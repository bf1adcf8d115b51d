/** `bench speed`: times the training steps of recipes against each other, and against PyTorch. */
import { loadavg } from 'node:os';
import { resolve } from 'node:path';
import { ConfigurationError } from '@ghl/core';
import { unknownName } from '@ghl/core/plugin';
import cliProgress from 'cli-progress';
import { askChild } from './ask-child.js';
import { activateBackend, backendNames, checkBackend } from './backends.js';
import type { SpeedOptions } from './command-line.js';
import { examine } from './doctor-command.js';
import { environment } from './environment.js';
import { failureOf, INTERRUPTED } from './failure.js';
import { untilInterrupted } from './interrupt.js';
import type { PlannedRecipe } from './race-plan.js';
import { chosenRecipes } from './recipe-choice.js';
import { loadBatches } from './speed/batches.js';
import { type Contender, contender } from './speed/contender.js';
import { energyMeter } from './speed/energy.js';
import { gemmPeak, timeMatMul } from './speed/gemm-peak.js';
import { pytorchSpeed, twinPlayers } from './speed/opponent.js';
import { peakMemory } from './speed/peak-memory.js';
import { profile } from './speed/profile.js';
import { Twin } from './speed/pytorch.js';
import { timeRounds, warmUp } from './speed/rounds.js';
import {
  type BackendsSummary,
  middle,
  type NotRun,
  type RecipeSpeed,
  ratios,
  type SpeedSummary,
  speedOf,
} from './speed/summary.js';
import { assignmentOf } from './training/recipe.js';
import { checkNetwork } from './training/workload.js';

const DEFAULTS = { network: 'deephebb-small', batch: 64, backend: 'wasm', recipe: ['ghl', 'backprop'] } as const;

/** What the timed rounds take, in ms, where nobody says how many there are to be. */
const TIMED = 45_000;
const LEAST_STEPS = 5;
const MOST_STEPS = 500;

/** Steps of a profile. */
const PROFILED_STEPS = 5;

const OPPONENTS = ['pytorch'];

const say = (text: string) => process.stderr.write(`${text}\n`);

/** Stands for every backend that is made to train fast; plain JavaScript is not. */
const ALL = 'all';
const raced = backendNames.filter((name) => name !== 'cpu');

/**
 * Does what the options say; what is said meanwhile goes to standard error.
 *
 * @throws ConfigurationError `UNKNOWN_OPPONENT`, `TOO_MANY_THREADS`, `BAD_ARGUMENTS`, and for other names;
 * UnsupportedError `NO_PYTHON`, `NO_TORCH`, before anything is timed; GhlError `INTERRUPTED`.
 */
export async function speed(options: SpeedOptions): Promise<SpeedSummary | BackendsSummary> {
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
  checkNetwork(network);
  for (const recipe of chosenRecipes({ ...options, recipe: options.recipe ?? DEFAULTS.recipe })) {
    assignmentOf(recipe, network, 1);
  }
  const backends: Record<string, SpeedSummary | NotRun> = {};
  const work = async () => {
    for (const name of raced) backends[name] = await inOwnProcess({ ...options, backend: name });
  };
  await untilInterrupted(work(), 'The measurement', 'begin again: nothing was kept.');
  return { schemaVersion: 1, network, batch, backends };
}

async function inOwnProcess(options: SpeedOptions & { backend: string }): Promise<SpeedSummary | NotRun> {
  const { supported, reason, help } = await examine(options.backend);
  if (!supported) return { reason: reason ?? '', help: help ?? '' };
  const died = {
    code: 'SPEED_PROCESS_DIED' as const,
    what: `The process that measures ${options.backend}`,
    help: 'often memory ran out: try a smaller --batch.',
  };
  try {
    return await askChild<SpeedSummary>({ script: 'speed/speed-process', died, heard: true }, options);
  } catch (error) {
    const failure = failureOf(error);
    if (failure.code === INTERRUPTED) throw error;
    return { reason: failure.message, help: failure.help };
  }
}

/** {@link speed} of one backend. */
export async function measureBackend(options: SpeedOptions): Promise<SpeedSummary> {
  const { network = DEFAULTS.network, backend = DEFAULTS.backend, against } = options;
  if (against !== undefined && !OPPONENTS.includes(against)) throw unknownName('opponent', against, OPPONENTS);
  checkNetwork(network);
  await checkBackend(backend);
  const recipes = chosenRecipes({ ...options, recipe: options.recipe ?? DEFAULTS.recipe });
  for (const recipe of recipes) assignmentOf(recipe, network, 1);
  const twin = against === undefined ? null : await Twin.start();
  try {
    return await untilInterrupted(measure(options, recipes, twin), 'The measurement', 'begin again: nothing was kept.');
  } finally {
    await twin?.close();
  }
}

async function measure(
  options: SpeedOptions,
  recipes: readonly PlannedRecipe[],
  twin: Twin | null,
): Promise<SpeedSummary> {
  const { network = DEFAULTS.network, backend = DEFAULTS.backend, batch = DEFAULTS.batch } = options;
  const loadBefore = loadavg()[0] as number;
  const surroundings = environment();
  const active = await activateBackend(backend, { threads: options.threads });
  const threads = active.threads ?? 1;
  if (options.threads !== undefined && options.threads !== threads) {
    throw new ConfigurationError(
      'TOO_MANY_THREADS',
      `--threads is ${options.threads}; ${backend} runs on ${threads}.`,
      `leave it out, or give ${threads}.`,
    );
  }
  const choice = {
    ...(options.dataset !== undefined && { name: options.dataset }),
    ...(options.data !== undefined && { folder: resolve(options.data) }),
  };
  const batches = await loadBatches(choice, batch);
  const contenders = recipes.map((recipe) => contender(recipe, network, batches));
  const first = contenders[0] as Contender;
  await twin?.begin(first.model, network, batches, threads);

  const leaked = new Map<string, number>();
  const joules = new Map<string, number>();
  const energy = energyMeter();
  const ours = contenders.map(({ name, step }) => ({
    name,
    async step(round: number) {
      energy?.();
      const timed = await step(round);
      if (energy) joules.set(name, (joules.get(name) ?? 0) + energy());
      leaked.set(name, (leaked.get(name) ?? 0) + timed.leaked);
      return timed.ms;
    },
  }));
  const players = [...ours, ...(twin ? twinPlayers(twin) : [])];
  say(`${network}, batch ${batch}, ${batches.dataset}, ${backend}, threads: ${threads}`);
  say(`warming up ${players.map(({ name }) => name).join(', ')}`);
  const roundMs = await warmUp(players, options.steps ?? Number.POSITIVE_INFINITY);
  const steps = options.steps ?? Math.max(LEAST_STEPS, Math.min(MOST_STEPS, Math.round(TIMED / roundMs)));
  leaked.clear();
  joules.clear();

  const gemm = gemmPeak(timeMatMul);
  const theirGemm = twin && gemmPeak((side) => twin.timeMatMul(side));
  const shown = progress(steps);
  const times = await timeRounds(players, steps, theirGemm ? [gemm, theirGemm] : [gemm], shown.done).finally(
    shown.close,
  );
  for (const { checkFinite } of contenders) await checkFinite();

  const found: Record<string, RecipeSpeed> = {};
  for (const [i, each] of contenders.entries()) {
    const { name, flopPerImage } = each;
    if (options.profile) say(`profiling ${name}`);
    const rows = options.profile && (await profile(each, Math.min(steps, PROFILED_STEPS)));
    say(`measuring the memory of ${name}`);
    const recipe = recipes[i] as PlannedRecipe;
    const memory = await peakMemory({ recipe, network, backend, threads, numerics: active.numerics, batches });
    const spent = joules.get(name);
    found[name] = {
      ...speedOf(times[i] as number[], batch, flopPerImage, gemm.best(), memory.host),
      gflopPerImage: flopPerImage / 1e9,
      leakedTensors: leaked.get(name) ?? 0,
      peakDeviceMiB: memory.device,
      joulesPerImage: spent === undefined ? null : spent / (steps * batch),
      ...(rows && { profile: rows }),
    };
  }
  const pytorch =
    twin &&
    (await pytorchSpeed(twin, {
      model: first.model,
      network,
      batches,
      threads,
      gemmPeakGflops: theirGemm?.best() as number,
      ours: Object.fromEntries(contenders.map(({ name }, i) => [name, times[i] as number[]])),
      theirs: times.slice(contenders.length),
      say,
    }));
  for (const { dispose } of contenders) dispose();
  const { ghl, backprop } = found;
  const ghlToBackprop = ghl && backprop ? middle(ratios(ghl.ms, backprop.ms)) : null;
  return {
    schemaVersion: 1,
    network,
    dataset: batches.dataset,
    batch,
    backend,
    threads,
    steps,
    gemmPeakGflops: gemm.best(),
    gemmGflops: gemm.gflops,
    recipes: found,
    ghlToBackprop: ghlToBackprop?.median ?? null,
    ghlToBackpropSpread: ghlToBackprop?.spread ?? null,
    ...(pytorch && { pytorch }),
    loadBefore,
    device: active.device ?? null,
    driver: active.driver ?? null,
    kernels: active.kernels,
    ...(active.numerics && { numerics: active.numerics }),
    notes: active.notes ?? [],
    environment: { ...surroundings, versions: { ...surroundings.versions, ...active.versions } },
  };
}

/** Shows how many rounds are done: a bar if standard error is a terminal, else a line at the beginning. */
function progress(steps: number): { done(rounds: number): void; close(): void } {
  if (!process.stderr.isTTY) {
    say(`timing ${steps} steps each`);
    return { done: () => {}, close: () => {} };
  }
  const bar = new cliProgress.SingleBar({
    format: '{bar} step {value}/{total} · {eta_formatted} left',
    stream: process.stderr,
    barsize: 20,
    barCompleteChar: '━',
    barIncompleteChar: '─',
    hideCursor: true,
    linewrap: false,
  });
  bar.start(steps, 0);
  return { done: (rounds) => bar.update(rounds), close: () => bar.stop() };
}
