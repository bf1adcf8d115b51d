/** The cases of a backend: its kernels against float64 loops, and its description of itself. */
import { type BackendAdapter, UnsupportedError } from '@ghl/core';
import type { Connection } from '@ghl/core/engine';
import { hardCompetition, softmaxCompetition } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { type ConformanceCase, check, checkClose, checkNoLeak, evaluate, evaluateOne, type Snapshot } from './case.js';
import {
  kernelRows,
  patches,
  postShapeOf,
  referenceBackward,
  referenceCorrelate,
  referenceForward,
  unitsOf,
} from './reference.js';
import { backendSamples, connectionOf, nameOf, type Sample } from './samples.js';
import { numbers } from './testing/numbers.js';

/** Facts about a backend. */
export interface BackendClaims {
  /** Largest error ÷ largest value that its matrix products and convolutions may have. Default 1e-5. */
  readonly tolerance?: number;
  /** Whether the same step on the same numbers gives the same bits. Default true. */
  readonly deterministic?: boolean;
}

const OWN_KERNELS = 'compare the kernels of this map, at this geometry, with loops over every tap.';

/**
 * The cases of a backend adapter. Each activates it first and leaves it active. Case ids: `is-supported`,
 * `activate-idempotent`, `<dense|conv1d|conv2d|depthwise>-<forward|correlate|backward>`, `shared-correlate`,
 * `elementwise`, `sign`, `softmax`, `competition`, `winners`, `deterministic`, `memory`, `reactivate`.
 *
 * A case throws ConformanceError `UNSUPPORTED` if the backend cannot run, so call `isSupported()` before you run
 * them.
 *
 * @param adapter The adapter, `backend` of its package.
 * @param claims Facts about it.
 */
