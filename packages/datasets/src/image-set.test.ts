import { createHash } from 'node:crypto';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { layers, sequential } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { type BatchOptions, type ImageSource, imageSet, type SetOptions, type Split } from './image-set.js';
import type { Records } from './records.js';

beforeAll(() => tf.setBackend('cpu'));

/** `count` images of 6 × 5 × 3 whose first byte is their number, so that each can be told from the others. */
function records(count: number, first = 0): Records {
  const pixels = new Uint8Array(count * 90);
  for (let i = 0; i < count; i++) {
    for (let at = 0; at < 90; at++) pixels[i * 90 + at] = at === 0 ? first + i : 1 + ((i * 31 + at * 7) % 255);
  }
  return { pixels, labels: Uint8Array.from({ length: count }, (_, i) => (first + i) % 3) };
}

const source = {
  name: 'numbered',
  classes: ['a', 'b', 'c'],
  shape: [6, 5, 3],
  train: [records(20), records(10, 20)],
  test: [records(4, 200)],
} satisfies ImageSource;

const numbers = (split: Split): number[] => Array.from({ length: split.size }, (_, i) => split.image(i)[0]!);

interface Seen {
  xs: Float32Array;
  ys: Float32Array;
  shape: number[];
}

/** Reads `epochs` epochs of one dataset. */
async function read(split: Split, options: BatchOptions, epochs = 1): Promise<Seen[][]> {
  const dataset = split.batches(options);
  const seen: Seen[][] = [];
  for (let epoch = 0; epoch < epochs; epoch++) {
    const batches: Seen[] = [];
    await dataset.forEachAsync(({ xs, ys }) => {
      batches.push({ xs: xs.dataSync() as Float32Array, ys: ys.dataSync() as Float32Array, shape: xs.shape });
      tf.dispose([xs, ys]);
    });
    seen.push(batches);
  }
  return seen;
}

/** The number of each image of a batch that is not augmented. */
const numbersIn = (batches: readonly Seen[]): number[] =>
  batches.flatMap(({ xs }) =>
    Array.from({ length: xs.length / 90 }, (_, i) => Math.round((xs[i * 90]! * 0.5 + 0.5) * 255)),
  );

const sorted = (values: readonly number[]) => [...values].sort((a, b) => a - b);
const range = (count: number) => Array.from({ length: count }, (_, i) => i);

