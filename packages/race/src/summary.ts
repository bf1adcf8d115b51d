/** The summary of a race in numbers: a pure function of the records of its runs. */

import type { RunEvent } from './events.js';
import { type Failure, failureOf } from './failure.js';
import { DEFAULT_LOSS } from './loss.js';
import type { RunManifest } from './manifest.js';
import { deviations, paperAccuracy } from './paper.js';
import {
  type PlannedProtocol,
  type PlannedRecipe,
  type PlannedRun,
  phasesOf,
  plannedRuns,
  type RacePlan,
} from './plan.js';
import type { RunResult } from './result.js';
import type { RunRecord } from './run-record.js';
import { type Statistic, statistic } from './statistic.js';

/** The records of one run. */
export interface RecordedRun {
  readonly recipe: string;
  readonly seed: number;
  readonly state: 'finished' | 'failed' | 'unfinished';
  readonly manifest: RunManifest | null;
  readonly events: readonly RunEvent[];
  readonly result: RunResult | null;
  /** The error of reading its records, if any. */
  readonly damage?: Failure;
}

/** One phase of a recipe. */
export interface PhaseSummary {
  readonly epochs: number;
  readonly batch: number;
  readonly loss: string;
  /** Epochs without a better validation accuracy that end the phase; null if none do. */
  readonly patience: number | null;
  /** Selectors of the weights that learn; null before a run has begun. */
  readonly learns: readonly string[] | null;
}

/** The results of one recipe. */
export interface RecipeSummary {
  /** How it changes network and images, and its phases. */
  readonly protocol: Pick<PlannedProtocol, 'network' | 'data'> & { readonly phases: readonly PhaseSummary[] };
  /** After the last epoch, as a share of 1. */
  readonly testAccuracy: Statistic;
  /** Of the epoch that was best on the validation images. */
  readonly bestValidation: { readonly validationAccuracy: Statistic; readonly testAccuracy: Statistic };
  /**
   * Seconds of training until the validation accuracy reached the target; without validation images, the test accuracy.
   */
  readonly secondsToTarget: Statistic;
  /** Of training alone, per process; null for a run too short to time. */
  readonly imagesPerSecond: Statistic;
  /** Cosine of the increment with −∂L/∂W at the last measurement, by layer. */
  readonly alignment: Readonly<Record<string, Statistic>>;
  /** The paper's test accuracy; null if the paper has no such race. */
  readonly paper: number | null;
  /** By seed, the backends of the run in order of use; empty before it has begun. */
  readonly backends: readonly (readonly string[])[];
}

/** The summary of a race, which `--json` prints. */
export interface RaceSummary {
  readonly schemaVersion: 1;
  readonly network: string;
  readonly dataset: RacePlan['dataset'];
  readonly epochs: number;
  readonly batch: number;
  /** All of {@link backends} as text, `wasm, then cpu`; before any run has begun, the plan's. */
  readonly backend: string;
  /** All backends that computed a run or a part of it; the plan's backend is first. */
  readonly backends: readonly string[];
  readonly threads: number;
  /** The accuracy whose time is measured. */
  readonly target: number;
  readonly recipes: Readonly<Record<string, RecipeSummary>>;
  /** Runs without a result, with the reason. */
  readonly incomplete: readonly {
    readonly recipe: string;
    readonly seed: number;
    readonly state: 'failed' | 'unfinished';
    readonly code?: string;
    readonly message?: string;
  }[];
  /** Differences from the paper's protocol, if the paper has figures to compare with. */
  readonly deviations: readonly string[];
}

/**
 * Reads the records of every run of a race.
 *
 * @param recordOf The records of a run.
 */
