/** What a race says in numbers: a pure function of the runs in its folder. */
import { mean, sampleStandardDeviation } from 'simple-statistics';
import { type Failure, failureOf } from './failure.js';
import { deviations, paperAccuracy } from './paper.js';
import type { RaceFolder } from './race.js';
import { plannedRuns, type RacePlan } from './race-plan.js';
import type { RunEvent, RunManifest, RunResult } from './run-store.js';

/** What is left of one run. */
export interface RecordedRun {
  readonly recipe: string;
  readonly seed: number;
  readonly state: 'finished' | 'failed' | 'unfinished';
  readonly manifest: RunManifest | null;
  readonly events: readonly RunEvent[];
  readonly result: RunResult | null;
  /** Why its files could not be read. */
  readonly damage?: Failure;
}

/** A number for each seed, null where its run has none, with their mean and sample standard deviation. */
export interface Statistic {
  /** Seeds that have a finite number: what {@link mean} and {@link sd} are of. */
  readonly n: number;
  /** Null if there is none. */
  readonly mean: number | null;
  /** Null below two numbers. */
  readonly sd: number | null;
  /** By seed. */
  readonly seeds: readonly (number | null)[];
}

/** What came of one recipe. */
export interface RecipeSummary {
  /** After the last epoch, as a share of 1. */
  readonly testAccuracy: Statistic;
  /** Of the epoch that was best on the validation images. */
  readonly bestValidation: { readonly validationAccuracy: Statistic; readonly testAccuracy: Statistic };
  /**
   * Seconds of training until the validation accuracy (the test accuracy, where none is held out) reached the target.
   */
  readonly secondsToTarget: Statistic;
  /** Of training alone, in one process; null for a run too short to time. */
  readonly imagesPerSecond: Statistic;
  /** Cosine of the increment with −∂L/∂W at the last measurement, by layer. */
  readonly alignment: Readonly<Record<string, Statistic>>;
  /** The paper's test accuracy, where this race has a counterpart there. */
  readonly paper: number | null;
  /** By seed, what computed the run, in turn; empty where it has not begun. */
  readonly backends: readonly (readonly string[])[];
}

/** A race in numbers: what `--json` prints. */
export interface RaceSummary {
  readonly schemaVersion: 1;
  readonly network: string;
  readonly dataset: RacePlan['dataset'];
  readonly epochs: number;
  readonly batch: number;
  /** All of {@link backends} in words, `wasm, then cpu`; before any run has begun, the plan's. */
  readonly backend: string;
  /** All that computed a run or a part of it, the plan's first. */
  readonly backends: readonly string[];
  readonly threads: number;
  /** The accuracy to be reached. */
  readonly target: number;
  readonly recipes: Readonly<Record<string, RecipeSummary>>;
  /** Runs without a result, and why. */
  readonly incomplete: readonly {
    readonly recipe: string;
    readonly seed: number;
    readonly state: 'failed' | 'unfinished';
    readonly code?: string;
    readonly message?: string;
  }[];
  /** In what the race departs from the paper's protocol, where it has figures to compare with. */
  readonly deviations: readonly string[];
}

/** Reads what is left of every run of a race. */
export async function readRuns(folder: RaceFolder, plan: RacePlan): Promise<RecordedRun[]> {
  return Promise.all(
    plannedRuns(plan).map(async (run): Promise<RecordedRun> => {
      const name = { recipe: run.recipe.name, seed: run.seed };
      const files = folder.run(run);
      try {
        const [manifest, events, result] = await Promise.all([
          files.readManifest(),
          files.readEvents(),
          files.readResult(),
        ]);
        const failed = events.at(-1)?.type === 'failed';
        const state = result !== null ? 'finished' : failed ? 'failed' : 'unfinished';
        return { ...name, state, manifest, events, result };
      } catch (error) {
        const damage = failureOf(error);
        const { code, message, help } = damage;
        const events: RunEvent[] = [{ type: 'failed', step: 0, code, message, help }];
        return { ...name, state: 'failed', manifest: null, events, result: null, damage };
      }
    }),
  );
}

