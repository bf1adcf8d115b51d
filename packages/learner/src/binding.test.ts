/** The check of the model before each step. */
import '@tensorflow/tfjs-backend-cpu';
import { sgd } from '@ghl/core';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, expect, it } from 'vitest';
import { bindTo, checkUnchanged, release } from './binding.js';
import { own } from './model.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

it('checks a model at a cost linear in its number of layers', () => {
  const reads = (count: number) => {
    const layers = Array.from({ length: count }, () => tfl.layers.dense({ units: 1, inputShape: [1] }));
    const binding = bindTo(own(tfl.sequential({ layers })), { '*': sgd(0.1) });
    own({ dispose: () => release(binding) });
    let total = 0;
    const counted = binding.plan.layers.map(({ layer, ...rest }) => ({
      ...rest,
      get layer() {
        total += 1;
        return layer;
      },
    }));
    checkUnchanged({ ...binding, plan: { ...binding.plan, layers: counted } });
    return total;
  };
  const [few, many] = [reads(10), reads(40)];
  expect(many).toBeLessThanOrEqual(4 * few);
});
