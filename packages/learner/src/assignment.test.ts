import '@tensorflow/tfjs-backend-cpu';
import { chain, gradientDescent, local, maxAbs, type Plasticity, scaleBy, threeFactor } from '@ghl/core';
import { scalar } from '@ghl/modulator-scalar';
import { sign } from '@ghl/modulator-sign';
import { oja } from '@ghl/rule-oja';
import { swta } from '@ghl/rule-swta';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, it } from 'vitest';
import { assignmentFrom, assignmentSpec, resolve } from './assignment.js';
import { type Assignment, plasticOptimizer } from './index.js';
import { own } from './model.fixture.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const rule = threeFactor(maxAbs(swta()), sign());
const rest = chain(gradientDescent(), scaleBy(0.1));

function nested(): tfl.LayersModel {
  const inner = own(
    tfl.sequential({
      name: 'inner',
      layers: [
        tfl.layers.conv2d({ name: 'conv', filters: 2, kernelSize: 2, padding: 'same', inputShape: [3, 3, 2] }),
        tfl.layers.conv2d({ name: 'conv_B', filters: 2, kernelSize: 2, padding: 'same' }),
      ],
    }),
  ); // a nested model must outlive its outer model
  return own(
    tfl.sequential({
      layers: [
        tfl.layers.conv2d({ name: 'first', filters: 2, kernelSize: 2, padding: 'same', inputShape: [3, 3, 1] }),
        inner,
        tfl.layers.batchNormalization({ name: 'bn' }),
        tfl.layers.flatten({ name: 'flatten' }),
        tfl.layers.dense({ name: 'out', units: 2 }),
      ],
    }),
  );
}

/** The selector of the updater of each weight, by path. */
function selectors(model: tfl.LayersModel, assignment: Assignment): Record<string, string> {
  return Object.fromEntries(resolve(model, assignment).weights.map(({ path, selector }) => [path, selector]));
}

describe('selectors', () => {
  it('selectors match weight paths of every layer, including nested models', () => {
    expect(Object.keys(selectors(nested(), { '*': rest }))).toEqual([
      'first/kernel',
      'first/bias',
      'inner/conv/kernel',
      'inner/conv/bias',
      'inner/conv_B/kernel',
      'inner/conv_B/bias',
      'bn/gamma',
      'bn/beta',
      'out/kernel',
      'out/bias',
    ]);
  });

  it("selectors take precedence in the order weight, layer, nested model, pattern, '*'", () => {
    expect(
      selectors(nested(), {
        '*': rest,
        '**/conv*': rest,
        inner: rest,
        'inner/conv': rest,
        'inner/conv/bias': rest,
      }),
    ).toEqual({
      'first/kernel': '*',
      'first/bias': '*',
      'inner/conv/kernel': 'inner/conv',
      'inner/conv/bias': 'inner/conv/bias',
      'inner/conv_B/kernel': 'inner',
      'inner/conv_B/bias': 'inner',
      'bn/gamma': '*',
      'bn/beta': '*',
      'out/kernel': '*',
      'out/bias': '*',
    });
  });

  it('the bias of a plastic layer belongs to the next matching selector', () => {
    const selected = selectors(nested(), {
      first: rule,
      'inner/conv': rule,
      inner: rest,
      'inner/conv_*': rule,
      out: rule,
      '*/bias': rest,
      '*': chain(gradientDescent(), scaleBy(1)),
    });
    expect(selected).toMatchObject({
      'first/kernel': 'first',
      'first/bias': '*/bias',
      'inner/conv/kernel': 'inner/conv',
      'inner/conv/bias': 'inner',
      'inner/conv_B/kernel': 'inner',
      'inner/conv_B/bias': 'inner',
      'bn/gamma': '*',
      'out/kernel': 'out',
      'out/bias': '*/bias',
    });
  });

  it.each([
    ['*/bias', ['first/bias', 'out/bias']],
    ['**/bias', ['first/bias', 'inner/conv/bias', 'inner/conv_B/bias', 'out/bias']],
    ['inner/*', ['inner/conv/kernel', 'inner/conv/bias', 'inner/conv_B/kernel', 'inner/conv_B/bias']],
    ['**/conv*', ['inner/conv/kernel', 'inner/conv/bias', 'inner/conv_B/kernel', 'inner/conv_B/bias']],
    ['b*', ['bn/gamma', 'bn/beta']],
    [
      '**',
      [
        'first/kernel',
        'first/bias',
        'inner/conv/kernel',
        'inner/conv/bias',
        'inner/conv_B/kernel',
        'inner/conv_B/bias',
        'bn/gamma',
        'bn/beta',
        'out/kernel',
        'out/bias',
      ],
    ],
  ])('matches a selector as a pattern: %s', (pattern, expected) => {
    const selected = selectors(nested(), { [pattern]: rest, '*': null });
    expect(Object.keys(selected).filter((path) => selected[path] === pattern)).toEqual(expected);
  });

  it('matches a dot in a name literally', () => {
    const model = own(
      tfl.sequential({
        layers: [
          tfl.layers.dense({ name: 'block.1', units: 2, inputShape: [2] }),
          tfl.layers.dense({ name: 'blockx1', units: 2 }),
        ],
      }),
    );
    expect(selectors(model, { 'block.*': rest, '*': null })).toMatchObject({
      'block.1/kernel': 'block.*',
      'blockx1/kernel': '*',
    });
  });
});

