import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { expect, it } from 'vitest';
import { linearProbe } from './index.js';
import { identity, inScope, nested, oneHot } from './models.fixture.js';

type Rows = number[][];

inScope();

/** Solves A·X = B by Gaussian elimination. */
function solved(a: Rows, b: Rows): Rows {
  const rows = a.map((row, i) => [...row, ...b[i]!]);
  const n = a.length;
  for (let i = 0; i < n; i++) {
    const pivot = rows.slice(i).reduce((best, row) => (Math.abs(row[i]!) > Math.abs(best[i]!) ? row : best));
    rows.splice(rows.indexOf(pivot), 1);
    rows.splice(i, 0, pivot);
    for (let j = 0; j < n; j++) {
      if (j === i) continue;
      const factor = rows[j]![i]! / pivot[i]!;
      rows[j] = rows[j]!.map((value, c) => value - factor * pivot[c]!);
    }
  }
  return rows.map((row, i) => row.slice(n).map((value) => value / row[i]!));
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Accuracy of ridge regression in float64, by its definition. */
function ridge(
  train: Rows,
  labels: number[],
  test: Rows,
  expected: number[],
  classes: number,
  penalty: number,
): number {
  const features = train[0]!.map((_, i) => i);
  const middles = features.map((i) => mean(train.map((row) => row[i]!)));
  const spreads = features.map((i) => Math.sqrt(mean(train.map((row) => (row[i]! - middles[i]!) ** 2))));
  const standard = (rows: Rows) => rows.map((row) => row.map((value, i) => (value - middles[i]!) / spreads[i]!));
  const z = standard(train);
  const shares = Array.from({ length: classes }, (_, c) => mean(labels.map((label) => Number(label === c))));
  const a = features.map((i) => features.map((j) => mean(z.map((row) => row[i]! * row[j]!)) + (i === j ? penalty : 0)));
  const b = features.map((i) => shares.map((_, c) => mean(z.map((row, n) => row[i]! * Number(labels[n] === c)))));
  const weights = solved(a, b);
  const correct = standard(test).filter((row, n) => {
    const scores = shares.map((share, c) => share + row.reduce((sum, value, i) => sum + value * weights[i]![c]!, 0));
    return scores.indexOf(Math.max(...scores)) === expected[n];
  });
  return correct.length / test.length;
}

const labelsOf = (seed: number, count: number, classes: number) =>
  nested(seed, [count]).map((value) => Math.floor(Math.abs(value) * 1000) % classes);

it.each([1, 2, 3, 4, 5, 6, 7, 8])('classifies as ridge regression in float64 does, seed %i', async (seed) => {
  const [features, classes, penalty] = [6, 3, [0.01, 0.1, 1, 10][seed % 4]!];
  const labels = labelsOf(seed, 50, classes);
  const expected = labelsOf(seed + 100, 200, classes);
  const rows = (offset: number, classOf: number[]) =>
    nested(seed + offset, [classOf.length, features]).map((row, n) =>
      row.map((value, i) => 3 ** i * (value + (i === classOf[n] ? 0.8 : 0)) + 10 * i),
    );
  const [train, test] = [rows(200, labels), rows(300, expected)];
  const { accuracy } = await linearProbe(identity([features]), 'same', {
    train: { xs: tf.tensor2d(train), ys: oneHot(labels, classes) },
    test: { xs: tf.tensor2d(test), ys: oneHot(expected, classes) },
    penalty,
    batchSize: 16,
  });
  expect(accuracy).toBe(ridge(train, labels, test, expected, classes, penalty));
  expect(accuracy).toBeGreaterThan(0.3);
});

it('separates linearly separable classes completely', async () => {
  const labels = labelsOf(1, 60, 4);
  const xs = tf.tensor2d(nested(2, [60, 4]).map((row, n) => row.map((x, i) => x / 10 + Number(i === labels[n]))));
  const examples = { xs, ys: oneHot(labels, 4) };
  expect(await linearProbe(identity([4]), 'same', { train: examples, test: examples })).toEqual({
    accuracy: 1,
    features: 4,
  });
});

it('ignores features that are constant, and those that are 0', async () => {
  const labels = labelsOf(1, 40, 2);
  const rows = nested(2, [40, 2]).map((row, n) => [row[0]! + (labels[n] ? 1 : -1), 1234.567, 0, row[1]!]);
  const examples = (xs: Rows) => ({ xs: tf.tensor2d(xs), ys: oneHot(labels, 2) });
  const all = examples(rows);
  const varying = examples(rows.map((row) => [row[0]!, row[3]!]));
  const { accuracy } = await linearProbe(identity([4]), 'same', { train: all, test: all });
  const without = await linearProbe(identity([2]), 'same', { train: varying, test: varying });
  expect(accuracy).toBe(without.accuracy);
});

it('averages an image over quadrants, over a grid, or not at all', async () => {
  const xs = tf.tensor4d(nested(1, [4, 5, 5, 3]));
  const examples = { xs, ys: oneHot([0, 1, 0, 1], 2) };
  const features = async (pool?: number | null) =>
    (
      await linearProbe(identity([5, 5, 3]), 'same', {
        train: examples,
        test: examples,
        ...(pool !== undefined && { pool }),
      })
    ).features;
  expect([await features(), await features(1), await features(3), await features(9), await features(null)]).toEqual([
    12, 3, 27, 75, 75,
  ]);
});

it('rejects NaN, no examples, too many features and unknown names', async () => {
  const examples = { xs: tf.tensor2d([[1], [Number.NaN]]), ys: oneHot([0, 1], 2) };
  const finite = { xs: tf.tensor2d([[1], [2]]), ys: oneHot([0, 1], 2) };
  const none = { xs: tf.zeros([0, 1]), ys: tf.zeros([0, 2]) as tf.Tensor2D };
  const model = identity([1]);
  const code = (value: string) => expect.objectContaining({ code: value });
  const probe = (options: object, layer = 'same') =>
    linearProbe(model, layer, { train: finite, test: finite, ...options });
  await expect(probe({ train: examples })).rejects.toEqual(code('NON_FINITE_ACTIVATION'));
  await expect(probe({ test: examples })).rejects.toEqual(code('NON_FINITE_ACTIVATION'));
  await expect(probe({ train: none })).rejects.toEqual(code('NO_EXAMPLES'));
  await expect(probe({ test: none })).rejects.toEqual(code('NO_EXAMPLES'));
  await expect(probe({}, 'some')).rejects.toEqual(code('UNKNOWN_LAYER'));
  await expect(probe({ penalty: 0 })).rejects.toEqual(code('BAD_VALUE'));
  await expect(probe({ batchSize: 0 })).rejects.toEqual(code('BAD_VALUE'));
  await expect(probe({ lambda: 1 })).rejects.toEqual(code('UNKNOWN_OPTION'));
  const wide = { xs: tf.zeros([1, 8193]), ys: oneHot([0], 2) };
  await expect(linearProbe(identity([8193]), 'same', { train: wide, test: wide })).rejects.toEqual(
    code('TOO_MANY_FEATURES'),
  );
});
