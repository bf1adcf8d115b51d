import { chain, gradientDescent, local, maxAbs, scaleBy } from '@ghl/core';
import { type PlasticOptimizer, plasticOptimizer } from '@ghl/learner';
import { bcm } from '@ghl/rule-bcm';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  decodeCheckpoint,
  encodeCheckpoint,
  firstPosition,
  type Position,
  restoreState,
  weightsChecksum,
} from './checkpoint.js';

const owned: { dispose(): unknown }[] = [];

beforeEach(async () => {
  await tf.setBackend('cpu');
});

afterEach(() => {
  for (const each of owned.splice(0)) each.dispose();
});

async function load(bytes: Uint8Array, model: LayersModel, optimizer: PlasticOptimizer): Promise<Position> {
  const { position, state } = await decodeCheckpoint(bytes, 'checkpoint.bin');
  await restoreState(state, model, optimizer);
  return position;
}

/** A layer whose rule keeps thresholds, so that there is state to lose. */
function trainee(units = 3): { model: LayersModel; optimizer: PlasticOptimizer; step(): void } {
  const model = sequential({ layers: [layers.dense({ name: 'dense', units, inputShape: [2] })] });
  const optimizer = plasticOptimizer(model, {
    'dense/kernel': chain(local(maxAbs(bcm())), scaleBy(0.1)),
    '*': chain(gradientDescent(), scaleBy(0.1)),
  });
  owned.push(optimizer, model);
  const step = () => {
    tf.tidy(() => {
      const x = tf.tensor2d([[1, -2]]);
      optimizer.minimize(() => tf.mean(tf.square(model.apply(x) as tf.Tensor)) as tf.Scalar);
    });
  };
  return { model, optimizer, step };
}

const position = (step: number): Position => ({
  ...firstPosition(7, { variant: 'plain', winograd: true }),
  step,
  epoch: 2,
  batch: 5,
  eventsLength: 99,
});

describe('a checkpoint', () => {
  it('restores model, optimizer and position', async () => {
    const straight = trainee();
    straight.step();
    const bytes = await encodeCheckpoint(position(1), straight.model, straight.optimizer);
    straight.step();
    const resumed = trainee();
    expect(await load(Buffer.from(bytes), resumed.model, resumed.optimizer)).toEqual(position(1));
    expect(resumed.optimizer.step).toBe(1);
    resumed.step();
    expect(await weightsChecksum(resumed.model)).toBe(await weightsChecksum(straight.model));
  });

  it('restores a step scale and the state of a tfjs optimizer in a new run', async () => {
    const straight = trainee();
    const resumed = trainee();
    const run = ({ model }: typeof straight) => {
      const adam = tf.train.adam(0.1);
      const optimizer = plasticOptimizer(model, { '*': adam });
      owned.push(optimizer, adam);
      const step = () => {
        tf.tidy(() => {
          const x = tf.tensor2d([[1, -2]]);
          optimizer.minimize(() => tf.mean(tf.square(model.apply(x) as tf.Tensor)) as tf.Scalar);
        });
      };
      return { optimizer, step };
    };
    const [before, after] = [run(straight), run(resumed)];
    before.optimizer.stepScale = 0.1;
    before.step();
    const bytes = await encodeCheckpoint(position(1), straight.model, before.optimizer);
    before.step();
    await load(bytes, resumed.model, after.optimizer);
    expect(after.optimizer.stepScale).toBe(0.1);
    after.step();
    expect(await weightsChecksum(resumed.model)).toBe(await weightsChecksum(straight.model));
  });

  it('without a step scale is read with scale 1', async () => {
    const straight = trainee();
    straight.step();
    const without = async () => (await straight.optimizer.getWeights()).filter(({ name }) => name !== 'stepScale');
    const bytes = await encodeCheckpoint(position(1), straight.model, { getWeights: without } as PlasticOptimizer);
    straight.step();
    const resumed = trainee();
    resumed.optimizer.stepScale = 0.5;
    await load(bytes, resumed.model, resumed.optimizer);
    expect(resumed.optimizer.stepScale).toBe(1);
    resumed.step();
    expect(await weightsChecksum(resumed.model)).toBe(await weightsChecksum(straight.model));
  });

  it.each([
    ['cut short', (bytes: Uint8Array) => bytes.subarray(0, bytes.length - 1)],
    ['with a bit flipped', (bytes: Uint8Array) => bytes.map((byte, i) => (i === bytes.length - 3 ? byte ^ 1 : byte))],
    ['of another kind', () => new TextEncoder().encode('{"step": 3}')],
    ['empty', () => new Uint8Array()],
  ])('is rejected if it is %s', async (_, damage) => {
    const { model, optimizer } = trainee();
    const bytes = await encodeCheckpoint(position(1), model, optimizer);
    await expect(load(damage(bytes), model, optimizer)).rejects.toMatchObject({ code: 'CORRUPT_CHECKPOINT' });
  });

  it('of a different model is rejected', async () => {
    const { model, optimizer } = trainee();
    const bytes = await encodeCheckpoint(position(1), model, optimizer);
    const other = trainee(4);
    await expect(load(bytes, other.model, other.optimizer)).rejects.toMatchObject({ code: 'STATE_MISMATCH' });
  });

  it('of an earlier version of the bench is read', async () => {
    const { model, optimizer } = trainee();
    const bytes = Uint8Array.from(atob(RECORDED), (character) => character.charCodeAt(0));
    expect(await load(bytes, model, optimizer)).toEqual({ ...position(1), trainMs: Number.NaN });
    expect(optimizer.step).toBe(0);
    expect(await weightsChecksum(model)).toBe('ab9c5f1bce35b274a63270b32bf471bb21a5a4932470107379bbb43a2240b428');
    expect([...(model.weights[1]?.read().dataSync() ?? [])]).toEqual([7, 8, 9]);
  });
});

