/** The folder of a race: its plan, its runs, its report. */
import { existsSync } from 'node:fs';
import { basename, join, relative, resolve } from 'node:path';
import { ConfigurationError, StateError } from '@ghl/core';
import { jsonRecord, type PlannedRun, parseJson, planSchema, type RacePlan } from '@ghl/race';
import { z } from 'zod';
import { replaceFile } from './atomic-file.js';
import { RunFolder, readIfExists } from './run-folder.js';

/** The folder of a race: its plan, its runs, its report. */
export class RaceFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = resolve(path);
  }

  /** Its path for a shell: relative, and in quotes if it has a space. */
  get shellPath(): string {
    const path = relative('', this.path) || '.';
    return /\s/.test(path) ? JSON.stringify(path) : path;
  }

  /** The file of the report. */
  get reportPath(): string {
    return join(this.path, 'report.html');
  }

  get #planPath(): string {
    return join(this.path, 'race.json');
  }

  /** The data folder on this machine. It is not in the plan, which can be shared. */
  get #localPath(): string {
    return join(this.path, 'local.json');
  }

  /** @throws StateError `RACE_EXISTS`, and the errors of `replaceFile`. */
  async begin(plan: RacePlan, dataFolder: string | null): Promise<void> {
    if (existsSync(this.#planPath)) {
      throw new StateError(
        'RACE_EXISTS',
        `${this.path} holds a race already.`,
        `resume it: --resume ${this.shellPath}; or give another folder with --out.`,
      );
    }
    await replaceFile(this.#localPath, jsonRecord({ dataFolder }));
    await replaceFile(this.#planPath, jsonRecord(plan));
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

/** Parses a JSON file; null if it does not exist. */
async function readJson<T>(path: string, schema: z.ZodType<T>): Promise<T | null> {
  const bytes = await readIfExists(path);
  return bytes && parseJson(path, new TextDecoder().decode(bytes), schema);
}
