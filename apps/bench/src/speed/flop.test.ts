import { chain, gradientDescent, local, scaleBy } from '@ghl/core';
import { networks } from '@ghl/models';
import { oja } from '@ghl/rule-oja';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { assignmentOf } from '@ghl/race';
import { layers, sequential } from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { flopPerImage } from './flop.js';

beforeAll(() => tf.setBackend('cpu'));

const gigaflop = (network: keyof typeof networks, recipe: string) => {
  const model = networks[network].build();
  const flop = flopPerImage(model, assignmentOf({ name: recipe }, network, 1));
  model.dispose();
  return flop / 1e9;
};

describe('the operations of a step', () => {
  it.each([
    ['deephebb', 2.58, 3.44],
    ['fasthebb', 0.33, 0.43],
  ] as const)('of %s are %d GFLOP an image by back-propagation, %d by GHL', (network, backprop, ghl) => {
    expect(gigaflop(network, 'backprop')).toBeCloseTo(backprop, 2);
    expect(gigaflop(network, 'ghl')).toBeCloseTo(ghl, 2);
    // The sign alone asks for no activity.
    expect(gigaflop(network, 'signOnly')).toBe(gigaflop(network, 'backprop'));
  });

  it('count exactly the products that a step computes', () => {
    const model = sequential({
      layers: [
        layers.conv2d({ name: 'conv', inputShape: [9, 9, 2], filters: 3, kernelSize: 3, strides: 2 }),
        layers.flatten(),
        layers.dense({ name: 'hidden', units: 5 }),
        layers.dense({ name: 'out', units: 4 }),
      ],
    });
    const conv = 2 * (4 * 4) * (3 * 3 * 2) * 3;
    const [hidden, out] = [2 * 48 * 5, 2 * 5 * 4];
    const descend = chain(gradientDescent(), scaleBy(1));
    const rule = chain(local(oja()), scaleBy(1));
    expect(flopPerImage(model, { '*': descend })).toBe(2 * conv + 3 * hidden + 3 * out);
    // Nothing before the last layer reads a gradient, so there is no way back through it.
    expect(flopPerImage(model, { conv: rule, hidden: rule, '*': descend })).toBe(2 * conv + 2 * hidden + 2 * out);
    expect(flopPerImage(model, { conv: null, '*': descend })).toBe(conv + 2 * hidden + 3 * out);
    model.dispose();
  });
});
