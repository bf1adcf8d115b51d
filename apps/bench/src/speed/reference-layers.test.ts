import { networks } from '@ghl/models';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { type layers as Layers, layers, sequential } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { referenceLayers } from './reference-layers.js';

beforeAll(() => tf.setBackend('cpu'));

describe('the layers of a reference', () => {
  it("have PyTorch's paddings and temperatures", () => {
    const model = networks['deephebb-small'].build();
    const descriptions = Object.fromEntries(
      referenceLayers(model, { conv3: 4 }).map(({ name, ...rest }) => [name, rest]),
    );
    expect(descriptions.conv1).toMatchObject({
      kind: 'convolution',
      inputs: 3,
      units: 8,
      size: [5, 5],
      padding: [2, 2],
    });
    expect(descriptions.conv1?.temperature).toBeNull();
    expect(descriptions.conv3).toMatchObject({ padding: [1, 1], temperature: 4 });
    expect(descriptions.pool2).toEqual({ kind: 'maxPool', size: [4, 4], stride: [2, 2], padding: [1, 1] });
    expect(descriptions.flatten).toEqual({ kind: 'flatten', shape: [4, 4, 32] });
    expect(descriptions.bn3).toMatchObject({ spatial: true, affine: false, channels: 16 });
    expect(descriptions.bn3?.momentum).toBeCloseTo(0.1, 10);
    model.dispose();
  });

  it.each([
    ['padding that PyTorch has not', () => layers.maxPooling2d({ poolSize: 4, strides: 2, padding: 'same' })],
    ['a convolution with a bias', () => layers.conv2d({ filters: 2, kernelSize: 3 })],
    ['a layer of another kind', () => layers.globalAveragePooling2d({ dataFormat: 'channelsLast' })],
  ] as [string, () => Layers.Layer][])('are refused for %s', (_, second) => {
    const model = sequential({ layers: [layers.reLU({ inputShape: [7, 7, 2] }), second()] });
    expect(() => referenceLayers(model, {})).toThrow(expect.objectContaining({ code: 'NO_TWIN' }));
    model.dispose();
  });
});
