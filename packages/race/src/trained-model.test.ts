import { glyphs } from '@ghl/datasets';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { expect, it } from 'vitest';
import { clock } from './clock.fixture.js';
import { buildRun, MemoryStorage, type RacePlan, RunRecord, train, trainedModel, weightsChecksum } from './index.js';

const sizes = { trainSize: 1, validationSize: 0, testSize: 1 };
const run = { recipe: { name: 'backprop' }, seed: 1 };

it('has the weights with which the run ended, and is null before the first checkpoint', async () => {
  const data = await glyphs(sizes);
  const plan: RacePlan = {
    schemaVersion: 1,
    network: 'fasthebb-small',
    dataset: { name: 'glyphs', checksum: data.checksum, ...sizes },
    recipes: [run.recipe],
    seeds: 2,
    epochs: 1,
    batch: 1,
    backend: 'cpu',
    threads: 1,
    target: 0.9,
    code: '',
  };
  const record = new RunRecord(new MemoryStorage());
  expect(await trainedModel(plan, run, data, record)).toBeNull();
  const { model, phases } = buildRun(plan, run, data);
  const before = tf.memory().numTensors;
  const { weights } = await train({ model, phases, data, seed: run.seed, record, clock, backend: 'cpu' });
  expect(tf.memory().numTensors).toBe(before);
  model.dispose();
  const trained = await trainedModel(plan, run, data, record);
  expect(await weightsChecksum(trained!)).toBe(weights);
  trained?.dispose();
});
