import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, it } from 'vitest';
import { imageSet, type SetOptions } from './image-set.js';
import { type UnlabelledSet, unlabelled } from './unlabelled.js';

beforeAll(() => tf.setBackend('cpu'));

const SHAPE = [2, 2, 1] as const;
const pixels = (count: number, first = 0) => Uint8Array.from({ length: count * 4 }, (_, i) => first + (i >> 2));
const source = { name: 'plain', shape: SHAPE, pixels: [pixels(6), pixels(3, 6)] };

async function read(set: Pick<UnlabelledSet, 'batches'>, options: object = {}, epochs = 1): Promise<number[][]> {
  const batches = set.batches({ batchSize: 4, ...options });
  const result: number[][] = [];
  for (let epoch = 0; epoch < epochs; epoch++) {
    const values: number[] = [];
    await batches.forEachAsync((batch) => {
      expect(Object.keys(batch)).toEqual(['xs']);
      values.push(...batch.xs.dataSync());
      tf.dispose(batch);
    });
    result.push(values);
  }
  return result;
}

it('contains every image once per epoch, without labels', async () => {
  const set = unlabelled(source, { scale: 'unit' });
  expect([set.size, set.name, set.shape]).toEqual([9, 'plain', SHAPE]);
  const [epoch, next] = await read(set, { seed: 1 }, 2);
  const numbers = (values: number[]) => values.filter((_, i) => i % 4 === 0).map((value) => Math.round(value * 255));
  expect([...numbers(epoch!)].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  expect(numbers(next!)).not.toEqual(numbers(epoch!));
  expect([...set.image(0)]).toEqual(Array(4).fill(set.image(0)[0]));
});

it('has the images, the order and the augmentation of a labelled set of one class', async () => {
  const options = { trainSize: 7, seed: 3, scale: 'unit' } as const;
  const set = unlabelled(source, options);
  const train = source.pixels.map((each) => ({ pixels: each, labels: new Uint8Array(each.length / 4) }));
  const labelled = imageSet(
    { name: 'plain', classes: ['any'], shape: SHAPE, train, test: [] },
    { ...options, validationSize: 0 },
  );
  expect(set.checksum).toBe(labelled.checksum);
  const expected: number[] = [];
  await labelled.train.batches({ batchSize: 4, augment: true, seed: 2, startEpoch: 5 }).forEachAsync(({ xs, ys }) => {
    expected.push(...xs.dataSync());
    tf.dispose([xs, ys]);
  });
  expect(await read(set, { augment: true, seed: 2, startEpoch: 5 })).toEqual([expected]);
});

it('rejects a part of an image, no image, and options that it does not have', () => {
  expect(() => unlabelled({ ...source, pixels: [new Uint8Array(5)] })).toThrow(
    expect.objectContaining({ code: 'DATA_CORRUPT' }),
  );
  expect(() => unlabelled({ ...source, pixels: [] })).toThrow(expect.objectContaining({ code: 'TRAIN_SIZE' }));
  expect(() => unlabelled(source, { sed: 1 } as SetOptions)).toThrow(
    expect.objectContaining({ code: 'UNKNOWN_OPTION' }),
  );
});
