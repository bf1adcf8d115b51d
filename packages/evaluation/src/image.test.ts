import * as tf from '@tensorflow/tfjs-core';
import { layers, sequential } from '@tensorflow/tfjs-layers';
import '@tensorflow/tfjs-backend-cpu';
import { expect, it } from 'vitest';
import { filterImages, imageOf, montage } from './index.js';
import { inScope, smallNetwork } from './models.fixture.js';

inScope();

it('stretches values from black to white, grey for one channel', () => {
  const { data } = imageOf({ height: 1, width: 3, channels: 1, values: [-1, 0, 1] });
  expect([...data]).toEqual([0, 0, 0, 255, 128, 128, 128, 255, 255, 255, 255, 255]);
});

it('takes a range instead, clips to it, and shows NaN as black', () => {
  const { data } = imageOf({ height: 1, width: 1, channels: 3, values: [Number.NaN, 9, 1] }, [0, 4]);
  expect([...data]).toEqual([0, 255, 64, 255]);
});

it('draws filter k from the weights of unit k, and the channels as colours', async () => {
  // Of two filters of one pixel, the first is red, the second blue.
  const weights = [tf.tensor4d([1, 0, 0, 0, 0, 1], [1, 1, 3, 2])];
  const conv = layers.conv2d({
    name: 'conv',
    filters: 2,
    kernelSize: 1,
    useBias: false,
    inputShape: [4, 4, 3],
    weights,
  });
  const images = await filterImages(sequential({ layers: [conv] }), 'conv');
  expect(images.map(({ data }) => [...data])).toEqual([
    [255, 0, 0, 255],
    [0, 0, 255, 255],
  ]);
});

it('places images in rows, with transparent pixels between them', () => {
  const grey = (value: number) => imageOf({ height: 1, width: 1, channels: 1, values: [value] }, [0, 255]);
  const { width, height, data } = montage([grey(1), grey(2), grey(3)], { columns: 2 });
  expect([width, height]).toEqual([3, 3]);
  expect(Array.from({ length: 9 }, (_, i) => [data[4 * i], data[4 * i + 3]])).toEqual([
    [1, 255], [0, 0], [2, 255],
    [0, 0], [0, 0], [0, 0],
    [3, 255], [0, 0], [0, 0],
  ]); // biome-ignore format: the image
  expect(montage([])).toMatchObject({ width: 0, height: 0 });
});

it('rejects filters of a layer that does not read the image', async () => {
  const model = smallNetwork();
  for (const layer of ['conv2', 'pool1', 'head']) {
    await expect(filterImages(model, layer)).rejects.toMatchObject({ code: 'UNSUPPORTED_LAYER' });
  }
});
