import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Batches, batchAt, loadBatches } from './batches.js';
import { recipeCandidate } from './candidate.js';

let batches: Batches;

beforeAll(async () => {
  await tf.setBackend('cpu');
  batches = await loadBatches({}, 2);
});

describe('batches', () => {
  it('are images of the dataset, with labels, and repeat after the last', () => {
    expect(batches).toMatchObject({ dataset: 'glyphs', shape: [32, 32, 3], size: 2 });
    const [first, again] = [batchAt(batches, 0), batchAt(batches, batches.images.length)];
    expect(first.xs.shape).toEqual([2, 32, 32, 3]);
    expect(again.xs.dataSync()).toEqual(first.xs.dataSync());
    expect(new Set(batches.images.map((images) => images.slice(0, 100).join()))).toHaveProperty(
      'size',
      batches.images.length,
    );
    expect(tf.tidy(() => Array.from(tf.sum(first.ys, 1).dataSync()))).toEqual([1, 1]);
    tf.dispose([first, again]);
  });
});

describe('the candidate of a recipe', () => {
  it('trains from the same weights as the others, and leaks no tensor', async () => {
    const ghl = recipeCandidate({ recipe: { name: 'ghl' }, phase: 0 }, 'fasthebb-small', batches);
    const backprop = recipeCandidate({ recipe: { name: 'backprop' }, phase: 0 }, 'fasthebb-small', batches);
    const first = [await ghl.step(0), await backprop.step(0)];
    expect(first[0]?.loss).toBe(first[1]?.loss);
    const second = [await ghl.step(1), await backprop.step(1)];
    expect(second[0]?.loss).not.toBe(second[1]?.loss);
    expect([...first, ...second].map(({ leaked }) => leaked)).toEqual([0, 0, 0, 0]);
    await Promise.all([ghl, backprop].map(({ checkFinite }) => checkFinite()));
    for (const { dispose } of [ghl, backprop]) dispose();
  });

  it('reports the tensors that its step leaves', async () => {
    const { model, step, dispose } = recipeCandidate(
      { recipe: { name: 'backprop' }, phase: 0 },
      'fasthebb-small',
      batches,
    );
    const left: tf.Tensor[] = [];
    const { apply } = model;
    model.apply = (...values) => {
      left.push(tf.keep(tf.scalar(1)), tf.keep(tf.scalar(2)));
      return apply.apply(model, values);
    };
    expect(await step(0)).toMatchObject({ leaked: 2 });
    tf.dispose(left);
    dispose();
  });
});