describe('the split', () => {
  it('uses every training image once, and holds out a tenth by default', () => {
    const set = imageSet(source);
    expect([set.train.size, set.validation.size, set.test.size]).toEqual([27, 3, 4]);
    expect(sorted([...numbers(set.train), ...numbers(set.validation)])).toEqual(range(30));
  });

  it('holds out the same images for any number of training images, and no test images', () => {
    const [few, many] = [8, 20].map((trainSize) => imageSet(source, { trainSize, validationSize: 7, seed: 3 }));
    expect(numbers(few!.validation)).toEqual(numbers(many!.validation));
    expect(numbers(few!.train)).toEqual(numbers(many!.train).slice(0, 8));
    expect(numbers(many!.test)).toEqual([200, 201, 202, 203]);
  });

  it('follows the seed', () => {
    const [a, again, b] = [1, 1, 2].map((seed) => numbers(imageSet(source, { seed }).train));
    expect(a).toEqual(again);
    expect(a).not.toEqual(b);
  });

  it('keeps each image and its label together', () => {
    const { train } = imageSet(source);
    for (let i = 0; i < train.size; i++) {
      const number = train.image(i)[0]!;
      expect(train.label(i)).toBe(number % 3);
      const file = source.train[number < 20 ? 0 : 1]!;
      const at = (number % 20) * 90;
      expect([...train.image(i)]).toEqual([...file.pixels.subarray(at, at + 90)]);
    }
  });

  it('has the SHA-256 of the images in use as its checksum', () => {
    const set = imageSet(source, { trainSize: 5, validationSize: 2 });
    const hash = createHash('sha256');
    for (const split of [set.train, set.validation, set.test]) {
      hash.update(Uint8Array.from({ length: split.size }, (_, i) => split.label(i)));
      for (let i = 0; i < split.size; i++) hash.update(split.image(i));
    }
    expect(set.checksum).toBe(hash.digest('hex'));
    expect(imageSet(source, { trainSize: 6, validationSize: 2 }).checksum).not.toBe(set.checksum);
  });

  it.each([
    [{ trainSize: 28 }, 'DataError', 'TRAIN_SIZE', /28; numbered has 30 .* 3 are held out/],
    [{ validationSize: 30 }, 'DataError', 'VALIDATION_SIZE', /30 leaves none of 30/],
    [{ validationSize: -1 }, 'ConfigurationError', 'BAD_VALUE', /validationSize is -1/],
    [{ trainSize: 2.5 }, 'ConfigurationError', 'BAD_VALUE', /trainSize is 2.5/],
    [{ trainSize: 0 }, 'ConfigurationError', 'BAD_VALUE', /trainSize is 0/],
    [{ seed: Number.NaN }, 'ConfigurationError', 'BAD_VALUE', /seed is NaN/],
    [{ trainsize: 5 }, 'ConfigurationError', 'UNKNOWN_OPTION', /did you mean 'trainSize'/],
    [{ normalise: { mean: [0, 0], std: 1 } }, 'ConfigurationError', 'BAD_VALUE', /normalise.mean is \[0,0\]/],
    [{ normalise: { mean: 0, std: [1, 1, 0] } }, 'ConfigurationError', 'BAD_VALUE', /normalise.std is \[1,1,0\]/],
    [{ scale: 'byte' }, 'ConfigurationError', 'BAD_VALUE', /scale is "byte"/],
    [{ scale: 'unit', normalise: { mean: 0, std: 1 } }, 'ConfigurationError', 'BAD_VALUE', /'unit', and normalise/],
  ])('rejects %j', (options, name, code, message) => {
    expect(() => imageSet(source, options as SetOptions)).toThrow(expect.objectContaining({ name, code }));
    expect(() => imageSet(source, options as SetOptions)).toThrow(message);
  });

  it('rejects labels and pixels of different numbers of images', () => {
    const one = records(1);
    for (const [train, message] of [
      [{ ...one, labels: Uint8Array.of(3) }, /label 3/],
      [{ ...one, pixels: one.pixels.subarray(1) }, /1 labels and 89 pixels/],
    ] as const) {
      const make = () => imageSet({ ...source, train: [train] });
      expect(make).toThrow(expect.objectContaining({ code: 'DATA_CORRUPT' }));
      expect(make).toThrow(message);
    }
  });
});

