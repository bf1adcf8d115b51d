import { glyphs } from '@ghl/datasets';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { layers, sequential } from '@tensorflow/tfjs-layers';
import { beforeEach, expect, it } from 'vitest';
import { evaluate } from './evaluation.js';

beforeEach(async () => {
  await tf.setBackend('cpu');
});

it('averages over images and not over batches', async () => {
  const data = await glyphs({ trainSize: 1, validationSize: 0, testSize: 23 });
  const model = sequential({
    layers: [layers.flatten({ inputShape: [32, 32, 3] }), layers.dense({ units: 10, activation: 'softmax' })],
  });
  const batch = await (await data.test.batches({ batchSize: 23, shuffle: false }).iterator()).next();
  const { xs, ys } = batch.value;
  const predictions = model.predict(xs) as tf.Tensor2D;
  const [probabilities, labels] = [await predictions.array(), await ys.array()];
  let [loss, correct] = [0, 0];
  probabilities.forEach((row, i) => {
    const label = labels[i]?.indexOf(1) as number;
    loss -= Math.log(Math.max(row[label] as number, 1e-7));
    correct += row.indexOf(Math.max(...row)) === label ? 1 : 0;
  });
  for (const batchSize of [1, 7, 23, 100]) {
    const score = await evaluate(model, data.test, batchSize);
    expect(score?.accuracy).toBeCloseTo(correct / 23, 12);
    expect(score?.loss).toBeCloseTo(loss / 23, 4);
  }
  expect(await evaluate(model, data.validation, 8)).toBeNull();
  tf.dispose([xs, ys, predictions]);
  model.dispose();
});
