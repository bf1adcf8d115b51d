/**
 * A check at the end of `fit`. There, in `History.syncData`, tfjs waits for the losses of all epochs. It is the only
 * place where flags on the device can be read before `fit` resolves.
 */
import type * as tfl from '@tensorflow/tfjs-layers';
import { trainerOf } from './internals.js';

/** The owners of the checks at the end of each training. */
const checks = new WeakMap<object, Set<object>>();

/** Calls `check` at the end of the model's current training, if there is one; once for each `owner`. */
export function checkAtEndOfTraining(model: tfl.LayersModel, owner: object, check: () => Promise<void>): void {
  const { isTraining, history } = trainerOf(model);
  if (!isTraining) return;
  const owners = checks.get(history) ?? new Set();
  if (owners.has(owner)) return;
  checks.set(history, owners.add(owner));
  const sync = history.syncData;
  history.syncData = async () => {
    await sync.call(history);
    await check();
  };
}
