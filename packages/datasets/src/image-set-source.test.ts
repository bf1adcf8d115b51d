/** The input of `imageSet`: arrays of any kind, with any values. */
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { type ImageSource, imageSet, type SetOptions } from './image-set.js';

beforeAll(() => tf.setBackend('cpu'));

const KINDS = {
  Array: (values: readonly number[]) => [...values],
  Uint8Array: (values: readonly number[]) => Uint8Array.from(values),
  Uint8ClampedArray: (values: readonly number[]) => Uint8ClampedArray.from(values),
  Int8Array: (values: readonly number[]) => Int8Array.from(values),
  Uint16Array: (values: readonly number[]) => Uint16Array.from(values),
  Int16Array: (values: readonly number[]) => Int16Array.from(values),
  Uint32Array: (values: readonly number[]) => Uint32Array.from(values),
  Int32Array: (values: readonly number[]) => Int32Array.from(values),
  Float32Array: (values: readonly number[]) => Float32Array.from(values),
  Float64Array: (values: readonly number[]) => Float64Array.from(values),
  // Views into the middle of a larger one.
  subarray: (values: readonly number[]) => Uint8Array.from([9, ...values, 9]).subarray(1, values.length + 1),
} satisfies Record<string, (values: readonly number[]) => ArrayLike<number>>;

const kind = fc.constantFrom(...(Object.keys(KINDS) as (keyof typeof KINDS)[]));
const wild = fc.constantFrom(-1, 0.5, 254.999, 255, 256, 257, 65_536, 1e300, -0, ...[NaN, Infinity, -Infinity]);
const isWhole = (value: number, below: number) => Number.isInteger(value) && value >= 0 && value < below;

/** A part of 1 × 2 × 1 images: mostly valid values, of which one may be replaced by another. */
const part = (classes: number) =>
  fc
    .record({
      labels: fc.array(fc.nat(classes - 1), { minLength: 1, maxLength: 6 }),
      spoilt: fc.option(fc.record({ at: fc.nat(99), value: wild, of: fc.constantFrom('labels', 'pixels') })),
      pixelKind: kind,
      labelKind: kind,
    })
    .map(({ labels, spoilt, pixelKind, labelKind }) => {
      const pixels = labels.flatMap((label, i) => [label % 256, (37 * i) % 256]);
      if (spoilt?.of === 'labels') labels[spoilt.at % labels.length] = spoilt.value;
      if (spoilt?.of === 'pixels') pixels[spoilt.at % pixels.length] = spoilt.value;
      // The values in the array count: −1 in a Uint8Array is 255.
      return { pixels: KINDS[pixelKind](pixels), labels: KINDS[labelKind](labels) };
    });

describe('the arrays of an image set', () => {
  it('become exactly these images with these labels, or are rejected', async () => {
    const seen = { made: 0, refused: 0 };
    const parts = fc.constantFrom(1, 3, 256, 257, 300, 70_000).chain((classes) =>
      fc.record({
        classes: fc.constant(classes),
        train: fc.array(part(classes), { minLength: 1, maxLength: 3 }),
        test: part(classes),
      }),
    );
    await fc.assert(
      fc.asyncProperty(parts, async ({ classes, train, test }) => {
        const source: ImageSource = {
          name: 'any',
          classes: Array.from({ length: classes }, (_, i) => `class ${i}`),
          shape: [1, 2, 1],
          train,
          test: [test],
        };
        const valid = [...train, test].every(
          ({ pixels, labels }) =>
            Array.from(pixels).every((pixel) => isWhole(pixel, 256)) &&
            Array.from(labels).every((label) => isWhole(label, classes)),
        );
        if (!valid) {
          seen.refused += 1;
          expect(() => imageSet(source)).toThrow(expect.objectContaining({ name: 'DataError', code: 'DATA_CORRUPT' }));
          return;
        }
        seen.made += 1;
        const set = imageSet(source, { validationSize: 0 });
        const images = train.flatMap(({ pixels, labels }) =>
          Array.from(labels, (label, i) => `${label}: ${pixels[2 * i]},${pixels[2 * i + 1]}`),
        );
        const examples = Array.from(
          { length: set.train.size },
          (_, i) => `${set.train.label(i)}: ${set.train.image(i)}`,
        );
        expect(examples.sort()).toEqual(images.sort());
        const order = Array.from(test.labels, (label) => label + 0); // −0 is 0
        expect(Array.from({ length: set.test.size }, (_, i) => set.test.label(i))).toEqual(order);
        await set.test.batches({ batchSize: 4, shuffle: false }).forEachAsync(({ xs, ys }) => {
          const hot = ys.arraySync();
          for (const row of hot) {
            expect(row[order.shift() as number]).toBe(1);
            expect(row.reduce((sum, each) => sum + each, 0)).toBe(1);
          }
          tf.dispose([xs, ys]);
        });
      }),
      { numRuns: 150, endOnFailure: true },
    );
    expect(seen.made).toBeGreaterThan(20);
    expect(seen.refused).toBeGreaterThan(20);
  });

  it('are copied, so that a later write has no effect', () => {
    const pixels = Uint8Array.of(1, 2);
    const set = imageSet({ name: 'one', classes: ['a'], shape: [1, 2, 1], train: [{ pixels, labels: [0] }], test: [] });
    pixels.fill(9);
    expect([...set.train.image(0)]).toEqual([1, 2]);
  });

  it('give the checksum of their bytes for any kind of array', () => {
    const sets = Object.values(KINDS).map((make) =>
      imageSet({
        name: 'x',
        classes: ['a', 'b'],
        shape: [1, 1, 1],
        train: [{ pixels: make([7, 9]), labels: make([0, 1]) }],
        test: [],
      }),
    );
    expect(new Set(sets.map(({ checksum }) => checksum)).size).toBe(1);
  });

  it('name the faulty image and its fault', () => {
    const train = (images: object) => () =>
      imageSet({ name: 'x', classes: ['a', 'b'], shape: [1, 1, 1], train: [images as never], test: [] });
    expect(train({ pixels: [0, 0, 0], labels: [0, 1, 2] })).toThrow(/train\[0\]: image 2 has the label 2\.\n.*0 to 1/);
    expect(train({ pixels: Float32Array.of(0, 0.5), labels: [0, 1] })).toThrow(
      /train\[0\]: image 1 has the pixel 0.5 at 0\.\n.*by 255/,
    );
  });
});

