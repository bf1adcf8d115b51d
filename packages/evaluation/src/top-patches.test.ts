import * as tf from '@tensorflow/tfjs-core';
import { layers, sequential } from '@tensorflow/tfjs-layers';
import '@tensorflow/tfjs-backend-cpu';
import { expect, it } from 'vitest';
import { patchImages, topPatches } from './index.js';
import { inScope, nested, smallNetwork } from './models.fixture.js';

inScope();

/** A unit for each pixel value pattern, a 1×2 template. */
const templates = (...list: [number, number][]) =>
  sequential({
    layers: [
      layers.conv2d({
        name: 'templates',
        filters: list.length,
        kernelSize: [1, 2],
        useBias: false,
        inputShape: [1, 4, 1],
        weights: [
          tf.tensor4d(
            [0, 1].flatMap((d) => list.map((template) => template[d]!)),
            [1, 2, 1, list.length],
          ),
        ],
      }),
    ],
  });
const rows = (...images: number[][]) => tf.tensor4d(images.flat(), [images.length, 1, 4, 1]);

it('finds for each unit the patch that matches its template', async () => {
  const xs = rows([0, 0, 1, 0], [0, 5, 0, 0], [0, 0, 2, 2]);
  const { units } = await topPatches(templates([1, -1], [-1, 1], [1, 1]), 'templates', {
    examples: { xs },
    patches: 1,
  });
  expect(units.map(({ patches }) => [patches[0]!.example, patches[0]!.box.left, ...patches[0]!.values])).toEqual([
    [1, 1, 5, 0],
    [1, 0, 0, 5],
    [1, 0, 0, 5],
  ]);
});

it('sorts patches by activation, one for each image, and keeps the first of equal ones', async () => {
  const xs = rows([1, 0, 1, 0], [3, 0, 2, 0], [0, 1, 0, 0], [2, 0, 0, 0]);
  const { units } = await topPatches(templates([1, 0]), 'templates', { examples: { xs }, patches: 3, batchSize: 1 });
  expect(units[0]!.patches.map(({ example, activation, box }) => [example, activation, box.left])).toEqual([
    [1, 3, 0],
    [3, 2, 0],
    [0, 1, 0],
  ]);
});

it('agrees with a search over all positions, and cuts out the receptive field', async () => {
  const model = smallNetwork();
  const values = nested(7, [12, 8, 8, 1]);
  const { units, range } = await topPatches(model, 'conv2', {
    examples: { xs: tf.tensor4d(values) },
    units: [3, 1],
    batchSize: 5,
  });
  const y = (
    ['conv1', 'relu1', 'pool1', 'conv2'].reduce(
      (x, name) => model.getLayer(name).apply(x) as tf.Tensor,
      tf.tensor4d(values) as tf.Tensor,
    ) as tf.Tensor4D
  ).arraySync();
  expect(units.map(({ unit }) => unit)).toEqual([3, 1]);
  for (const { unit, patches } of units) {
    const best = y.map((image) => Math.max(...image.flat().map((row) => row[unit]!))).sort((a, b) => b - a);
    expect(patches.map(({ activation }) => activation)).toBeAllClose(best.slice(0, 9), { rtol: 1e-5 });
    for (const { example, box, values: cut } of patches) {
      const { top, left, height, width } = box;
      const part = values[example]!.slice(top, top + height).map((row) => row.slice(left, left + width));
      expect([...cut]).toBeAllClose(part.flat(2), { rtol: 1e-6 });
    }
  }
  const all = values.flat(3);
  expect([...range]).toBeAllClose([Math.min(...all), Math.max(...all)], { rtol: 1e-6 });
  const [image] = patchImages({ units, range, channels: 1 });
  expect([image!.width, image!.height].every((size) => size > 8 && size <= 26)).toBe(true);
});

it('shows whole images for a layer without positions, and never NaN', async () => {
  const model = smallNetwork();
  const values = nested(7, [4, 8, 8, 1]);
  values[2]![0]![0]![0] = Number.NaN;
  const { units } = await topPatches(model, 'head', { examples: { xs: tf.tensor4d(values) } });
  for (const { patches } of units) {
    expect(patches.map(({ example }) => example).sort()).toEqual([0, 1, 3]);
    expect(patches[0]!.box).toEqual({ top: 0, left: 0, height: 8, width: 8 });
  }
});

it('rejects a unit that the layer lacks', async () => {
  const examples = { xs: rows([1, 2, 3, 4]) };
  await expect(topPatches(templates([1, 0]), 'templates', { examples, units: [1] })).rejects.toMatchObject({
    code: 'BAD_VALUE',
  });
});
