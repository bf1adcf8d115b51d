/** A race: the runs of a plan, each in a process of its own, as many at a time as asked for. */
import { fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigurationError, StateError } from '@ghl/core';
import pLimit from 'p-limit';
import { z } from 'zod';
import { lastWords } from './ask-child.js';
import { replaceFile } from './durable.js';
import type { Failure } from './failure.js';
import { type PlannedRun, plannedRuns, planSchema, type RacePlan } from './race-plan.js';
import { RunFolder, readJson } from './run-store.js';
import type { Message, Task } from './training/process.js';
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
      throw new StateError('RACE_EXISTS', `${this.path} holds a race already.`, {
        help: `go on with it: --resume ${this.typed}; or give another folder with --out.`,
      });
    }
    await replaceFile(this.#localPath, `${JSON.stringify({ dataFolder }, null, 2)}\n`);
    await replaceFile(this.#planPath, `${JSON.stringify(plan, null, 2)}\n`);
  }

  /** @throws ConfigurationError `NO_RACE`; StateError `CORRUPT_RUN`. */
  async readPlan(): Promise<RacePlan> {
    const plan = await readJson(this.#planPath, planSchema);
    if (plan !== null) return plan;
    throw new ConfigurationError('NO_RACE', `${this.path} holds no race: there is no ${basename(this.#planPath)}.`, {
      help: 'give the folder that `bench run` named when it began.',
    });
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
    if ((await folder.run(run).readResult()) !== null) return watcher.skips(run);
    watcher.begins(run);
    const failure = await inProcess({ race: folder.path, plan, run, dataFolder, ...how }, (progress) =>
      watcher.progress(run, progress),
    );
    if (failure !== null) failures.push({ run, failure });
    watcher.ends(run, failure);
  });
  return failures;
}

const script = join(dirname(fileURLToPath(import.meta.url)), 'training', 'process.js');

function inProcess(task: Task, onProgress: (progress: Progress) => void): Promise<Failure | null> {
  return new Promise((settle) => {
    const child = fork(script, [JSON.stringify(task)], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], execArgv: [] });
    let outcome: Failure | null | undefined;
    const said = lastWords(child);
    child.on('message', (message: Message) => {
      if (message.type === 'progress') onProgress(message.progress);
      else outcome = message.type === 'failed' ? message.failure : null;
    });
    child.on('close', (status, signal) => {
      settle(
        outcome !== undefined
          ? outcome
          : {
              code: 'RUN_DIED',
              message:
                `The process of ${task.run.recipe.name}, seed ${task.run.seed}, ended with ${signal ?? `status ${status}`}. ${said()}`.trim(),
              help: 'often memory ran out: try --processes 1 or a smaller --batch, then go on with --resume.',
              usage: false,
            },
      );
    });
  });
}