const good = { name: 'x', classes: ['a'], shape: [1, 1, 1], train: [{ pixels: [0], labels: [0] }], test: [] };

describe('an image set', () => {
  it('may have no test images', () => {
    const set = imageSet(good as unknown as ImageSource);
    expect([set.train.size, set.test.size]).toEqual([1, 0]);
  });

  it.each([
    ['the source', undefined, 'BAD_VALUE'],
    ['the source', null, 'BAD_VALUE'],
    ['the source', 'x', 'BAD_VALUE'],
    ['the name', { name: 5 }, 'BAD_VALUE'],
    ['classes', { classes: [] }, 'BAD_VALUE'],
    ['classes', { classes: 10 }, 'BAD_VALUE'],
    ['classes', { classes: [0, 1] }, 'BAD_VALUE'],
    ['classes', { classes: [1n] }, 'BAD_VALUE'],
    ['the shape', { shape: [1, 1] }, 'BAD_VALUE'],
    ['the shape', { shape: [1, 1, 1, 1] }, 'BAD_VALUE'],
    ['the shape', { shape: [1, 0, 1] }, 'BAD_VALUE'],
    ['the shape', { shape: [0.5, 2, 1] }, 'BAD_VALUE'],
    ['the shape', { shape: [-1, -1, 1] }, 'BAD_VALUE'],
    ['the shape', { shape: [Number.NaN, 1, 1] }, 'BAD_VALUE'],
    ['the shape', { shape: undefined }, 'BAD_VALUE'],
    ['train', { train: { pixels: [0], labels: [0] } }, 'BAD_VALUE'],
    ['train', { train: undefined }, 'BAD_VALUE'],
    ['test', { test: null }, 'BAD_VALUE'],
    ['images', { train: [null] }, 'BAD_VALUE'],
    ['images', { train: [{ pixels: [0] }] }, 'BAD_VALUE'],
    ['images', { train: [{ labels: [0] }] }, 'BAD_VALUE'],
    ['images', { train: [{ pixels: new ArrayBuffer(1), labels: [0] }] }, 'BAD_VALUE'],
    ['images', { train: [{ pixels: new DataView(new ArrayBuffer(1)), labels: [0] }] }, 'BAD_VALUE'],
    ['images', { train: [{ pixels: 'a', labels: [0] }] }, 'BAD_VALUE'],
    ['images', { train: [{ pixels: new Set([0]), labels: [0] }] }, 'BAD_VALUE'],
    ['labels', { train: [{ pixels: [0], labels: BigInt64Array.of(0n) }] }, 'DATA_CORRUPT'],
    ['labels', { train: [{ pixels: [0], labels: ['0'] }] }, 'DATA_CORRUPT'],
    ['labels', { train: [{ pixels: [0], labels: [undefined] }] }, 'DATA_CORRUPT'],
    ['labels', { train: [{ pixels: [0], labels: [[0]] }] }, 'DATA_CORRUPT'],
    ['pixels', { train: [{ pixels: [true], labels: [0] }] }, 'DATA_CORRUPT'],
    ['pixels', { train: [{ pixels: [[0]], labels: [0] }] }, 'DATA_CORRUPT'],
    ['a count', { train: [{ pixels: [0, 0], labels: [0] }] }, 'DATA_CORRUPT'],
    ['a count', { train: [{ pixels: [0], labels: [0, 0] }] }, 'DATA_CORRUPT'],
    ['a count', { train: [{ pixels: [0], labels: [] }] }, 'DATA_CORRUPT'],
    ['a test label', { test: [{ pixels: [0], labels: [1] }] }, 'DATA_CORRUPT'],
    ['no images', { train: [] }, 'TRAIN_SIZE'],
    ['no images', { train: [{ pixels: [], labels: [] }] }, 'TRAIN_SIZE'],
  ])('rejects %s: %#', (_, change, code) => {
    const source = typeof change === 'object' && change !== null ? { ...good, ...change } : change;
    expect(() => imageSet(source as unknown as ImageSource)).toThrow(
      expect.objectContaining({ code, help: expect.stringMatching(/\w/) }),
    );
  });

  it.each([
    { normalise: null },
    { normalise: 5 },
    { normalise: { mean: 0 } },
    { normalise: { mean: 0, std: 1, sd: 1 } },
    { normalise: { mean: Number.NaN, std: 1 } },
    { normalise: { mean: 0, std: Number.POSITIVE_INFINITY } },
    { normalise: { mean: 0, std: 1e-300 } },
    { normalise: { mean: 0, std: [1n] } },
    { seed: 1n },
    { trainSize: null },
  ])('rejects the options %#', (options) => {
    expect(() => imageSet(good as unknown as ImageSource, options as SetOptions)).toThrow(
      expect.objectContaining({
        name: 'ConfigurationError',
        code: expect.stringMatching(/^(BAD_VALUE|UNKNOWN_OPTION)$/),
      }),
    );
  });
});
