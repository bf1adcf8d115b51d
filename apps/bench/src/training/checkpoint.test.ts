import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chain, gradientDescent, local, maxAbs, scaleBy } from '@ghl/core';
import { type PlasticOptimizer, plasticOptimizer } from '@ghl/learner';
import { bcm } from '@ghl/rule-bcm';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { type LayersModel, layers, sequential } from '@tensorflow/tfjs-layers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Position, readCheckpoint, start, weightsChecksum, writeCheckpoint } from './checkpoint.js';

let folder: string;
let path: string;
const owned: { dispose(): unknown }[] = [];

beforeEach(async () => {
  await tf.setBackend('cpu');
  folder = await mkdtemp(join(tmpdir(), 'bench-'));
  path = join(folder, 'checkpoint.bin');
});

afterEach(async () => {
  for (const each of owned.splice(0)) each.dispose();
  await rm(folder, { recursive: true, force: true });
});

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
  ...start(7, { variant: 'plain', winograd: true }),
  step,
  epoch: 2,
  batch: 5,
  eventsLength: 99,
});

describe('a checkpoint', () => {
  it('goes on as if nothing had been', async () => {
    const straight = trainee();
    straight.step();
    await writeCheckpoint(path, position(1), straight.model, straight.optimizer);
    straight.step();
    const resumed = trainee();
    expect(await readCheckpoint(path, resumed.model, resumed.optimizer)).toEqual(position(1));
    expect(resumed.optimizer.step).toBe(1);
    resumed.step();
    expect(await weightsChecksum(resumed.model)).toBe(await weightsChecksum(straight.model));
  });

  it('restores a step scale, and what a tfjs optimizer remembers, in a run that has just begun', async () => {
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
    await writeCheckpoint(path, position(1), straight.model, before.optimizer);
    before.step();
    await readCheckpoint(path, resumed.model, after.optimizer);
    expect(after.optimizer.stepScale).toBe(0.1);
    after.step();
    expect(await weightsChecksum(resumed.model)).toBe(await weightsChecksum(straight.model));
  });

  it('from before there was a step scale is read as one at scale 1', async () => {
    const straight = trainee();
    straight.step();
    const without = async () => (await straight.optimizer.getWeights()).filter(({ name }) => name !== 'stepScale');
    await writeCheckpoint(path, position(1), straight.model, { getWeights: without } as PlasticOptimizer);
    straight.step();
    const resumed = trainee();
    resumed.optimizer.stepScale = 0.5;
    await readCheckpoint(path, resumed.model, resumed.optimizer);
    expect(resumed.optimizer.stepScale).toBe(1);
    resumed.step();
    expect(await weightsChecksum(resumed.model)).toBe(await weightsChecksum(straight.model));
  });

  it('is null where there is none', async () => {
    const { model, optimizer } = trainee();
    expect(await readCheckpoint(path, model, optimizer)).toBeNull();
  });

  it.each([
    ['cut short', (bytes: Buffer) => bytes.subarray(0, bytes.length - 1)],
    [
      'with a bit flipped',
      (bytes: Buffer) => Buffer.from(bytes.map((byte, i) => (i === bytes.length - 3 ? byte ^ 1 : byte))),
    ],
    ['of another kind', () => Buffer.from('{"step": 3}')],
    ['empty', () => Buffer.alloc(0)],
  ])('%s is refused', async (_, damage) => {
    const { model, optimizer } = trainee();
    await writeCheckpoint(path, position(1), model, optimizer);
    await writeFile(path, damage(await readFile(path)));
    await expect(readCheckpoint(path, model, optimizer)).rejects.toMatchObject({ code: 'CORRUPT_CHECKPOINT' });
  });

  it('of another model is refused', async () => {
    const { model, optimizer } = trainee();
    await writeCheckpoint(path, position(1), model, optimizer);
    const other = trainee(4);
    await expect(readCheckpoint(path, other.model, other.optimizer)).rejects.toMatchObject({ code: 'STATE_MISMATCH' });
  });

  it.runIf(existsSync('/dev/full'))('that a full disk refuses leaves the former one', async () => {
    const { model, optimizer, step } = trainee();
    await writeCheckpoint(path, position(1), model, optimizer);
    const before = await readFile(path);
    step();
    await symlink('/dev/full', `${path}.draft`);
    await expect(writeCheckpoint(path, position(2), model, optimizer)).rejects.toMatchObject({
      code: 'DISK_FULL',
      help: expect.stringContaining('--resume'),
    });
    expect(await readFile(path)).toEqual(before);
    expect(await readdir(folder)).toEqual(['checkpoint.bin']);
    await writeCheckpoint(path, position(2), model, optimizer);
    expect(await readCheckpoint(path, model, optimizer)).toEqual(position(2));
  });
});