describe('batches', () => {
  it('contain every image once per epoch, with its label, in an order of (seed, epoch)', async () => {
    const { train } = imageSet(source);
    const epochs = await read(train, { batchSize: 4, seed: 1 }, 3);
    const orders = epochs.map(numbersIn);
    for (const order of orders) expect(sorted(order)).toEqual(sorted(numbers(train)));
    expect(new Set([numbers(train), ...orders].map(String)).size).toBe(4);
    for (const batch of epochs[0]!) {
      for (const [i, number] of numbersIn([batch]).entries()) {
        expect([...batch.ys.subarray(i * 3, i * 3 + 3)]).toEqual([0, 1, 2].map((label) => +(number % 3 === label)));
      }
    }
    expect((await read(train, { batchSize: 9, seed: 1 }, 3)).map(numbersIn)).toEqual(orders);
    expect(numbersIn((await read(train, { batchSize: 4, seed: 2 }))[0]!)).not.toEqual(orders[0]);
  });

  it('keep the order of the split when not shuffled', async () => {
    const { train } = imageSet(source);
    for (const epoch of await read(train, { batchSize: 4, shuffle: false }, 2)) {
      expect(numbersIn(epoch)).toEqual(numbers(train));
    }
  });

  it('end with a smaller one, or drop it', async () => {
    const { train } = imageSet(source);
    const sizes = async (options: BatchOptions) => (await read(train, options))[0]!.map(({ shape }) => shape);
    // biome-ignore format: one line
    expect(await sizes({ batchSize: 10 })).toEqual([[10, 6, 5, 3], [10, 6, 5, 3], [7, 6, 5, 3]]);
    // biome-ignore format: one line
    expect(await sizes({ batchSize: 10, dropRemainder: true })).toEqual([[10, 6, 5, 3], [10, 6, 5, 3]]);
    expect(await sizes({ batchSize: 28, dropRemainder: true })).toEqual([]);
  });

  it('resume bit for bit from any epoch and batch', async () => {
    const { train } = imageSet(source);
    const options = { batchSize: 6, seed: 5, augment: true };
    const whole = await read(train, options, 3);
    for (let startEpoch = 0; startEpoch < 3; startEpoch++) {
      for (let startBatch = 0; startBatch < 5; startBatch++) {
        const rest = await read(train, { ...options, startEpoch, startBatch }, 3 - startEpoch);
        expect(rest).toEqual([whole[startEpoch]!.slice(startBatch), ...whole.slice(startEpoch + 1)]);
      }
    }
  });

  it('are normalised to [−1, 1], or as the option states, channel by channel', async () => {
    const [image] = [imageSet(source).test.image(0)];
    const first = async (normalise?: { mean: number | number[]; std: number | number[] }) =>
      (await read(imageSet(source, { normalise }).test, { batchSize: 1, shuffle: false }))[0]![0]!.xs;
    expect([...(await first())]).toBeAllClose([...image].map((byte) => byte / 127.5 - 1));
    const [mean, std] = [[0.1, 0.2, 0.3], [1, 2, 4]]; // biome-ignore format: a pair
    expect([...(await first({ mean, std }))]).toBeAllClose(
      [...image].map((byte, at) => (byte / 255 - mean[at % 3]!) / std[at % 3]!),
    );
    expect([...(await first({ mean: 0, std: 1 }))]).toBeAllClose([...image].map((byte) => byte / 255));
  });

  it('are divided by 255 at scale unit, and standardised by the training images at scale standardised', async () => {
    const unit = imageSet(source, { scale: 'unit', trainSize: 9 });
    const [bytes] = [unit.test.image(0)];
    const first = async (split: Split) => (await read(split, { batchSize: 1, shuffle: false }))[0]![0]!.xs;
    expect([...(await first(unit.test))]).toBeAllClose([...bytes].map((byte) => byte / 255));
    const set = imageSet(source, { scale: 'standardised', trainSize: 9 });
    const pixels = Array.from({ length: 9 }, (_, i) => [...set.train.image(i)]).flat();
    const moments = [0, 1, 2].map((channel) => {
      const values = pixels.filter((_, at) => at % 3 === channel).map((byte) => byte / 255);
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      return [mean, Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length)] as const;
    });
    const expected = [...bytes].map((byte, at) => (byte / 255 - moments[at % 3]![0]) / moments[at % 3]![1]);
    expect([...(await first(set.test))]).toBeAllClose(expected, { rtol: 1e-5, atol: 1e-6 });
    expect(set.checksum).toBe(unit.checksum);
  });

  it('are 0 at scale standardised if a channel has one value', async () => {
    const gray = { pixels: new Uint8Array(10).fill(7), labels: new Uint8Array(10) };
    const one = { name: 'gray', classes: ['gray'], shape: [1, 1, 1] as const, train: [gray], test: [] };
    const [epoch] = await read(imageSet(one, { scale: 'standardised' }).train, { batchSize: 9 });
    expect([...epoch![0]!.xs]).toBeAllClose(Array(9).fill(0), { atol: 1e-6 });
  });

  it('are augmented by one of 81 crops of the padded image, flipped or not, drawn again each epoch', async () => {
    const { test } = imageSet(source, { normalise: { mean: 0, std: 1 / 255 } });
    const crops = Array.from({ length: test.size }, (_, i) => {
      const image = test.image(i);
      const all = new Map<string, string>();
      for (let down = -4; down <= 4; down++) {
        for (let right = -4; right <= 4; right++) {
          for (const flip of [false, true]) {
            const crop: number[] = [];
            for (let y = down; y < down + 6; y++) {
              const row = range(5).map((x) => x + right);
              for (const x of flip ? row.reverse() : row) {
                const inside = y >= 0 && y < 6 && x >= 0 && x < 5;
                crop.push(...(inside ? image.subarray((y * 5 + x) * 3, (y * 5 + x) * 3 + 3) : [0, 0, 0]));
              }
            }
            all.set(crop.join(), `${down} ${right} ${flip}`);
          }
        }
      }
      return all;
    });
    const orders = new Set<string>();
    for (const [batch] of await read(test, { batchSize: 4, shuffle: false, augment: true }, 250)) {
      for (let i = 0; i < 4; i++) {
        const crop = crops[i]!.get([...batch!.xs.subarray(i * 90, i * 90 + 90)].map(Math.round).join());
        expect(crop).toBeDefined();
        orders.add(crop!);
      }
    }
    // 1,000 draws from 162 crops miss 0.3 of them on average.
    expect(orders.size).toBeGreaterThan(155);
  });

  it('are augmented image by image: neither the size nor the order of the batches matters', async () => {
    const { train } = imageSet(source);
    const images = (epoch: readonly Seen[]) =>
      epoch.flatMap(({ xs }) => Array.from({ length: xs.length / 90 }, (_, i) => xs.slice(i * 90, i * 90 + 90).join()));
    const options = { batchSize: 4, augment: true, startEpoch: 2 };
    const [epoch] = (await read(train, options)).map(images);
    expect((await read(train, { ...options, batchSize: 11 })).map(images)).toEqual([epoch]);
    const [inOrder] = (await read(train, { ...options, shuffle: false })).map(images);
    expect(inOrder).not.toEqual(epoch);
    expect([...inOrder!].sort()).toEqual([...epoch!].sort());
  });

  it('count an epoch at its first read: an unread iterator does not count', async () => {
    const { train } = imageSet(source);
    const dataset = train.batches({ batchSize: 27 });
    await dataset.iterator();
    const { value } = await (await dataset.iterator()).next();
    expect([...value.xs.dataSync()]).toEqual([...(await read(train, { batchSize: 27 }))[0]![0]!.xs]);
    tf.dispose(value);
  });

  it.each([
    [{ batchSize: 0 }, 'BAD_VALUE', /batchSize is 0/],
    [{}, 'BAD_VALUE', /batchSize is undefined/],
    [{ batchSize: 9, startEpoch: -1 }, 'BAD_VALUE', /startEpoch is -1/],
    [{ batchSize: 9, startBatch: 3 }, 'BAD_VALUE', /startBatch is 3; an epoch has 3 batches.\n.*startEpoch: 1/],
    [{ batchSize: 9, shuffle: 'no' }, 'BAD_VALUE', /shuffle is "no"/],
    [{ batchSize: 9, augment: 1 }, 'BAD_VALUE', /augment is 1/],
    [{ batchSize: 9, dropRemainder: null }, 'BAD_VALUE', /dropRemainder is null/],
    [{ batchSize: 9, suffle: false }, 'UNKNOWN_OPTION', /did you mean 'shuffle'/],
  ])('refuse %j', (options, code, message) => {
    const make = () => imageSet(source).train.batches(options as BatchOptions);
    expect(make).toThrow(expect.objectContaining({ name: 'ConfigurationError', code }));
    expect(make).toThrow(message);
  });

  it('reject an index out of range', () => {
    const { test } = imageSet(source);
    for (const ask of [() => test.label(4), () => test.image(-1)]) {
      expect(ask).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
    }
  });
});

