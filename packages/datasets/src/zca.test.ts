import '@tensorflow/tfjs-backend-cpu';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadFiles } from './files.js';
import { type BatchOptions, type ImageSet, imageSet, type Split } from './image-set.js';
import { random } from './random.js';
import { glyphs } from './sets/glyphs.js';
import { type ZcaOptions, zca } from './zca.js';

beforeAll(() => tf.setBackend('cpu'));

const SHAPE = [2, 3, 2] as const;
const D = 12;

/** Images whose pixels share most of their variance, as those of photographs do. */
function images(count: number, seed: number) {
  const draw = random('zca', seed);
  const pixels = Array.from({ length: count }, () => {
    const common = draw() * 180;
    return Array.from({ length: D }, () => Math.round(common + draw() * 75));
  }).flat();
  return { pixels, labels: Array.from({ length: count }, (_, i) => i % 2) };
}

const source = (testSeed = 2) => ({
  name: 'correlated',
  classes: ['even', 'odd'],
  shape: SHAPE,
  train: [images(90, 1)],
  test: [images(5, testSeed)],
});
const set = (testSeed?: number) => imageSet(source(testSeed), { validationSize: 10, scale: 'standardised' });

/** Every image of some epochs, as rows, with the labels. */
async function read(split: Split, options: Partial<BatchOptions> = {}, epochs = 1): Promise<number[][][]> {
  const batches = split.batches({ batchSize: 16, shuffle: false, ...options });
  const result: number[][][] = [];
  for (let epoch = 0; epoch < epochs; epoch++) {
    const rows: number[][] = [];
    await batches.forEachAsync(({ xs, ys }) => {
      expect(xs.shape.slice(1)).toEqual(SHAPE);
      rows.push(...(tf.tidy(() => tf.concat([tf.reshape(xs, [-1, D]), ys], 1).arraySync()) as number[][]));
      tf.dispose([xs, ys]);
    });
    result.push(rows);
  }
  return result;
}

type Matrix = readonly (readonly number[])[];

/** aᵀ·b / (n − 1) over the pixels of n images. */
const moment = (a: Matrix, b: Matrix): Matrix =>
  Array.from({ length: D }, (_, i) =>
    Array.from({ length: D }, (_, j) => a.reduce((sum, row, p) => sum + row[i]! * b[p]![j]!, 0) / (a.length - 1)),
  );
const times = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => Array.from({ length: D }, (_, j) => row.reduce((sum, value, k) => sum + value * b[k]![j]!, 0)));

describe.each([1e-2, 1])('zca with ε = %d', (epsilon) => {
  it('leaves the second moment S/(S + ε) of the training images, by a symmetric matrix', async () => {
    const plain = set();
    const [raw] = await read(plain.train);
    const [white] = await read((await zca(plain, { epsilon })).train);
    const c = moment(raw!, raw!);
    const shifted = c.map((row, i) => row.map((value, j) => value + (i === j ? epsilon : 0)));
    const size = Math.max(...c.flat().map(Math.abs));
    // W·C·W = C·(C + ε)⁻¹
    const after = times(moment(white!, white!), shifted).flat();
    expect(after).toBeAllClose(c.flat(), { rtol: 0, atol: 2e-4 * size });
    // C·W is symmetric and positive, since W is a function of C.
    const cross = moment(raw!, white!);
    expect(cross.flat()).toBeAllClose(
      cross[0]!.flatMap((_, i) => cross.map((row) => row[i]!)),
      { atol: 2e-4 * size },
    );
    for (let i = 0; i < D; i++) expect(cross[i]![i]).toBeGreaterThan(0);
    expect(white!.map((row) => row.slice(D))).toEqual(raw!.map((row) => row.slice(D)));
  });
});

