/** Runs a race: each run in a separate process, several at a time. */
import { availableParallelism } from 'node:os';
import {
  type Failure,
  failureOf,
  type PlannedRun,
  type Progress,
  plannedRuns,
  type RacePlan,
  type RunResult,
} from '@ghl/race';
import pLimit from 'p-limit';
import { LOCK_LOST, UNDER_WAY } from '../files/folder-lock.js';
import type { RaceFolder } from '../files/race-folder.js';
import { askChild } from '../platform/child-process.js';
import type { Task } from './run-process.js';

/** Observes the progress of a race. */
export interface RaceWatcher {
  /** The run is already finished. */
  skips(run: PlannedRun): void;
  begins(run: PlannedRun): void;
  progress(run: PlannedRun, progress: Progress): void;
  ends(run: PlannedRun, failure: Failure | null): void;
}

/** The number of concurrent runs, and of threads of each: one run per core, or more threads if there are fewer runs. */
export function shareCores(runs: number, processes?: number): { readonly processes: number; readonly threads: number } {
  const cores = availableParallelism();
  const atOnce = Math.min(processes ?? cores, runs);
  return { processes: atOnce, threads: Math.max(1, Math.min(8, Math.floor(cores / atOnce))) };
}

/**
 * Runs the unfinished runs of a race. A run that fails does not stop the others.
 *
 * @returns The failures, by run.
 */
export async function runRace(
  folder: RaceFolder,
  plan: RacePlan,
  dataFolder: string | null,
  { processes, ...how }: { readonly processes: number } & Pick<Task, 'backend' | 'inexact' | 'cache'>,
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
      // If another process holds the lock of the run, that process writes its events.
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
    help: 'often memory ran out: try --processes 1 or a smaller --batch, then continue with --resume.',
  };
  return askChild({ script: 'processes/run-process', died }, task, onProgress);
}