/** A checkpoint that version 0.1.0 of the bench wrote before this package existed. */
const RECORDED =
  'R0hMQ0tQVDFSAQAAeyJzdGF0ZSI6Ijc1OTM2NjQ1ZmY0NTljMjA4YmQzZGVhZGZiNjNmNGZmMTFhYzcwZGUzMmQzYmRiNzQxYTVjMzMyMGE4NDIxZWUiLCJwb3NpdGlvbiI6eyJzdGVwIjoxLCJlcG9jaCI6MiwiYmF0Y2giOjUsInNodWZmbGVTZWVkIjo3LCJudW1lcmljcyI6eyJ2YXJpYW50IjoicGxhaW4iLCJ3aW5vZ3JhZCI6dHJ1ZX0sInN1bXMiOnsiaW1hZ2VzIjowLCJsb3NzIjowLCJjb3JyZWN0IjowfSwid2luZG93Ijp7ImltYWdlcyI6MCwibG9zcyI6MCwiY29ycmVjdCI6MH0sInRyYWluTXMiOiJOYU4iLCJldmFsTXMiOjAsImxvZ01zIjowLCJ0cmFpbmVkSW1hZ2VzIjowLCJldmVudHNMZW5ndGgiOjk5fX1OAQAAeyJieXRlcyI6NjAsImxlYXZlcyI6W3sibmFtZSI6Im1vZGVsLzAgZGVuc2Uva2VybmVsIiwic2hhcGUiOlsyLDNdLCJkdHlwZSI6ImZsb2F0MzIifSx7Im5hbWUiOiJtb2RlbC8xIGRlbnNlL2JpYXMiLCJzaGFwZSI6WzNdLCJkdHlwZSI6ImZsb2F0MzIifSx7Im5hbWUiOiJvcHRpbWl6ZXIvc3RlcCIsInNoYXBlIjpbXSwiZHR5cGUiOiJpbnQzMiJ9LHsibmFtZSI6Im9wdGltaXplci9zdGVwU2NhbGUiLCJzaGFwZSI6WzJdLCJkdHlwZSI6ImludDMyIn0seyJuYW1lIjoib3B0aW1pemVyL2RlbnNlL2tlcm5lbC9ydWxlL3RoZXRhIiwic2hhcGUiOlszXSwiZHR5cGUiOiJmbG9hdDMyIn1dfQAAgD8AAABAAABAQAAAgEAAAKBAAADAQAAA4EAAAABBAAAQQQAAAAAAAAAAAADwPwAAgD8AAIA/AACAPw==';
