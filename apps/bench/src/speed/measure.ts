/** Measures the speed of training steps on one backend. */
import { loadavg } from 'node:os';
import { resolve } from 'node:path';
import { ConfigurationError } from '@ghl/core';
import { unknownName } from '@ghl/core/plugin';
import { checkRecipe, networkOf, type PlannedRecipe } from '@ghl/race';
import cliProgress from 'cli-progress';
import { selectedRecipes, type WorkloadOptions } from '../options/workload.js';
import { activateBackend, checkBackend } from '../platform/backends.js';
import { environment } from '../platform/environment.js';
import { untilInterrupted } from '../platform/interrupt.js';
import { loadBatches } from './batches.js';
import { type CandidateChoice, candidateChoices, type RecipeCandidate, recipeCandidate } from './candidate.js';
import { gemmPeak, timeMatMul } from './gemm-peak.js';
import { peakMemory } from './peak-memory.js';
import { profile } from './profile.js';
import { PyTorchReference } from './pytorch-reference.js';
import { pytorchSpeed, referenceCandidates } from './pytorch-speed.js';
import { timeRounds, warmUp } from './rounds.js';
import { middle, type RecipeSpeed, ratios, type SpeedSummary, speedOf } from './summary.js';

/** The options of `speed`; an option that the user omitted is absent. */
export interface SpeedOptions extends WorkloadOptions {
  readonly batch?: number;
  readonly backend?: string;
  readonly threads?: number;
  readonly steps?: number;
  readonly against?: string;
  readonly profile?: boolean;
}

/** Defaults of {@link SpeedOptions}. */
export const DEFAULTS = { network: 'deephebb-small', batch: 64, backend: 'wasm', recipe: ['ghl', 'backprop'] } as const;

/** Duration of the timed rounds in ms, unless the options give their number. */
const TIMED = 45_000;
const LEAST_STEPS = 5;
const MOST_STEPS = 500;

/** Steps of a profile. */
const PROFILED_STEPS = 5;

const OPPONENTS = ['pytorch'];

const say = (text: string) => process.stderr.write(`${text}\n`);

/**
 * Measures one backend, and reports progress on standard error.
 *
 * @throws ConfigurationError `UNKNOWN_OPPONENT`, `TOO_MANY_THREADS`, and for other names; UnsupportedError `NO_PYTHON`,
 * `NO_TORCH`, before anything is timed; GhlError `INTERRUPTED`.
 */
export async function measureBackend(options: SpeedOptions): Promise<SpeedSummary> {
  const { network = DEFAULTS.network, backend = DEFAULTS.backend, against } = options;
  if (against !== undefined && !OPPONENTS.includes(against)) throw unknownName('opponent', against, OPPONENTS);
  networkOf(network);
  await checkBackend(backend);
  const recipes = selectedRecipes({ ...options, recipe: options.recipe ?? DEFAULTS.recipe });
  for (const recipe of recipes) checkRecipe(recipe, network);
  const reference = against === undefined ? null : await PyTorchReference.start();
  try {
    return await untilInterrupted(
      measure(options, recipes, reference),
      'The measurement',
      'begin again: nothing was kept.',
    );
  } finally {
    await reference?.close();
  }
}

async function measure(
  options: SpeedOptions,
  recipes: readonly PlannedRecipe[],
  reference: PyTorchReference | null,
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
  const choices = candidateChoices(recipes);
  const candidates = choices.map((choice) => recipeCandidate(choice, network, batches));
  const first = candidates[0] as RecipeCandidate;
  await reference?.begin(first.model, network, batches, threads);

  const leaked = new Map<string, number>();
  const ours = candidates.map(({ name, step }) => ({
    name,
    async step(round: number) {
      const timed = await step(round);
      leaked.set(name, (leaked.get(name) ?? 0) + timed.leaked);
      return timed.ms;
    },
  }));
  const all = [...ours, ...(reference ? referenceCandidates(reference) : [])];
  say(`${network}, batch ${batch}, ${batches.dataset}, ${backend}, threads: ${threads}`);
  say(`warming up ${all.map(({ name }) => name).join(', ')}`);
  const roundMs = await warmUp(all, options.steps ?? Number.POSITIVE_INFINITY);
  const steps = options.steps ?? Math.max(LEAST_STEPS, Math.min(MOST_STEPS, Math.round(TIMED / roundMs)));
  leaked.clear();

  const gemm = gemmPeak(timeMatMul);
  const referenceGemm = reference && gemmPeak((side) => reference.timeMatMul(side));
  const bar = progress(steps);
  const times = await timeRounds(all, steps, referenceGemm ? [gemm, referenceGemm] : [gemm], bar.done).finally(
    bar.close,
  );
  for (const { checkFinite } of candidates) await checkFinite();

  const speeds: Record<string, RecipeSpeed> = {};
  for (const [i, each] of candidates.entries()) {
    const { name, flopPerImage } = each;
    if (options.profile) say(`profiling ${name}`);
    const rows = options.profile && (await profile(each, Math.min(steps, PROFILED_STEPS)));
    say(`measuring the memory of ${name}`);
    const choice = choices[i] as CandidateChoice;
    const memory = await peakMemory({ choice, network, backend, threads, numerics: active.numerics, batches });
    speeds[name] = {
      ...speedOf(times[i] as number[], batch, flopPerImage, gemm.best(), memory.host),
      gflopPerImage: flopPerImage / 1e9,
      leakedTensors: leaked.get(name) ?? 0,
      peakDeviceMiB: memory.device,
      ...(rows && { profile: rows }),
    };
  }
  const pytorch =
    reference &&
    (await pytorchSpeed(reference, {
      model: first.model,
      network,
      batches,
      threads,
      gemmPeakGflops: referenceGemm?.best() as number,
      ours: Object.fromEntries(candidates.map(({ name }, i) => [name, times[i] as number[]])),
      theirs: times.slice(candidates.length),
      say,
    }));
  for (const { dispose } of candidates) dispose();
  const { ghl, backprop } = speeds;
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
    recipes: speeds,
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

/** Shows the number of finished rounds: a bar if standard error is a terminal, else a line at the start. */
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