describe('under fitDataset', () => {
  /** Trains a linear model and returns its weights at the end. */
  async function train(from: { epoch: number; batch?: number; weights?: tf.Tensor[] }, epochs: number) {
    const model = sequential({
      layers: [layers.flatten({ inputShape: [6, 5, 3] }), layers.dense({ units: 3, kernelInitializer: 'zeros' })],
    });
    model.compile({ optimizer: tf.train.sgd(0.01), loss: 'meanSquaredError' });
    if (from.weights) model.setWeights(from.weights);
    const { train } = imageSet(source);
    const batches = train.batches({
      batchSize: 6,
      augment: true,
      startEpoch: from.epoch,
      ...(from.batch === undefined ? {} : { startBatch: from.batch }),
    });
    await model.fitDataset(batches, { epochs, initialEpoch: from.epoch, verbose: 0 });
    const weights = model.getWeights().map((weight) => tf.clone(weight));
    model.optimizer.dispose();
    model.dispose();
    return weights;
  }

  it('every epoch is read once: training in two parts equals training in one', async () => {
    const whole = await train({ epoch: 0 }, 3);
    const part = await train({ epoch: 0 }, 1);
    const resumed = await train({ epoch: 1, weights: part }, 3);
    const skipped = await train({ epoch: 2, weights: part }, 3);
    const values = (weights: tf.Tensor[]) => weights.map((weight) => [...weight.dataSync()]);
    expect(values(resumed)).toEqual(values(whole));
    expect(values(skipped)).not.toEqual(values(whole));
    tf.dispose([whole, part, resumed, skipped]);
  });
});