describe('zca', () => {
  it('learns its matrix from the training images only, and applies it to all parts', async () => {
    const [one, other] = [await zca(set(2)), await zca(set(3))];
    expect(await read(one.train)).toEqual(await read(other.train));
    expect(await read(one.validation)).toEqual(await read(other.validation));
    for (const part of ['validation', 'test'] as const) {
      const [white, raw] = [(await read(one[part]))[0]!, (await read(set()[part]))[0]!];
      expect(white.length).toBe(raw.length);
      expect(white).not.toEqual(raw);
    }
    expect(one.checksum).toBe(set(2).checksum);
    expect([...one.train.image(3)]).toEqual([...set().train.image(3)]);
  });

  it('whitens augmented images, in the same epochs and batches, and resumes them bit for bit', async () => {
    const white = await zca(set());
    const options = { batchSize: 7, shuffle: true, augment: true, seed: 4 };
    const whole = await read(white.train, options, 3);
    expect(new Set(whole.map(String)).size).toBe(3);
    const resumed = await read(white.train, { ...options, startEpoch: 1, startBatch: 2 }, 2);
    expect(resumed).toEqual([whole[1]!.slice(14), whole[2]]);
    // Labels are in the order of the set that is not whitened.
    const labels = (epochs: number[][][]) => epochs.map((rows) => rows.map((row) => row.slice(D)));
    expect(labels(whole)).toEqual(labels(await read(set().train, options, 3)));
  });

  it('accepts a training part of one image, and images of one pixel', async () => {
    const dot = { pixels: [200, 50], labels: [0, 0] };
    const dots = imageSet(
      { name: 'dots', classes: ['dot'], shape: [1, 1, 1], train: [dot], test: [] },
      { validationSize: 1, scale: 'unit' },
    );
    const [x] = await valuesOf(await zca(dots, { epsilon: 0.01 }));
    const raw = dots.train.image(0)[0]! / 255;
    expect(x).toBeCloseTo(raw / Math.sqrt(raw ** 2 + 0.01), 4);
  });

  it.each([
    [{ epsilon: 0 }, 'BAD_VALUE'],
    [{ epsilon: 1e-12 }, 'BAD_VALUE'],
    [{ eps: 1 }, 'UNKNOWN_OPTION'],
  ])('rejects %j', async (options, code) => {
    // Two pixels of the same value leave a direction without variance.
    const train = [{ pixels: [0, 0, 255, 255, 9, 9], labels: [0, 0, 0] }];
    const pairs = imageSet({ name: 'pairs', classes: ['a'], shape: [1, 2, 1], train, test: [] }, { validationSize: 0 });
    await expect(zca(pairs, options as ZcaOptions)).rejects.toMatchObject({ code });
  });
});

async function valuesOf(images: ImageSet): Promise<number[]> {
  const values: number[] = [];
  await images.train.batches({ batchSize: 4, shuffle: false }).forEachAsync(({ xs, ys }) => {
    values.push(...xs.dataSync());
    tf.dispose([xs, ys]);
  });
  return values;
}

describe('the option whiten', () => {
  it('whitens a set of files', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'ghl-zca-'));
    writeFileSync(join(folder, 'a'), '');
    const files = { name: 'example', folder: 'example', files: [{ name: 'a', bytes: 0 }], downloads: [] };
    const load = (whiten?: 'zca' | ZcaOptions) =>
      loadFiles(files, { folder, scale: 'standardised', validationSize: 10, whiten }, () => source());
    expect(await valuesOf(await load())).toEqual(await valuesOf(set()));
    expect(await valuesOf(await load('zca'))).toEqual(await valuesOf(await zca(set())));
    expect(await valuesOf(await load({ epsilon: 1 }))).toEqual(await valuesOf(await zca(set(), { epsilon: 1 })));
    rmSync(folder, { recursive: true });
  });

  it('is checked for glyphs too', async () => {
    const whiten = 'pca' as 'zca';
    const load = glyphs({ trainSize: 1, validationSize: 0, testSize: 1, whiten });
    await expect(load).rejects.toMatchObject({ code: 'BAD_VALUE', summary: 'whiten is "pca".' });
  });
});