export function backendCases(adapter: BackendAdapter, claims: BackendClaims = {}): ConformanceCase[] {
  const { tolerance = 1e-5, deterministic = true } = claims;
  const activated = (run: () => Promise<void>) => async () => {
    const support = await adapter.isSupported();
    if (!support.supported) check(false, 'UNSUPPORTED', `${adapter.name}: ${support.reason}`, support.help);
    await adapter.activate();
    await run();
  };
  const close = (what: string, actual: ArrayLike<number>, expected: ArrayLike<number>, bound = tolerance) =>
    checkClose(what, actual, expected, bound, OWN_KERNELS);

  const maps = Object.entries(backendSamples).flatMap(([kind, samples]) => {
    const name = kind === 'depthwiseConv2d' ? 'depthwise' : kind;
    return (['forward', 'correlate', 'backward'] as const).map(
      (map): ConformanceCase => ({
        id: `${name}-${map}`,
        title: `${name} ${map} agrees with float64 loops`,
        run: activated(async () => {
          for (const sample of samples) {
            const { actual, expected } = await MAPS[map](sample);
            close(`${map} of ${nameOf(sample)}`, actual, expected);
          }
        }),
      }),
    );
  });

  return [
    {
      id: 'is-supported',
      title: 'reports whether it runs here, with reason and help if not, and never throws',
      run: async () => {
        const support = await adapter.isSupported();
        check(
          support.supported === true || (support.reason !== '' && support.help !== ''),
          'MISMATCH',
          `isSupported() gives ${JSON.stringify(support)}.`,
          'return { supported: true }, or { supported: false, reason, help } with two strings that are not empty.',
        );
        if (support.supported) return;
        const refusal = await adapter.activate().then(
          () => undefined,
          (error: unknown) => error,
        );
        check(
          refusal instanceof UnsupportedError,
          'MISMATCH',
          `activate() gives ${String(refusal)} where isSupported() says no.`,
          'throw an UnsupportedError with the reason and help of isSupported().',
        );
      },
    },
    {
      id: 'activate-idempotent',
      title: 'activates twice without effect, and names the backend of TensorFlow.js',
      run: activated(async () => {
        const kept = tf.tensor1d([1, 2, 3]);
        try {
          const { name } = await adapter.activate();
          const help = 'return the backend that is active already, and keep its tensors.';
          check(
            name === tf.getBackend(),
            'MISMATCH',
            `activate() names '${name}', TensorFlow.js '${tf.getBackend()}'.`,
            help,
          );
          checkClose('a tensor made before the second activate()', await kept.data(), [1, 2, 3], 0, help);
        } finally {
          kept.dispose();
        }
      }),
    },
    ...maps,
    {
      id: 'shared-correlate',
      title: 'correlates several cotangents together with the results of each alone',
      run: activated(async () => {
        for (const kind of ['dense', 'conv1d', 'conv2d', 'depthwiseConv2d'] as const) {
          const sample = backendSamples[kind].at(-1) as Sample;
          const connection = connectionOf(sample.geometry);
          const actual = await evaluate(() => {
            const x = tensor(numbers(1, sample.preShape), sample.preShape);
            const shape = postShapeOf(sample.geometry, sample.preShape);
            const cotangents = [2, 3].map((seed) => tensor(numbers(seed, shape), shape));
            const alone = cotangents.map((each) => connection.correlate(x, [each])[0] as tf.Tensor);
            return { together: connection.correlate(x, cotangents), alone };
          });
          for (const i of [0, 1]) {
            const [together, alone] = [actual.get(`together/${i}`), actual.get(`alone/${i}`)] as Snapshot[];
            close(`cotangent ${i} of ${nameOf(sample)}`, (together as Snapshot).values, (alone as Snapshot).values);
          }
        }
      }),
    },
    {
      id: 'elementwise',
      title: 'computes the operations of rules and modulators as float64 does',
      run: activated(async () => {
        const [rows, columns] = [6, 5];
        const [a, b] = [numbers(1, [rows, columns], 3), numbers(2, [rows, columns], 3)];
        const divisor = b.map((value, i) => (i % 4 === 0 ? 0 : value));
        for (const [name, { run, oracle }] of Object.entries(ELEMENTWISE)) {
          const actual = await evaluateOne(() =>
            run(tf.tensor2d(a, [rows, columns]), tf.tensor2d(divisor, [rows, columns])),
          );
          close(name, actual, oracle([...a], [...divisor], columns), Math.max(tolerance, 1e-6));
        }
      }),
    },
    {
      id: 'sign',
      title: 'computes the sign of ±0, of the smallest and of the largest numbers',
      run: activated(async () => {
        const smallest = 2 ** -126;
        const samples = [0, -0, smallest, -smallest, 1e-30, -1e-30, 1, -1, 3e38, -3e38];
        const actual = await evaluateOne(() => tf.sign(tf.tensor1d(samples)));
        checkClose('sign', actual, samples.map(Math.sign), 0, 'return 0 for ±0 and ±1 for any other normal number.');
      }),
    },
    {
      id: 'softmax',
      title: 'computes the softmax of logits of ±1e3 without overflow',
      run: activated(async () => {
        const actual = await evaluateOne(() =>
          tf.softmax(
            tf.tensor2d([
              [1e3, 0, -1e3],
              [-1e3, -1e3, -1e3],
              [1e3, 1e3, -1e3],
              [1e-3, 0, -1e-3],
            ]),
          ),
        );
        const last = [1e-3, 0, -1e-3].map(Math.exp);
        const sum = last.reduce((total, each) => total + each, 0);
        const expected = [1, 0, 0, 1 / 3, 1 / 3, 1 / 3, 0.5, 0.5, 0, ...last.map((each) => each / sum)];
        checkClose('softmax', actual, expected, 1e-6, 'subtract the largest logit before the exponential.');
      }),
    },
    {
      id: 'competition',
      title: 'computes the competition at any temperature and size of y, from winner-take-all to equal shares',
      run: activated(async () => {
        const columns = 5;
        const post = [1e-20, 1e-3, 1, 1e3, 1e20, 3e38].flatMap((size, i) => [
          ...numbers(i, [columns], size),
          ...[size, size, -size, 0, size / 2].map(Math.fround),
          ...[size, size, size, size, size].map(Math.fround),
        ]);
        for (const temperature of TEMPERATURES) {
          for (const losers of [1, -1] as const) {
            const actual = await evaluate(() => {
              const y = tf.tensor2d(post, [post.length / columns, columns]);
              const { gate, overlap = tf.sum(tf.mul(gate, y), 0) } = softmaxCompetition(y, temperature, losers);
              return { gate, overlap };
            });
            const { gate, overlap } = competed(post, columns, temperature, losers);
            const where = `at τ = ${temperature}${losers === 1 ? '' : ', with losers × −1,'}`;
            const help = 'subtract the largest y of the row first, halved: y/2 − max y / 2, then multiply by 2/τ.';
            checkClose(`the gate ${where}`, (actual.get('gate') as Snapshot).values, gate, 1e-5, help);
            // Sums may exceed the range of float32.
            const bounded = (sums: ArrayLike<number>) =>
              Array.from(sums, (sum) => Math.max(-3e38, Math.min(sum, 3e38)));
            const sums = (actual.get('overlap') as Snapshot).values;
            checkClose(`Σ gate · y ${where}`, bounded(sums), bounded(overlap), 1e-5, help);
          }
        }
      }),
    },
    {
      id: 'winners',
      title: 'selects the units with the largest y, and the first of equal ones',
      run: activated(async () => {
        for (const columns of [1, 5, 70, 300, 2100]) {
          // Few distinct numbers, so most are equal to others.
          const post = numbers(3, [6, columns]).map((value) => Math.round(3 * value));
          for (const winners of [1, 3]) {
            const actual = await evaluateOne(() => hardCompetition(tf.tensor2d(post, [6, columns]), winners).gate);
            const expected = [0, 1, 2, 3, 4, 5].flatMap((p) => {
              const row = [...post.subarray(p * columns, (p + 1) * columns)];
              const order = row.map((_, k) => k).sort((j, k) => (row[k] as number) - (row[j] as number));
              return row.map((_, k) => Number(order.slice(0, winners).includes(k)));
            });
            const help =
              'return the lowest index of the largest number from ArgMax, or from your kernel of competition.';
            checkClose(`the gate of ${winners} of ${columns} units`, actual, expected, 0, help);
          }
        }
      }),
    },
    {
      id: 'deterministic',
      title: deterministic
        ? 'gives the same bits for the same step'
        : 'claims that it may give other bits for the same step',
      run: activated(async () => {
        // A backend that may give other bits need not do so each time, so no test can refute its claim.
        const first = await allMaps();
        for (let again = 0; again < 2 && deterministic; again++) {
          const differs = (await allMaps()).findIndex((value, i) => !Object.is(value, first[i]));
          check(
            differs < 0,
            'FALSE_CLAIM',
            `number ${differs} of a step differs from the same step's before.`,
            'claim deterministic: false, or sum in a fixed order.',
          );
        }
      }),
    },
    {
      id: 'memory',
      title: 'frees the memory of a step',
      run: activated(async () => {
        await allMaps();
        const { numBytes } = tf.memory();
        const { numDataIds } = tf.engine().backend as unknown as { numDataIds?(): number };
        const held = () => numDataIds?.call(tf.engine().backend);
        const before = held();
        await checkNoLeak('a step', 'dispose of intermediate tensors.', async () => {
          for (let i = 0; i < 2; i++) await allMaps();
        });
        check(
          tf.memory().numBytes === numBytes && held() === before,
          'LEAK',
          `${tf.memory().numBytes} bytes and ${held()} buffers are held after a step, ${numBytes} and ${before} before.`,
          'dispose of intermediate buffers in the kernels themselves.',
        );
      }),
    },
    {
      id: 'reactivate',
      title: 'activates again after deactivate()',
      run: activated(async () => {
        await adapter.deactivate();
        const { name } = await adapter.activate();
        check(
          name === tf.getBackend(),
          'MISMATCH',
          `'${name}' does not activate again.`,
          'undo deactivate() in activate().',
        );
        const sample = backendSamples.conv2d.at(-1) as Sample;
        const { actual, expected } = await MAPS.correlate(sample);
        close(`correlate of ${nameOf(sample)} after reactivation`, actual, expected);
      }),
    },
  ];
}

