/** A race: the runs of a plan, each in a process of its own, as many at a time as asked for. */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join, relative, resolve } from 'node:path';
import { ConfigurationError, StateError } from '@ghl/core';
import pLimit from 'p-limit';
import { z } from 'zod';
import { askChild } from './ask-child.js';
import { replaceFile } from './durable.js';
import { type Failure, failureOf } from './failure.js';
import { LOCK_LOST, UNDER_WAY } from './folder-lock.js';
import { type PlannedRun, plannedRuns, planSchema, type RacePlan } from './race-plan.js';
import { asFile, RunFolder, type RunResult, readJson } from './run-store.js';
import type { Task } from './training/process.js';
import type { Progress } from './training/trainer.js';

/** Told how a race is going. */
export interface RaceWatcher {
  /** The run is finished already. */
  skips(run: PlannedRun): void;
  begins(run: PlannedRun): void;
  progress(run: PlannedRun, progress: Progress): void;
  ends(run: PlannedRun, failure: Failure | null): void;
}

/** The folder of a race: its plan, its runs, its report. */
export class RaceFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = resolve(path);
  }

  /** Its path as one types it here: relative, and in quotes where it has a space. */
  get typed(): string {
    const path = relative('', this.path) || '.';
    return /\s/.test(path) ? JSON.stringify(path) : path;
  }

  /** Where the report is written. */
  get reportPath(): string {
    return join(this.path, 'report.html');
  }

  get #planPath(): string {
    return join(this.path, 'race.json');
  }

  /** Where the data lies on this machine. Apart from the plan, which may be shown around. */
  get #localPath(): string {
    return join(this.path, 'local.json');
  }

  /** @throws StateError `RACE_EXISTS`, or as `replaceFile` does. */
  async begin(plan: RacePlan, dataFolder: string | null): Promise<void> {
    if (existsSync(this.#planPath)) {
      throw new StateError(
        'RACE_EXISTS',
        `${this.path} holds a race already.`,
        `go on with it: --resume ${this.typed}; or give another folder with --out.`,
      );
    }
    await replaceFile(this.#localPath, asFile({ dataFolder }));
    await replaceFile(this.#planPath, asFile(plan));
  }

  /** @throws ConfigurationError `NO_RACE`; StateError `CORRUPT_RUN`. */
  async readPlan(): Promise<RacePlan> {
    const plan = await readJson(this.#planPath, planSchema);
    if (plan !== null) return plan;
    throw new ConfigurationError(
      'NO_RACE',
      `${this.path} holds no race: there is no ${basename(this.#planPath)}.`,
      'give the folder that `bench run` named when it began.',
    );
  }

  async readDataFolder(): Promise<string | null> {
    const local = await readJson(this.#localPath, z.object({ dataFolder: z.string().nullable() }));
    return local?.dataFolder ?? null;
  }

  /** The folder of one of its runs. */
  run({ recipe, seed }: PlannedRun): RunFolder {
    return new RunFolder(this.path, recipe.name, seed);
  }
}

/** How many runs go at the same time, and with how many threads each: one a core, unless there are fewer runs. */
export function shareCores(runs: number, processes?: number): { readonly processes: number; readonly threads: number } {
  const cores = availableParallelism();
  const atOnce = Math.min(processes ?? cores, runs);
  return { processes: atOnce, threads: Math.max(1, Math.min(8, Math.floor(cores / atOnce))) };
}

/**
 * Runs what is left of a race. A run that fails leaves the others alone.
 *
 * @returns The failures of this time, by run.
 */
export async function runRace(
  folder: RaceFolder,
  plan: RacePlan,
  dataFolder: string | null,
  { processes, ...how }: { readonly processes: number } & Pick<Task, 'backend' | 'inexact'>,
  watcher: RaceWatcher,
): Promise<{ readonly run: PlannedRun; readonly failure: Failure }[]> {
  const failures: { run: PlannedRun; failure: Failure }[] = [];
  const limit = pLimit(processes);
  await limit.map(plannedRuns(plan), async (run) => {
    const files = folder.run(run);
    let failure: Failure | null = null;
    try {
      if ((await files.readResult()) !== null) return watcher.skips(run);
      watcher.begins(run);
      await inProcess({ race: folder.path, plan, run, dataFolder, ...how }, (progress) =>
        watcher.progress(run, progress),
      );
    } catch (error) {
      failure = failureOf(error);
      failures.push({ run, failure });
      // Where another process holds the run, that one writes its events.
      if (failure.code !== UNDER_WAY && failure.code !== LOCK_LOST) await files.recordFailure(failure).catch(() => {});
    }
    watcher.ends(run, failure);
  });
  return failures;
}

function inProcess(task: Task, onProgress: (progress: Progress) => void): Promise<RunResult> {
  const { recipe, seed } = task.run;
  const died = {
    code: 'RUN_DIED' as const,
    what: `The process of ${recipe.name}, seed ${seed},`,
    help: 'often memory ran out: try --processes 1 or a smaller --batch, then go on with --resume.',
  };
  return askChild({ script: 'training/process', died }, task, onProgress);
}
