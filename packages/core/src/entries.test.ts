import { expect, it } from 'vitest';
import * as backend from './backend/index.js';
import * as engine from './engine/index.js';
import * as root from './index.js';
import * as plugin from './plugin.js';

it('exports each name from exactly one entry of the package', () => {
  const names = [root, plugin, engine, backend].flatMap((entry) => Object.keys(entry));
  expect(names.length).toBe(new Set(names).size);
});

it('exports to users only the names that they type in a program', () => {
  expect(Object.keys(root).sort()).toEqual([
    'ConfigurationError',
    'DataError',
    'GhlError',
    'NonFiniteError',
    'SignalError',
    'StateError',
    'UnsupportedError',
    'adam',
    'bounds',
    'chain',
    'clipByNorm',
    'clipByValue',
    'constant',
    'cosine',
    'currentSpec',
    'dale',
    'decayWeights',
    'ema',
    'exponential',
    'fromSpec',
    'gradientDescent',
    'join',
    'keepZeros',
    'linear',
    'lion',
    'local',
    'maxAbs',
    'momentum',
    'normalizeUnits',
    'oneCycle',
    'permuted',
    'piecewise',
    'power',
    'presynaptic',
    'rms',
    'scaleBy',
    'sgd',
    'sum',
    'threeFactor',
    'trace',
    'unitNorm',
    'unitStep',
    'variable',
    'warmUp',
  ]);
});