const TEMPERATURES: readonly number[] = [
  ...[Number.MIN_VALUE, 1e-300, 1e-46, 1e-40, 1e-39, 2 ** -126, 1e-37, 1e-20, 1e-3, 0.25, 1 / 0.65, 1, 4, 1e6, 1e20],
  ...[1e37, 2 ** 126, 3e38, 1e39, 1e45, 1e300, Number.MAX_VALUE],
];

/** u = softmax(y/τ) of each row, × `losers` except for the winner, and Σₚ u⊙y of each column, in float64. */
function competed(post: readonly number[], columns: number, temperature: number, losers: number) {
  const gate: number[] = [];
  const overlap = new Float64Array(columns);
  for (let at = 0; at < post.length; at += columns) {
    const row = post.slice(at, at + columns);
    const largest = Math.max(...row);
    const powers = row.map((y) => Math.exp((y - largest) / temperature));
    const winner = row.indexOf(largest);
    gate.push(...powers.map((power, k) => ((k === winner ? 1 : losers) * power) / total(powers)));
    for (const [k, y] of row.entries()) overlap[k] = (overlap[k] as number) + (gate[at + k] as number) * y;
  }
  return { gate, overlap };
}

/** The results of one map and of float64 loops on a sample. */
type Compare = (sample: Sample) => Promise<{ actual: ArrayLike<number>; expected: ArrayLike<number> }>;

