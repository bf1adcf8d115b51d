/** `bench speed`: times the training steps of recipes against each other, and against PyTorch. */
import { resolve } from 'node:path';
import { type ActiveBackend, ConfigurationError, unknownName } from '@ghl/core';
import cliProgress from 'cli-progress';
import { activateBackend, checkBackend } from './backends.js';
import type { SpeedOptions } from './command-line.js';
import { environment } from './environment.js';
import { untilInterrupted } from './interrupt.js';
import type { PlannedRecipe } from './race-plan.js';
import { chosenRecipes } from './recipe-choice.js';
import { type Batches, loadBatches } from './speed/batches.js';
import { type Contender, contender, MEMORY_STEPS } from './speed/contender.js';
import { flopPerImage } from './speed/flop.js';
import { type GemmPeak, gemmPeak, timeMatMul } from './speed/gemm-peak.js';
import { peakMemory } from './speed/peak-memory.js';
import { timeKernels } from './speed/profile.js';
import { Twin, WAYS, type Way } from './speed/pytorch.js';
import { type Player, playRound, warmUp } from './speed/rounds.js';
import { middle, type ProfileRow, type PytorchSpeed, ratios, type SpeedSummary, speedOf } from './speed/summary.js';
import { assignmentOf } from './training/recipe.js';
import { checkNetwork } from './training/workload.js';

const DEFAULTS = { network: 'deephebb-small', batch: 64, backend: 'wasm', recipe: ['ghl', 'backprop'] } as const;

/** What the timed rounds take, in ms, where nobody says how many there are to be. */
const TIMED = 45_000;
const LEAST_STEPS = 5;
const MOST_STEPS = 500;

/** How often the GEMM peak is measured in between. */
const GEMM_MEASUREMENTS = 10;

/** Steps of a profile. */
const PROFILED_STEPS = 5;

const OPPONENTS = ['pytorch'];
const ways = Object.keys(WAYS) as Way[];
const inPytorch = (way: Way) => `PyTorch ${way}`;

const say = (text: string) => process.stderr.write(`${text}\n`);

/**
 * Does what the options say; what is said meanwhile goes to standard error.
 *
 * @throws ConfigurationError `UNKNOWN_OPPONENT`, `TOO_MANY_THREADS`, and for other names; UnsupportedError `NO_PYTHON`,
 * `NO_TORCH`, before anything is timed; GhlError `INTERRUPTED`.
 */
export async function speed(options: SpeedOptions): Promise<SpeedSummary> {
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
  const active = await activateBackend(backend, { threads: options.threads });
  const threads = active.threads ?? 1;
  if (options.threads !== undefined && options.threads !== threads) {
    throw new ConfigurationError(
      'TOO_MANY_THREADS',
      `--threads is ${options.threads}; ${backend} runs on ${threads}.`,
      {
        help: `leave it out, or give ${threads}.`,
      },
    );
  }
  const choice = {
    ...(options.dataset !== undefined && { name: options.dataset }),
    ...(options.data !== undefined && { folder: resolve(options.data) }),
  };
  const batches = await loadBatches(choice, batch);
  const contenders = recipes.map((recipe) => contender(recipe, network, batches));
  const names = [...contenders.map(({ name }) => name), ...(twin ? ways.map(inPytorch) : [])];
  say(
    `${names.join(', ')} on ${network}, batch ${batch}, ${batches.dataset}, ${backend} with ${threads} thread${threads === 1 ? '' : 's'}`,
  );
  await twin?.begin((contenders[0] as Contender).model, network, batches, threads);

  const leaked = new Map(contenders.map(({ name }) => [name, 0]));
  const players: Player[] = [
    ...contenders.map(({ name, step }) => ({
      name,
      async step(round: number) {
        const timed = await step(round);
        leaked.set(name, (leaked.get(name) as number) + timed.leaked);
        return timed.ms;
      },
    })),
    ...(twin
      ? ways.map((way) => ({
          name: inPytorch(way),
          elsewhere: true,
          step: async (round: number) => (await twin.step(way, round % batches.images.length)).ms,
        }))
      : []),
  ];
  say('warming up');
  const roundMs = await warmUp(players, options.steps ?? Number.POSITIVE_INFINITY);
  const steps = options.steps ?? Math.max(LEAST_STEPS, Math.min(MOST_STEPS, Math.round(TIMED / roundMs)));
  for (const name of leaked.keys()) leaked.set(name, 0);

  const peaks = [
    gemmPeak(timeMatMul),
    ...(twin ? [gemmPeak(async (side) => (2e-6 * side ** 3) / (await twin.gemm(side)))] : []),
  ];
  const times = await play(players, steps, peaks);
  for (const { checkFinite } of contenders) await checkFinite();
  const timesOf = (name: string) => times[players.findIndex((player) => player.name === name)] as number[];

  const profiles = new Map<string, ProfileRow[]>();
  if (options.profile) {
    for (const each of contenders) {
      say(`profiling ${each.name}`);
      profiles.set(each.name, await profile(each, Math.min(steps, PROFILED_STEPS)));
    }
  }
  const best = peaks.map(({ gflops }) => Math.max(...Object.values(gflops)));
  const found: Record<string, SpeedSummary['recipes'][string]> = {};
  for (const [i, { name, flopPerImage }] of contenders.entries()) {
    say(`measuring the memory of ${name}`);
    const recipe = recipes[i] as PlannedRecipe;
    const mebibytes = await peakMemory({ recipe, network, backend, threads, batches });
    const rows = profiles.get(name);
    found[name] = {
      ...speedOf(timesOf(name), batch, flopPerImage, best[0] as number, mebibytes),
      gflopPerImage: flopPerImage / 1e9,
      leakedTensors: leaked.get(name) as number,
      ...(rows && { profile: rows }),
    };
  }
  const pytorch = twin && (await opponent(twin, contenders, network, batches, threads, timesOf, best[1] as number));
  const { ghl, backprop } = found;
  const ghlToBackprop = ghl && backprop ? middle(ratios(ghl.ms, backprop.ms)) : null;
  for (const { dispose } of contenders) dispose();
  return {
    schemaVersion: 1,
    network,
    dataset: batches.dataset,
    batch,
    backend,
    threads,
    steps,
    gemmPeakGflops: best[0] as number,
    gemmGflops: (peaks[0] as GemmPeak).gflops,
    recipes: found,
    ghlToBackprop: ghlToBackprop?.median ?? null,
    ghlToBackpropSpread: ghlToBackprop?.spread ?? null,
    ...(pytorch && { pytorch }),
    ...described(active),
    environment: environment(),
  };
}

