/**
 * The process of one run: every run has its own, so that runs share nothing, and so that its memory and its threads end
 * with it. Started by the race, which it tells how far it is; it ends when the race does.
 */
import { existsSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { type ActiveBackend, ConfigurationError, currentSpec, StateError } from '@ghl/core';
import { plasticOptimizer } from '@ghl/learner';
import { answerParent } from '../ask-child.js';
import { activateBackend } from '../backends.js';
import { environment } from '../environment.js';
import { lockFolder } from '../folder-lock.js';
import { json, toJson } from '../json.js';
import { type PlannedRun, type RacePlan, stepsPerEpoch } from '../race-plan.js';
import { RunFolder, type RunManifest, type RunResult } from '../run-store.js';
import { assignmentOf } from './recipe.js';
import { inexactly, type Progress, train } from './trainer.js';
import { buildNetwork, loadData } from './workload.js';

/** What a process is told. */
export interface Task {
  /** Folder of the race. */
  readonly race: string;
  readonly plan: RacePlan;
  readonly run: PlannedRun;
  readonly dataFolder: string | null;
  /** The backend that computes: the plan's, or with `inexact` another. */
  readonly backend: string;
  /** Whether to go on although the bits will not be those of an uninterrupted run. */
  readonly inexact: boolean;
}

/** Trains one run to its end. */
async function runTask(task: Task, onProgress: (progress: Progress) => void): Promise<RunResult> {
  const { plan, race, dataFolder, inexact } = task;
  const { recipe, seed } = task.run;
  const { name, checksum, trainSize, validationSize } = plan.dataset;
  const data = await loadData({ name, trainSize, validationSize, ...(dataFolder !== null && { folder: dataFolder }) });
  if (data.checksum !== checksum) throw otherThan('the images', `SHA-256 ${data.checksum}`, checksum);

  const folder = new RunFolder(race, recipe.name, seed);
  // The process of a race that was killed may still be in its last step.
  const { lost } = await lockFolder(folder.path, 60_000);
  const before = await folder.readManifest();
  const backend = await activateAgain(task, before);
  const model = buildNetwork(plan.network, data, seed);
  const optimizer = plasticOptimizer(model, assignmentOf(recipe, plan.network, plan.epochs * stepsPerEpoch(plan)));
  const manifest: RunManifest = {
    schemaVersion: 1,
    plan,
    recipe: recipe.name,
    spec: optimizer.spec as RunManifest['spec'],
    seed,
    parameters: model.countParams(),
    // Its name is the one that --backend takes, not the one that TensorFlow.js knows it by.
    backend: { ...backend, name: task.backend },
    environment: { ...environment() },
  };
  if (before === null) await folder.clear();
  else checkSame(folder.path, before, manifest, inexact);
  // Without a checkpoint it starts anew, perhaps on another backend than the one that did not get that far.
  if (!existsSync(folder.checkpointPath)) await folder.writeManifest(manifest);
  const { numerics } = backend;
  const { epochs, batch } = plan;
  const computes = { backend: task.backend, numerics, inexact };
  const result = train({ model, optimizer, data, seed, epochs, batch, folder, ...computes, onProgress });
  return Promise.race([result, lost]);
}

/** Turns the backend on as the run began with it, so that its bits stay the same; or another one. */
async function activateAgain(
  { backend, plan: { threads }, inexact }: Task,
  before: RunManifest | null,
): Promise<ActiveBackend> {
  const numerics = backend === before?.backend.name ? before.backend.numerics : undefined;
  try {
    return await activateBackend(backend, { threads, numerics });
  } catch (error) {
    // They do not run here, or no backend of today has them.
    if (!(error instanceof ConfigurationError) || numerics === undefined) throw error;
    if (!inexact) throw inexactly('what runs here', JSON.stringify(numerics));
    return activateBackend(backend, { threads });
  }
}

/** A run goes on only as what it was. */
function checkSame(path: string, before: RunManifest, now: RunManifest, inexact: boolean): void {
  const same = (what: string, a: unknown, b: unknown) => {
    if (!isDeepStrictEqual(a, b)) throw otherThan(`${what} of ${path}`, toJson(b), toJson(a));
  };
  same('the plan', before.plan, now.plan);
  same('the spec', currentSpec(before.spec), json.parse(JSON.parse(toJson(now.spec))));
  if (inexact) return;
  if (before.backend.name !== now.backend.name) throw inexactly(now.backend.name, before.backend.name);
  same('Node', before.environment.versions.node, now.environment.versions.node);
  same('TensorFlow.js', before.environment.versions.tfjs, now.environment.versions.tfjs);
}

function otherThan(what: string, now: string, before: string): StateError {
  return new StateError(
    'RESUME_MISMATCH',
    `${what}: now ${now}, when the race began ${before}.`,
    'go on with the same code, options and data as before, or begin a race in another folder.',
  );
}

await answerParent<Task, RunResult, Progress>(runTask);
