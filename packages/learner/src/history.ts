/**
 * The end of `fit`. tfjs waits there for the losses of all epochs, in `History.syncData`; it is the one place where
 * flags that lie on the device can be read before `fit` resolves.
 */
import type * as tfl from '@tensorflow/tfjs-layers';
import { trainerOf } from './model-layers.js';

/** The history of each training under way, with those who wait at its end. */
const waiting = new WeakMap<object, Set<object>>();

/** Has the training of this model that is under way, if one is, end by `check`, once for each `owner`. */
export function endTrainingBy(model: tfl.LayersModel, owner: object, check: () => Promise<void>): void {
  const { isTraining, history } = trainerOf(model);
  if (!isTraining) return;
  const owners = waiting.get(history) ?? new Set();
  if (owners.has(owner)) return;
  waiting.set(history, owners.add(owner));
  const sync = history.syncData;
  history.syncData = async () => {
    await sync.call(history);
    await check();
  };
}