describe('an invalid assignment', () => {
  const refused = (assignment: unknown, expected: { code: string; [key: string]: unknown }) => {
    const model = nested();
    const before = tf.memory().numTensors;
    expect(() => plasticOptimizer(model, assignment as Assignment)).toThrow(expect.objectContaining(expected));
    expect(tf.memory().numTensors).toBe(before);
  };

  it('rejects an unknown layer and suggests the nearest name', () => {
    refused(
      { frist: rule, '*': rest },
      { code: 'UNKNOWN_LAYER', message: expect.stringContaining("did you mean 'first'") },
    );
    refused(
      { 'inner/conv/kernle': rule, '*': rest },
      { code: 'UNKNOWN_LAYER', message: expect.stringContaining("did you mean 'inner/conv/kernel'") },
    );
    // The path of a nested layer includes its model.
    refused({ conv: rule, '*': rest }, { code: 'UNKNOWN_LAYER', message: expect.stringContaining('inner/conv') });
  });

  it('rejects a pattern that matches nothing', () => {
    refused({ 'cnv*': rule, '*': rest }, { code: 'SELECTOR_UNMATCHED', message: expect.stringContaining("'cnv*'") });
  });

  it('rejects two patterns on one weight', () => {
    refused(
      { 'f*': rule, '*t': rule, '*': rest },
      { code: 'TWO_PATTERNS', message: expect.stringMatching(/'f\*'.*'\*t'|'\*t'.*'f\*'/) },
    );
  });

  it('accepts two patterns on one weight if a name takes precedence', () => {
    const model = nested();
    expect(selectors(model, { 'f*': rule, '*t': rule, first: rest, '*': rest })['first/kernel']).toBe('first');
  });

  it('rejects a trainable weight without a selector', () => {
    refused(
      { first: rule },
      { code: 'UNCLAIMED_WEIGHT', message: expect.stringContaining('first/bias, inner/conv/kernel') },
    );
    refused({ '*': rule }, { code: 'UNCLAIMED_WEIGHT', message: expect.stringContaining('bn/gamma') });
    refused({}, { code: 'UNCLAIMED_WEIGHT' });
  });

  it('rejects a rule on a bias', () => {
    refused(
      { 'first/bias': rule, '*': rest },
      { code: 'RULE_ON_BIAS', message: expect.stringContaining('first/bias') },
    );
  });

  it('rejects a rule on a layer or weight that no rule can move', () => {
    refused(
      { bn: rule, '*': rest },
      { code: 'UNSUPPORTED_LAYER', message: expect.stringContaining('BatchNormalization') },
    );
    refused({ 'bn/gamma': rule, '*': rest }, { code: 'UNSUPPORTED_LAYER' });
  });

  it('rejects a selector that matches nothing that its updater can move', () => {
    refused(
      { flatten: rest, '*': rest },
      { code: 'SELECTOR_CLAIMS_NOTHING', message: expect.stringContaining("'flatten'") },
    );
    refused({ flatten: rule, '*': rest }, { code: 'SELECTOR_CLAIMS_NOTHING' });
    refused(
      { '*/bias': rule, '*': rest },
      { code: 'SELECTOR_CLAIMS_NOTHING', message: expect.stringContaining('kernels') },
    );
  });

  it('rejects a rule, a modulator or any other value in place of a plasticity', () => {
    refused({ first: swta(), '*': rest }, { code: 'BAD_UPDATER', message: expect.stringContaining('swta(…)') });
    refused({ first: sign(), '*': rest }, { code: 'BAD_UPDATER', message: expect.stringContaining('sign(…)') });
    refused(
      { first: scaleBy(0.1), '*': rest },
      { code: 'BAD_UPDATER', message: expect.stringContaining('scaleBy(…)') },
    );
    for (const wrong of [undefined, 0.1, 'sgd', () => rule, {}, [rule]]) {
      refused({ first: wrong, '*': rest }, { code: 'BAD_UPDATER', message: expect.stringContaining("'first'") });
    }
  });

  it('rejects an assignment that is not a record of updaters', () => {
    for (const wrong of [undefined, null, 0.1, 'sgd', [rule], rest, own(tf.train.adam())]) {
      refused(wrong, { code: 'BAD_ASSIGNMENT' });
    }
  });
});

