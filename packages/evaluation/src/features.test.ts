import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { expect, it } from 'vitest';
import { featuresOf } from './features.js';
import { inScope } from './models.fixture.js';

inScope();

it('averages over cells that share the position in the middle of an odd length', () => {
  const sequence = tf.tensor3d([1, 2, 3, 4, 5], [1, 5, 1]);
  expect([...featuresOf(sequence, 2).dataSync()]).toEqual([2, 4]);
});

it('averages an image over quadrants, cell by cell, units last', () => {
  const image = tf.tensor4d([1, 10, 2, 20, 3, 30, 4, 40], [1, 2, 2, 2]);
  expect([...featuresOf(image, 2).dataSync()]).toEqual([1, 10, 2, 20, 3, 30, 4, 40]);
  expect([...featuresOf(image, 1).dataSync()]).toEqual([2.5, 25]);
});

it('has one cell by default for a layer of more than 512 units', () => {
  const features = [512, 513].map((units) => featuresOf(tf.zeros([1, 2, 2, units]), undefined).shape[1]);
  expect(features).toEqual([2048, 513]);
});