/** The timed rounds; returns each player's times. */
async function play(players: readonly Player[], steps: number, peaks: readonly GemmPeak[]): Promise<number[][]> {
  const times: number[][] = players.map(() => []);
  const bar = new cliProgress.SingleBar({
    format: '{bar} step {value}/{total} · {eta_formatted} left',
    stream: process.stderr,
    barsize: 20,
    barCompleteChar: '━',
    barIncompleteChar: '─',
    hideCursor: true,
    linewrap: false,
  });
  if (process.stderr.isTTY) bar.start(steps, 0);
  else say(`timing ${steps} steps each`);
  try {
    for (let round = 0; round < steps; round++) {
      const due = (at: number) => Math.floor((at * GEMM_MEASUREMENTS) / steps);
      if (round === 0 || due(round) > due(round - 1)) for (const { measure } of peaks) await measure();
      (await playRound(players, round)).forEach((ms, i) => {
        times[i]?.push(ms);
      });
      bar.update(round + 1);
    }
    for (const { measure } of peaks) await measure();
  } finally {
    bar.stop();
  }
  return times;
}

async function profile({ model, step }: Contender, steps: number): Promise<ProfileRow[]> {
  let whole = 0;
  const kernels = await timeKernels(model, async () => {
    for (let i = 0; i < steps; i++) whole += (await step(i)).ms;
  });
  const row = (ms: number) => ({ ms: ms / steps, share: ms / whole });
  const inside = kernels.reduce((sum, { ms }) => sum + ms, 0);
  return [
    ...kernels.map(({ kernel, layer, pass, calls, ms, bytes }) => ({
      kernel,
      layer,
      pass,
      calls: calls / steps,
      ...row(ms),
      megabytes: bytes / steps / 1e6,
    })),
    { kernel: null, layer: null, pass: null, calls: 0, ...row(whole - inside), megabytes: 0 },
  ].sort((a, b) => b.ms - a.ms);
}

/** The twin's numbers; its memory is measured in a process for each way, as ours is. */
async function opponent(
  twin: Twin,
  contenders: readonly Contender[],
  network: string,
  batches: Batches,
  threads: number,
  timesOf: (name: string) => number[],
  gemmPeakGflops: number,
): Promise<PytorchSpeed> {
  const { model } = contenders[0] as Contender;
  const flop = (name: string) => {
    const assignment = assignmentOf({ name }, network, 1);
    return flopPerImage(model, assignment);
  };
  const speeds: Partial<Record<Way, PytorchSpeed['ways'][Way]>> = {};
  for (const way of ways) {
    say(`measuring the memory of ${inPytorch(way)}`);
    const fresh = await Twin.start();
    try {
      await fresh.begin(model, network, batches, threads);
      for (let i = 0; i < MEMORY_STEPS; i++) await fresh.step(way, i % batches.images.length);
      const mebibytes = await fresh.peakMemory();
      speeds[way] = speedOf(
        timesOf(inPytorch(way)),
        batches.size,
        flop(way === 'backprop' ? way : 'ghl'),
        gemmPeakGflops,
        mebibytes,
      );
    } finally {
      await fresh.close();
    }
  }
  return {
    versions: twin.versions,
    threads,
    gemmPeakGflops,
    ways: speeds as PytorchSpeed['ways'],
    oursToTheirs: Object.fromEntries(
      contenders.map(({ name }) => [
        name,
        Object.fromEntries(
          ways.map((way) => [way, middle(ratios(timesOf(inPytorch(way)), timesOf(name))).median]),
        ) as Record<Way, number>,
      ]),
    ),
  };
}

function described({ device, driver, kernels, notes }: ActiveBackend) {
  return { device: device ?? null, driver: driver ?? null, kernels, notes: notes ?? [] };
}