export async function readRuns(plan: RacePlan, recordOf: (run: PlannedRun) => RunRecord): Promise<RecordedRun[]> {
  return Promise.all(
    plannedRuns(plan).map(async (run): Promise<RecordedRun> => {
      const name = { recipe: run.recipe.name, seed: run.seed };
      const record = recordOf(run);
      try {
        const [manifest, events, result] = await Promise.all([
          record.readManifest(),
          record.readEvents(),
          record.readResult(),
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

/** Backends of a run in order of use: the first, then each it was resumed on; those with no step are omitted. */
export function backendsOf({ manifest, events, result }: RecordedRun): string[] {
  if (manifest === null) return [];
  const sections = [{ backend: manifest.backend.name, step: 0 }, ...events.filter((event) => event.type === 'resumed')];
  const end = result?.steps ?? Number.POSITIVE_INFINITY;
  return sections
    .filter(({ step }, i) => step < (sections[i + 1]?.step ?? end))
    .map(({ backend }) => backend)
    .filter((backend, i, all) => backend !== all[i - 1]);
}

/** Backends as text. */
export function backendsText(backends: readonly string[]): string {
  return backends.join(', then ');
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
    backend: backendsText(backends) || planned,
    backends,
    threads,
    target,
    recipes: Object.fromEntries(
      plan.recipes.map((recipe) => [
        recipe.name,
        summariseRecipe(
          plan,
          recipe,
          runs.filter((run) => run.recipe === recipe.name),
        ),
      ]),
    ),
    incomplete: runs.flatMap(({ recipe, seed, state, events }) => {
      if (state === 'finished') return [];
      const failure = events.at(-1);
      const reason = failure?.type === 'failed' ? { code: failure.code, message: failure.message } : {};
      return [{ recipe, seed, state, ...reason }];
    }),
    deviations: deviations(plan),
  };
}

function summariseRecipe(plan: RacePlan, recipe: PlannedRecipe, runs: readonly RecordedRun[]): RecipeSummary {
  const of = (pick: (result: RunResult, run: RecordedRun) => number | null | undefined) =>
    statistic(runs.map((run) => (run.result === null ? null : (pick(run.result, run) ?? null))));
  const finished = runs.filter(({ result }) => result !== null);
  const layers = Object.keys(finished[0] === undefined ? {} : lastAlignment(finished[0]));
  return {
    protocol: protocolSummary(plan, recipe, runs),
    testAccuracy: of(({ testAccuracy }) => testAccuracy),
    bestValidation: {
      validationAccuracy: of(({ best }) => best?.validationAccuracy),
      testAccuracy: of(({ best }) => best?.testAccuracy),
    },
    secondsToTarget: of((_, { events }) => secondsTo(plan.target, events)),
    imagesPerSecond: of(({ imagesPerSecond }) => imagesPerSecond),
    alignment: Object.fromEntries(layers.map((layer) => [layer, of((_, run) => lastAlignment(run)[layer])])),
    paper: paperAccuracy(plan, recipe.name),
    backends: runs.map(backendsOf),
  };
}

function protocolSummary(
  plan: RacePlan,
  recipe: PlannedRecipe,
  runs: readonly RecordedRun[],
): RecipeSummary['protocol'] {
  const { network, data } = recipe.protocol ?? {};
  const manifest = runs.find((run) => run.manifest?.spec !== undefined)?.manifest ?? null;
  const specs = manifest === null ? [] : [manifest.spec, ...(manifest.laterSpecs ?? [])];
  return {
    ...(network && { network }),
    ...(data && { data }),
    phases: phasesOf(plan, recipe).map(({ epochs, batch, loss = DEFAULT_LOSS, patience = null }, i) => {
      const spec = specs[i];
      const learns = spec === undefined ? null : Object.keys(spec).filter((selector) => spec[selector] !== null);
      return { epochs, batch, loss, patience, learns };
    }),
  };
}

function secondsTo(target: number, events: readonly RunEvent[]): number | null {
  for (const event of events) {
    if (event.type !== 'epoch') continue;
    const score = event.validation ?? event.test;
    if (score !== null && score.accuracy >= target) return event.trainMs / 1000;
  }
  return null;
}

function lastAlignment({ events }: RecordedRun): Readonly<Record<string, number>> {
  const last = events.filter((event) => event.type === 'alignment').at(-1);
  return Object.fromEntries(Object.entries(last?.layers ?? {}).map(([layer, { alignment }]) => [layer, alignment]));
}
