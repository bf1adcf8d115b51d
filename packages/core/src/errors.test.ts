import { describe, expect, it } from 'vitest';
import * as errors from './errors.js';

const { ConfigurationError, GhlError, nearest, StateError, unknownName } = errors;

it('gives an error a class, a code, a help line and a cause', () => {
  const cause = new Error('disk');
  const error = new StateError('CORRUPT_STATE', '3 bytes are not a state.', 'pass them all.', cause);
  expect(error).toBeInstanceOf(GhlError);
  expect(error.name).toBe('StateError');
  expect(error.code).toBe('CORRUPT_STATE');
  expect(error.message).toBe('3 bytes are not a state.\nhelp: pass them all.');
  expect(error.help).toBe('pass them all.');
  expect(error.cause).toBe(cause);
});

const classes = Object.entries(errors).filter(([name]) => name.endsWith('Error') && name[0] === name[0]!.toUpperCase());

it.each(classes as [string, typeof GhlError][])('%s keeps its name in minified code', (name, Class) => {
  const renamed = { x: class extends Class {} }.x;
  expect(new renamed('BAD_VALUE', 'x', 'y').name).toBe(name);
});

describe('nearest', () => {
  const names = ['fasthebb', 'deephebb', 'swta'];

  it.each([
    ['fasthep', 'fasthebb'],
    ['FastHebb', 'fasthebb'],
    ['deephbeb', 'deephebb'],
    ['swat', 'swta'],
  ])('finds for %s the name %s', (name, meant) => expect(nearest(name, names)).toBe(meant));

  it.each(['resnet', 'x', 'momentum'])('finds no name near %s', (name) => expect(nearest(name, names)).toBeUndefined());

  it('finds nothing among no candidates', () => expect(nearest('swta', [])).toBeUndefined());
});

describe('unknownName', () => {
  it('suggests the nearest name, lists the known names, and has the code of its kind', () => {
    const error = unknownName('data set', 'cifar11', ['cifar10', 'mnist']);
    expect(error).toBeInstanceOf(ConfigurationError);
    expect(error.code).toBe('UNKNOWN_DATA_SET');
    expect(error.message).toBe("There is no data set 'cifar11'.\nhelp: did you mean 'cifar10'? Known: cifar10, mnist.");
  });

  it('suggests no name that is too different', () => {
    expect(unknownName('layer', 'conv1', []).help).toBe('Known: none.');
  });
});
