/** A program that tests/bundled.test.ts bundles into one file. It trains, and prints its result or its error. */
import { activate, deactivate, type WasmOptions } from '@ghl/backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { layers, sequential } from '@tensorflow/tfjs-layers';

async function train(options: WasmOptions): Promise<object> {
  const { threads, notes } = await activate(options);
  const model = sequential({ layers: [layers.lstm({ units: 2, inputShape: [4, 3] })] });
  model.compile({ optimizer: tf.train.sgd(0.1), loss: 'meanSquaredError' });
  const loss = await model.trainOnBatch(tf.zeros([2, 4, 3]), tf.ones([2, 2]));
  await deactivate();
  return { threads, notes, loss };
}

const print = (result: object) => process.stdout.write(`${JSON.stringify(result)}\n`);
train(JSON.parse(process.argv[2] as string) as WasmOptions).then(print, ({ code, message, help }) =>
  print({ code, message, help }),
);
