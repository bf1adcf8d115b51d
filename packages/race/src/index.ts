/** Plan, trainer, events, checkpoint and summary of a run. The caller supplies a storage and a clock. */
import './codes.js';

export {
  type ActivationCache,
  type CacheLimits,
  type CacheRequest,
  cacheActivations,
  defaultCacheLimits,
} from './activation-cache.js';
export { type BuiltRun, buildNetwork, buildRun } from './build.js';
export {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  firstPosition,
  type Position,
  positionSchema,
  restoreState,
  weightsChecksum,
} from './checkpoint.js';
export type { Clock } from './clock.js';
export { evaluate, lossAndCorrect } from './evaluation.js';
export { eventSchema, type RunEvent, type Score } from './events.js';
export type { AppliedModel, BatchSource, ExampleBatch, ExampleSet, Examples } from './examples.js';
export { type Failure, failureOf } from './failure.js';
export { json, number, toJson } from './json.js';
export { manifestSchema, type RunManifest } from './manifest.js';
export { networkNames, networkOf } from './network.js';
export {
  type PlannedPhase,
  type PlannedProtocol,
  type PlannedRecipe,
  type PlannedRun,
  phasesOf,
  phasesText,
  plannedRuns,
  planSchema,
  type RacePlan,
  stepsOf,
} from './plan.js';
export { assignmentOf, checkRecipe, modulatorNames, planRecipe, recipeNames, recipeOf, ruleNames } from './recipe.js';
export { type RunResult, resultSchema } from './result.js';
export { type ActivationSource, EventLog, jsonRecord, parseJson, type ReadableLog, RunRecord } from './run-record.js';
export { type Statistic, statistic } from './statistic.js';
export { type StepScore, trainingStep } from './step.js';
export { type AppendLog, MemoryStorage, type RunStorage } from './storage.js';
export {
  backendsOf,
  backendsText,
  type PhaseSummary,
  type RaceSummary,
  type RecipeSummary,
  type RecordedRun,
  readRuns,
  summarise,
} from './summary.js';
export { trainedModel } from './trained-model.js';
export { type Phase, type Progress, type Run, resumeInexact, train } from './trainer.js';
