import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';

it('fails a test that leaks a tensor, disposes a tensor of another test, or prints', async () => {
  const json = await new Promise<string>((done) => {
    const args = ['run', '--config', resolve(import.meta.dirname, 'fixtures/vitest.config.ts'), '--reporter=json'];
    execFile(resolve('node_modules/.bin/vitest'), args, (_error, stdout) => done(stdout));
  });
  const { testResults } = JSON.parse(json) as {
    testResults: { assertionResults: { title: string; status: string }[] }[];
  };
  const results = testResults.flatMap((file) => file.assertionResults);
  expect(results).toHaveLength(6);
  for (const { title, status } of results) expect(`${title}: ${status}`).toMatch(/^(pass: .*passed|fail: .*failed)$/);
});

it('compares numbers, arrays and tensors within the tolerance', () => {
  expect(1).toBeAllClose(1 + 1e-6);
  expect([[100, 2]]).toBeAllClose([[101, 2]], { rtol: 0.01 });
  expect(Float64Array.of(0, 1e-3)).toBeAllClose([0, 0], { atol: 1e-3 });
  expect([Number.POSITIVE_INFINITY]).toBeAllClose([Number.POSITIVE_INFINITY]);
  const identity = tf.eye(2);
  expect(identity).toBeAllClose([
    [1, 0],
    [0, 1],
  ]);
  identity.dispose();
});

it('reports the values that are not close, and their places', () => {
  expect(() => expect([1, 2, 3]).toBeAllClose([1, 2.5, 3.1])).toThrow(/2 of 3 .* flat index 1: 2, expected 2\.5/);
  expect(() => expect([[1], [2]]).toBeAllClose([1, 2])).toThrow('shape [2,1] is not the expected shape [2]');
  expect(() => expect([Number.NaN]).toBeAllClose([Number.NaN])).toThrow('flat index 0: NaN');
  expect(() => expect([1]).not.toBeAllClose([1])).toThrow('all 1 numbers are close');
  expect(() => expect([[1, 2], [3]]).toBeAllClose([1])).toThrow('Ragged');
});
