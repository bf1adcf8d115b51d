/** The model of a run as its last checkpoint has it, for evaluations after training. */
import type { ImageSet } from '@ghl/datasets';
import { plasticOptimizer } from '@ghl/learner';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { buildRun } from './build.js';
import { decodeCheckpoint, restoreState } from './checkpoint.js';
import type { PlannedRun, RacePlan } from './plan.js';
import type { RunRecord } from './run-record.js';
import type { Phase } from './trainer.js';

/**
 * The model of a run with the weights and moving statistics of its last checkpoint; null without a checkpoint. The
 * caller disposes of it.
 *
 * @param data The images, which the caller has loaded with `recipe.protocol.data`.
 * @throws StateError `CORRUPT_CHECKPOINT`, `STATE_MISMATCH`; ConfigurationError as `buildRun`.
 */
export async function trainedModel(
  plan: RacePlan,
  run: PlannedRun,
  data: Pick<ImageSet, 'shape' | 'classes'>,
  record: RunRecord,
): Promise<LayersModel | null> {
  const written = await record.readCheckpoint();
  if (written === null) return null;
  const { position, state } = await decodeCheckpoint(written.bytes, written.place);
  const { model, phases } = buildRun(plan, run, data);
  const optimizer = plasticOptimizer(model, (phases[position.phase.index] as Phase).assignment);
  try {
    await restoreState(state, model, optimizer);
    return model;
  } catch (error) {
    model.dispose();
    throw error;
  } finally {
    optimizer.dispose();
  }
}
