/** A layer that divides after its net input, under a local rule: the rule must see the input times the weights. */
import { chain, gradientDescent, local, scaleBy, threeFactor } from '@ghl/core';
import { plasticOptimizer } from '@ghl/learner';
import { unitNormConv2d } from '@ghl/models';
import { sign } from '@ghl/modulator-sign';
import { hebb } from '@ghl/rule-hebb';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { initializers, layers, sequential } from '@tensorflow/tfjs-layers';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';

beforeAll(async () => {
  await tf.setBackend('cpu');
});
beforeEach(() => tf.engine().startScope());
afterEach(() => {
  tf.engine().endScope();
  tf.disposeVariables();
});

const build = () =>
  sequential({
    layers: [
      unitNormConv2d({
        name: 'conv',
        filters: 2,
        kernelSize: 2,
        kernelInitializer: initializers.randomNormal({ stddev: 2, seed: 3 }),
        inputShape: [3, 3, 1],
      }),
      layers.flatten(),
    ],
  });
const x = () => tf.randomNormal([2, 3, 3, 1], 0, 1, 'float32', 1);
const targets = () => tf.randomNormal([2, 8], 0, 1, 'float32', 2);

/** The change of the kernel in one step of size 1. */
function change(plasticity: Parameters<typeof plasticOptimizer>[1]['conv']) {
  const model = build();
  const optimizer = plasticOptimizer(model, { conv: plasticity });
  const kernel = model.getWeights()[0]!.clone();
  const output = model.predict(x()) as tf.Tensor;
  optimizer.minimize(() => tf.sum(tf.square(tf.sub(model.apply(x()) as tf.Tensor, targets()))) as tf.Scalar);
  const result = { kernel, output, change: tf.sub(model.getWeights()[0]!, kernel) };
  optimizer.dispose();
  return result;
}

it('gives a local rule the net input before the division', () => {
  const step = change(local(hebb()));
  const y = tf.conv2d(x() as tf.Tensor4D, step.kernel as tf.Tensor4D, 1, 'valid');
  const patches = tf.concat(
    [0, 1, 2, 3].map((d) => tf.reshape(tf.slice(x(), [0, d >> 1, d & 1, 0], [2, 2, 2, 1]), [8, 1])),
    1,
  );
  const expected = tf.matMul(patches, tf.reshape(y, [8, 2]), true);
  const ratio = tf.div(tf.reshape(step.change, [4, 2]), expected).dataSync();
  expect(ratio).toBeAllClose(Array(8).fill(ratio[0]!), { rtol: 1e-4 });
});

it('descends the gradient of the divided output, which is orthogonal to each unit', () => {
  const { kernel, change: increment, output } = change(chain(gradientDescent(), scaleBy(1)));
  expect(tf.sum(tf.mul(increment, kernel), [0, 1, 2]).dataSync()).toBeAllClose([0, 0], { atol: 1e-3 });
  expect(tf.max(tf.abs(increment)).dataSync()[0]).toBeGreaterThan(0.01);
  const y = tf.conv2d(x() as tf.Tensor4D, kernel as tf.Tensor4D, 1, 'valid');
  const norms = tf.sqrt(tf.sum(tf.square(kernel), [0, 1, 2]));
  expect(output).toBeAllClose(tf.reshape(tf.div(y, norms), [2, 8]), { rtol: 1e-4, atol: 1e-5 });
});

it('combines both in a three-factor rule, with the gradient of the divided output', () => {
  const rule = change(local(hebb())).change;
  const descent = change(chain(gradientDescent(), scaleBy(1))).change;
  const both = change(threeFactor(hebb(), sign())).change;
  expect(both).toBeAllClose(tf.mul(tf.sign(descent), tf.abs(rule)), { rtol: 1e-4, atol: 1e-5 });
});