function operands({ geometry, preShape }: Sample) {
  const postShape = postShapeOf(geometry, preShape);
  const [pre, kernel, cotangent] = [numbers(1, preShape), numbers(2, geometry.kernelShape), numbers(3, postShape)];
  const { fanOut } = unitsOf(geometry);
  const rows = Array.from({ length: cotangent.length / fanOut }, (_, p) =>
    Array.from(cotangent.subarray(p * fanOut, (p + 1) * fanOut)),
  );
  return { pre, kernel, cotangent, postShape, rows };
}

function compare(
  map: (connection: Connection, sample: Sample, data: ReturnType<typeof operands>) => tf.Tensor,
  oracle: (sample: Sample, data: ReturnType<typeof operands>) => ArrayLike<number>,
): Compare {
  // The loops take longer than the kernels, and their results are the same for every backend.
  const known = new Map<Sample, ArrayLike<number>>();
  return async (sample) => {
    const data = operands(sample);
    const actual = await evaluateOne(() => map(connectionOf(sample.geometry), sample, data));
    const expected = known.get(sample) ?? oracle(sample, data);
    known.set(sample, expected);
    return { actual, expected };
  };
}

const tensor = (values: Float32Array, shape: readonly number[]) => tf.tensor(values, [...shape]);

const MAPS = {
  forward: compare(
    (connection, { geometry, preShape }, { pre, kernel }) =>
      connection.forward(tensor(pre, preShape), tensor(kernel, geometry.kernelShape)),
    ({ geometry, preShape }, { pre, kernel }) =>
      referenceForward(unitsOf(geometry), patches(geometry, pre, preShape), kernelRows(geometry, kernel)).flat(),
  ),
  correlate: compare(
    (connection, { preShape }, { pre, cotangent, postShape }) =>
      connection.correlate(tensor(pre, preShape), [tensor(cotangent, postShape)])[0] as tf.Tensor,
    ({ geometry, preShape }, { pre, rows }) =>
      referenceCorrelate(unitsOf(geometry), patches(geometry, pre, preShape), rows).flat(),
  ),
  backward: compare(
    (connection, { geometry, preShape }, { kernel, cotangent, postShape }) =>
      connection.backward(tensor(cotangent, postShape), tensor(kernel, geometry.kernelShape), preShape),
    ({ geometry, preShape }, { kernel, rows }) =>
      referenceBackward(geometry, rows, kernelRows(geometry, kernel), preShape),
  ),
};