describe('a rule on an unsupported layer', () => {
  const images: Record<string, (name: string) => tfl.layers.Layer> = {
    SeparableConv2D: (name) => tfl.layers.separableConv2d({ name, filters: 2, kernelSize: 2 }),
    Conv2DTranspose: (name) => tfl.layers.conv2dTranspose({ name, filters: 2, kernelSize: 2 }),
    channelsFirst: (name) => tfl.layers.conv2d({ name, filters: 2, kernelSize: 2, dataFormat: 'channelsFirst' }),
    groups: (name) => Object.assign(tfl.layers.conv2d({ name, filters: 2, kernelSize: 2 }), { groups: 2 }),
    dilationRate: (name) => tfl.layers.depthwiseConv2d({ name, kernelSize: 2, dilationRate: 2 }),
  };
  it.each(Object.keys(images))('rejects a rule on a layer of %s', (what) => {
    const model = own(
      tfl.sequential({
        layers: [
          tfl.layers.activation({ activation: 'relu', inputShape: [4, 4, 4] }),
          images[what]?.('odd') as tfl.layers.Layer,
        ],
      }),
    );
    const before = tf.memory().numTensors;
    expect(() => plasticOptimizer(model, { odd: rule, '*': rest })).toThrow(
      expect.objectContaining({
        name: 'UnsupportedError',
        code: 'UNSUPPORTED_LAYER',
        message: expect.stringContaining(what),
        help: expect.stringContaining('Dense, Conv1D, Conv2D and DepthwiseConv2D'),
      }),
    );
    expect(tf.memory().numTensors).toBe(before);
    own(plasticOptimizer(model, { '*': rest }));
  });

  it('rejects a rule on a recurrent layer', () => {
    const lstm = tfl.layers.lstm({ name: 'lstm', units: 2, recurrentInitializer: 'zeros', inputShape: [3, 2] });
    const model = own(tfl.sequential({ layers: [lstm] }));
    expect(() => plasticOptimizer(model, { lstm: rule, '*': rest })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_LAYER', message: expect.stringContaining('LSTM') }),
    );
    expect(() => plasticOptimizer(model, { '*': rule })).toThrow(
      expect.objectContaining({ code: 'UNCLAIMED_WEIGHT', message: expect.stringContaining('lstm/recurrent_kernel') }),
    );
  });

  it('rejects a rule on causal padding, which tfjs does not implement', () => {
    const conv = tfl.layers.conv1d({ name: 'conv', filters: 2, kernelSize: 2, padding: 'causal', inputShape: [4, 2] });
    const model = own(tfl.sequential({ layers: [conv] }));
    expect(() => plasticOptimizer(model, { conv: rule, '*': rest })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_LAYER', message: expect.stringContaining('causal') }),
    );
  });
});

describe('an invalid model', () => {
  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a layer', { name: 'conv' }],
    ['a graph model', new (class GraphModel {})()],
  ])('rejects a model that is %s', (_, model) => {
    expect(() => plasticOptimizer(model as tfl.LayersModel, { '*': rest })).toThrow(
      expect.objectContaining({ name: 'UnsupportedError', code: 'NOT_A_MODEL' }),
    );
  });

  it('rejects a model without weights', () => {
    expect(() => plasticOptimizer(tfl.sequential(), { '*': rest })).toThrow(
      expect.objectContaining({ code: 'NO_WEIGHTS' }),
    );
  });
});

describe('the spec of an assignment', () => {
  it('rebuilds an assignment from its spec, including tfjs optimizers', () => {
    const adam = own(tf.train.adam(0.02, 0.8));
    const assignment: Assignment = {
      conv_1: rule,
      aB: null,
      'x/kernel': chain(local(oja()), scaleBy(0.1)),
      y: adam,
      z: adam,
      '*': threeFactor(oja(), scalar()),
    };
    const spec = JSON.parse(JSON.stringify(assignmentSpec(assignment)));
    const rebuilt = assignmentFrom(spec, { swta, sign, oja, scalar });
    expect(assignmentSpec(rebuilt)).toEqual(spec);
    expect(Object.keys(rebuilt)).toEqual(Object.keys(assignment));
    expect((rebuilt.conv_1 as Plasticity).spec).toEqual(rule.spec);
    expect(rebuilt.aB).toBeNull();
    expect(own(rebuilt.y as tf.Optimizer).getConfig()).toEqual(adam.getConfig());
    // One optimizer under two selectors is rebuilt as one optimizer.
    expect(rebuilt.z).toBe(rebuilt.y);
  });

  it('throws with the name of an unknown optimizer or factory', () => {
    expect(() => assignmentFrom({ '*': { optimizer: 'Adan', config: {} } }, {})).toThrow(
      expect.objectContaining({ code: 'UNKNOWN_OPTIMIZER', message: expect.stringContaining("did you mean 'Adam'") }),
    );
    expect(() => assignmentFrom(assignmentSpec({ '*': rule }), {})).toThrow(
      expect.objectContaining({ code: 'UNKNOWN_FACTORY' }),
    );
  });
});
