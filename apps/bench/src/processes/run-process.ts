/**
 * The process of one run. Each run has a separate process, so that runs share nothing, and its memory and threads end
 * with it. The race starts it and receives its progress; it ends when the race does.
 */
import { isDeepStrictEqual } from 'node:util';
import { type ActiveBackend, ConfigurationError, currentSpec, StateError } from '@ghl/core';
import {
  buildRun,
  type CacheLimits,
  json,
  type PlannedRun,
  type Progress,
  type RacePlan,
  type RunManifest,
  type RunResult,
  resumeInexact,
  toJson,
  train,
} from '@ghl/race';
import { loadData } from '../files/data.js';
import { lockFolder } from '../files/folder-lock.js';
import { RunFolder } from '../files/run-folder.js';
import { activateBackend } from '../platform/backends.js';
import { serve } from '../platform/child-process.js';
import { clock } from '../platform/clock.js';
import { environment } from '../platform/environment.js';

/** The request to a process. */
export interface Task {
  /** Folder of the race. */
  readonly race: string;
  readonly plan: RacePlan;
  readonly run: PlannedRun;
  readonly dataFolder: string | null;
  /** The backend that computes: the plan's, or with `inexact` another. */
  readonly backend: string;
  /** Whether to resume even if the numbers will differ by rounding from those of an uninterrupted run. */
  readonly inexact: boolean;
  /** The most bytes of activations that the run keeps. */
  readonly cache: CacheLimits;
}

/** Trains one run to its end. */
async function runTask(task: Task, onProgress: (progress: Progress) => void): Promise<RunResult> {
  const { plan, race, dataFolder, inexact, cache } = task;
  const { recipe, seed } = task.run;
  const { name, checksum, trainSize, validationSize } = plan.dataset;
  const data = await loadData({
    name,
    trainSize,
    validationSize,
    ...(recipe.protocol?.data && { options: recipe.protocol.data }),
    ...(dataFolder !== null && { folder: dataFolder }),
  });
  if (data.checksum !== checksum) throw otherThan('the images', `SHA-256 ${data.checksum}`, checksum);

  const folder = new RunFolder(race, recipe.name, seed);
  // The process of a race that was killed may still be in its last step.
  const { lost } = await lockFolder(folder.path, 60_000);
  const before = await folder.readManifest();
  const backend = await activateAgain(task, before);
  const { model, phases, specs } = buildRun(plan, task.run, data);
  const [spec, ...laterSpecs] = specs as [RunManifest['spec'], ...RunManifest['spec'][]];
  const manifest: RunManifest = {
    schemaVersion: 1,
    plan,
    recipe: recipe.name,
    spec,
    ...(laterSpecs.length > 0 && { laterSpecs }),
    seed,
    parameters: model.countParams(),
    // The name for --backend, which can differ from the one that TensorFlow.js uses.
    backend: { ...backend, name: task.backend },
    environment: { ...environment() },
  };
  if (before === null) await folder.clear();
  else checkSame(folder.path, before, manifest, inexact);
  // Without a checkpoint the run starts again, perhaps on another backend.
  if ((await folder.readCheckpoint()) === null) await folder.writeManifest(manifest);
  const { numerics } = backend;
  const computes = { backend: task.backend, numerics, inexact };
  const result = train({ model, phases, data, seed, record: folder, clock, cache, ...computes, onProgress });
  return Promise.race([result, lost]);
}

/** Activates the backend with the numerics of the run, so that its numbers stay the same, or another backend. */
async function activateAgain(
  { backend, plan: { threads }, inexact }: Task,
  before: RunManifest | null,
): Promise<ActiveBackend> {
  const numerics = backend === before?.backend.name ? before.backend.numerics : undefined;
  try {
    return await activateBackend(backend, { threads, numerics });
  } catch (error) {
    // These numerics do not run on this machine, or the backend no longer has them.
    if (!(error instanceof ConfigurationError) || numerics === undefined) throw error;
    if (!inexact) throw resumeInexact('other kernels', JSON.stringify(numerics));
    return activateBackend(backend, { threads });
  }
}

/** Throws unless the run is the same as before. */
function checkSame(path: string, before: RunManifest, now: RunManifest, inexact: boolean): void {
  const same = (what: string, a: unknown, b: unknown) => {
    if (!isDeepStrictEqual(a, b)) throw otherThan(`${what} of ${path}`, toJson(b), toJson(a));
  };
  same('the plan', before.plan, now.plan);
  const specs = ({ spec, laterSpecs = [] }: RunManifest) => [spec, ...laterSpecs];
  same('the spec', specs(before).map(currentSpec), json.parse(JSON.parse(toJson(specs(now)))));
  if (inexact) return;
  if (before.backend.name !== now.backend.name) throw resumeInexact(now.backend.name, before.backend.name);
  same('Node', before.environment.versions.node, now.environment.versions.node);
  same('TensorFlow.js', before.environment.versions.tfjs, now.environment.versions.tfjs);
}

function otherThan(what: string, now: string, before: string): StateError {
  return new StateError(
    'RESUME_MISMATCH',
    `${what}: now ${now}, when the race began ${before}.`,
    'resume with the same code, options and data as before, or begin a race in another folder.',
  );
}

await serve<Task, RunResult, Progress>(runTask);