/** The numbers of every map on one layer of each connection. */
async function allMaps(): Promise<number[]> {
  const results: number[] = [];
  for (const kind of ['dense', 'conv1d', 'conv2d', 'depthwiseConv2d'] as const) {
    const { geometry, preShape } = backendSamples[kind].at(-1) as Sample;
    const connection = connectionOf(geometry);
    const actual = await evaluate(() => {
      const [x, kernel] = [
        tensor(numbers(1, preShape), preShape),
        tensor(numbers(2, geometry.kernelShape), geometry.kernelShape),
      ];
      const y = connection.forward(x, kernel);
      const gate = tf.softmax(tf.reshape(y, [-1, y.shape.at(-1) as number]));
      const correlated = connection.correlate(x, [tf.reshape(gate, y.shape)])[0] as tf.Tensor;
      return { y, correlated, back: connection.backward(y, kernel, preShape), m: tf.sum(gate, 0) };
    });
    for (const { values } of actual.values()) results.push(...Array.from(values));
  }
  return results;
}

const both = (f: (a: number, b: number) => number) => (a: number[], b: number[]) =>
  a.map((value, i) => f(value, b[i] as number));
const columnsOf = (a: number[], columns: number) =>
  Array.from({ length: columns }, (_, k) => a.filter((_, i) => i % columns === k));
const total = (a: number[]) => a.reduce((sum, value) => sum + value, 0);

interface Elementwise {
  readonly run: (a: tf.Tensor2D, b: tf.Tensor2D) => tf.Tensor;
  readonly oracle: (a: number[], b: number[], columns: number) => number[];
}

/** The operations that rules, wrappers, modulators and the engine use besides the maps; b has zeros. */
const ELEMENTWISE: Readonly<Record<string, Elementwise>> = {
  add: { run: tf.add, oracle: both((a, b) => a + b) },
  sub: { run: tf.sub, oracle: both((a, b) => a - b) },
  mul: { run: tf.mul, oracle: both((a, b) => a * b) },
  'mul by a row': {
    run: (a, b) => tf.mul(a, tf.slice(b, [0, 0], [1, -1])),
    oracle: (a, b, columns) => a.map((value, i) => value * (b[i % columns] as number)),
  },
  divNoNan: { run: tf.divNoNan, oracle: both((a, b) => (b === 0 ? 0 : a / b)) },
  neg: { run: tf.neg, oracle: both((a) => -a) },
  abs: { run: tf.abs, oracle: both(Math.abs) },
  relu: { run: tf.relu, oracle: both((a) => Math.max(a, 0)) },
  square: { run: tf.square, oracle: both((a) => a * a) },
  sqrt: { run: (a) => tf.sqrt(tf.abs(a)), oracle: both((a) => Math.sqrt(Math.abs(a))) },
  exp: { run: tf.exp, oracle: both(Math.exp) },
  sigmoid: { run: tf.sigmoid, oracle: both((a) => 1 / (1 + Math.exp(-a))) },
  greater: { run: (a, b) => tf.cast(tf.greater(a, b), 'float32'), oracle: both((a, b) => Number(a > b)) },
  'sum over rows': { run: (a) => tf.sum(a, 0), oracle: (a, _, columns) => columnsOf(a, columns).map(total) },
  'mean over rows': {
    run: (a) => tf.mean(a, 0, true),
    oracle: (a, _, columns) => columnsOf(a, columns).map((column) => total(column) / column.length),
  },
  'mean of all': { run: (a) => tf.mean(a), oracle: (a) => [total(a) / a.length] },
  'max of all': { run: (a) => tf.max(a), oracle: (a) => [Math.max(...a)] },
  argMax: {
    run: (a) => tf.cast(tf.argMax(a, 1), 'float32'),
    oracle: (a, _, columns) =>
      Array.from({ length: a.length / columns }, (_, p) => {
        const row = a.slice(p * columns, (p + 1) * columns);
        return row.indexOf(Math.max(...row));
      }),
  },
  'transposed matMul': {
    run: (a, b) => tf.matMul(a, b, true, false),
    oracle: (a, b, columns) => {
      const [left, right] = [columnsOf(a, columns), columnsOf(b, columns)];
      return left.flatMap((i) => right.map((j) => i.reduce((sum, value, p) => sum + value * (j[p] as number), 0)));
    },
  },
  addN: { run: (a, b) => tf.addN([a, b, a]), oracle: both((a, b) => 2 * a + b) },
  concat: { run: (a, b) => tf.concat([a, b], 0), oracle: (a, b) => [...a, ...b] },
};