/**
 * The backends that computed a run, in turn: the one that it began on, and each that it went on on, but for those that
 * made no step.
 */
export function backendsOf({ manifest, events, result }: RecordedRun): string[] {
  if (manifest === null) return [];
  const stretches = [
    { backend: manifest.backend.name, step: 0 },
    ...events.filter((event) => event.type === 'resumed'),
  ];
  const end = result?.steps ?? Number.POSITIVE_INFINITY;
  return stretches
    .filter(({ step }, i) => step < (stretches[i + 1]?.step ?? end))
    .map(({ backend }) => backend)
    .filter((backend, i, all) => backend !== all[i - 1]);
}

/** Backends in words. */
export function inWords(backends: readonly string[]): string {
  return backends.join(', then ');
}

/** Mean, spread and all values. */
export function statistic(seeds: readonly (number | null)[]): Statistic {
  const numbers = seeds.filter((each) => each !== null && Number.isFinite(each)) as number[];
  return {
    n: numbers.length,
    mean: numbers.length > 0 ? mean(numbers) : null,
    sd: numbers.length > 1 ? sampleStandardDeviation(numbers) : null,
    seeds,
  };
}

/** The numbers of a race. */
export function summarise(plan: RacePlan, runs: readonly RecordedRun[]): RaceSummary {
  const { network, dataset, epochs, batch, backend: planned, threads, target } = plan;
  const computed = new Set(runs.flatMap(backendsOf));
  const backends = [...(computed.delete(planned) ? [planned] : []), ...computed];
  return {
    schemaVersion: 1,
    network,
    dataset,
    epochs,
    batch,
    backend: inWords(backends) || planned,
    backends,
    threads,
    target,
    recipes: Object.fromEntries(
      plan.recipes.map(({ name }) => [
        name,
        summariseRecipe(
          plan,
          name,
          runs.filter((run) => run.recipe === name),
        ),
      ]),
    ),
    incomplete: runs.flatMap(({ recipe, seed, state, events }) => {
      if (state === 'finished') return [];
      const failure = events.at(-1);
      const why = failure?.type === 'failed' ? { code: failure.code, message: failure.message } : {};
      return [{ recipe, seed, state, ...why }];
    }),
    deviations: deviations(plan),
  };
}

function summariseRecipe(plan: RacePlan, name: string, runs: readonly RecordedRun[]): RecipeSummary {
  const of = (pick: (result: RunResult, run: RecordedRun) => number | null | undefined) =>
    statistic(runs.map((run) => (run.result === null ? null : (pick(run.result, run) ?? null))));
  const finished = runs.filter(({ result }) => result !== null);
  const layers = Object.keys(finished[0] === undefined ? {} : lastAlignment(finished[0]));
  return {
    testAccuracy: of(({ testAccuracy }) => testAccuracy),
    bestValidation: {
      validationAccuracy: of(({ best }) => best?.validationAccuracy),
      testAccuracy: of(({ best }) => best?.testAccuracy),
    },
    secondsToTarget: of((_, { events }) => secondsTo(plan.target, events)),
    imagesPerSecond: of(({ imagesPerSecond }) => imagesPerSecond),
    alignment: Object.fromEntries(layers.map((layer) => [layer, of((_, run) => lastAlignment(run)[layer])])),
    paper: paperAccuracy(plan, name),
    backends: runs.map(backendsOf),
  };
}

function secondsTo(target: number, events: readonly RunEvent[]): number | null {
  for (const event of events) {
    if (event.type === 'epoch' && (event.validation ?? event.test).accuracy >= target) return event.trainMs / 1000;
  }
  return null;
}

function lastAlignment({ events }: RecordedRun): Readonly<Record<string, number>> {
  const last = events.filter((event) => event.type === 'alignment').at(-1);
  return Object.fromEntries(Object.entries(last?.layers ?? {}).map(([layer, { alignment }]) => [layer, alignment]));
}
