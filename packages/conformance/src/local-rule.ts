/** The cases of a local rule. */
import { type Factory, type LocalRule, local } from '@ghl/core';
import {
  type Connection,
  initState,
  type LayerUse,
  layerIncrement,
  mapLeaves,
  type PlasticityState,
} from '@ghl/core/engine';
import type { LocalContext, Units } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import {
  type ConformanceCase,
  check,
  checkClose,
  checkFinite,
  checkIdentical,
  checkNoLeak,
  evaluate,
  type Snapshot,
  snapshot,
  unlessEmpty,
} from './case.js';
import { lifecycleCases, part, type Step, type Steps } from './lifecycle.js';
import {
  kernelRows,
  type LocalRuleReference,
  numbersAt,
  patches,
  type ReferenceState,
  referenceForward,
  referenceStep,
  unitsOf,
} from './reference.js';
import { connectionOf, nameOf, ruleSamples, type Sample } from './samples.js';
import { checkSchedule, type ScheduleClaim } from './schedule.js';
import { numbers } from './testing/numbers.js';
import { relativeError } from './testing/vectors.js';

/** Facts about a rule. A false one fails a case, in either direction. */
export interface LocalRuleClaims {
  /** The author's rule in float64, per sample. */
  readonly reference: LocalRuleReference;
  /**
   * How the ΔW of a batch relates to those of its parts: their `'sum'`, their `'mean'` weighted by size, or `'none'` of
   * these, for a gate that depends on the whole batch.
   */
  readonly reduction: 'sum' | 'mean' | 'none';
  /** Whether permuting the units permutes ΔW and changes nothing else. */
  readonly equivariant: boolean;
  /** The factories that rebuild the rule from its `spec`, by the name in it: `{ swta }`. */
  readonly plugins: Readonly<Record<string, Factory>>;
  /** For each hyperparameter that may be a schedule: a factory, and two values with different results. */
  readonly schedules?: Readonly<Record<string, ScheduleClaim<LocalRule>>>;
}

const TOLERANCE = 1e-5;

/**
 * The cases of a local rule. Case ids: `reference`, `dense-on-patches`, `calls`, `batch-additivity`, `equivariance`,
 * `purity`, `leaks`, `finite`, `empty`, `state-structure`, `resume`, `spec`, and `schedules` if there are any.
 *
 * The cases read the rule's ΔW as the engine forms it, before wrappers. Purity, finiteness, leaks, resuming and the
 * spec are those of the whole rule with its wrappers.
 *
 * @param factory Makes the rule. Each case calls it.
 * @param claims Facts about it.
 */
export function localRuleCases(factory: () => LocalRule, claims: LocalRuleClaims): ConformanceCase[] {
  const { reference, reduction, equivariant, plugins, schedules } = claims;
  const dense: Sample = ruleSamples[0] as Sample;

  const cases: ConformanceCase[] = [
    {
      id: 'reference',
      title: 'agrees with its float64 per-sample reference',
      run: async () => {
        for (const sample of ruleSamples) {
          const units = unitsOf(sample.geometry);
          const weights = kernelRows(sample.geometry, weightsOf(sample));
          const engine = await steps(factory(), sample, { count: 3 });
          let state: ReferenceState = reference.init?.(units) ?? {};
          for (const [step, actual] of engine.entries()) {
            const inputs = patches(sample.geometry, inputOf(sample, step), sample.preShape);
            const expected = referenceStep(reference, units, inputs, weights, step, state);
            const where = `step ${step} of ${nameOf(sample)}`;
            const help = 'compare the gate, reconstruction and scope of the rule with those of claims.reference.';
            checkClose(`ΔW at ${where}`, deltaOf(actual), expected.delta.flat(), TOLERANCE, help);
            for (const [path, { values }] of part(actual, 'state/rule/')) {
              checkClose(`state '${path}' at ${where}`, values, numbersAt(expected.state, path), TOLERANCE, help);
            }
            state = expected.state;
          }
        }
      },
    },
    {
      id: 'dense-on-patches',
      title: 'gives the same ΔW on a convolution as on its patches',
      run: async () => {
        for (const sample of ruleSamples.filter(({ geometry }) => geometry.kind !== 'dense')) {
          const { geometry, preShape } = sample;
          const units = unitsOf(geometry);
          const onImage = await oneStep(factory(), connectionOf(geometry), sample, [inputOf(sample, 0)]);
          const flat = patches(geometry, inputOf(sample, 0), preShape).flat(2);
          const shape = [flat.length / (units.groups * units.fanIn), units.groups, units.fanIn];
          const onPatches = await oneStep(
            factory(),
            patchwise(units, geometry.kernelShape),
            { geometry, preShape: shape },
            [Float32Array.from(flat)],
          );
          checkClose(
            `ΔW of ${nameOf(sample)}`,
            onImage,
            onPatches,
            TOLERANCE,
            'treat each position alone: the function passed to forward() must act on each number alone.',
          );
        }
      },
    },
    {
      id: 'calls',
      title: 'treats two calls of a layer as one call on both batches',
      run: async () => {
        for (const sample of ruleSamples) {
          const [first, second] = [inputOf(sample, 0), inputOf(batchOf(sample, 3), 1)];
          const connection = connectionOf(sample.geometry);
          const both = Float32Array.of(...first, ...second);
          checkClose(
            `ΔW of ${nameOf(sample)} called twice`,
            await oneStep(factory(), connection, sample, [first, second]),
            await oneStep(factory(), connection, sample, [both]),
            TOLERANCE,
            'treat each row of post alike, whichever call it belongs to.',
          );
        }
      },
    },
    {
      id: 'batch-additivity',
      title:
        reduction === 'none'
          ? 'is neither the sum nor the mean over batches, as claimed'
          : `is the ${reduction === 'mean' ? 'weighted mean' : 'sum'} over batches`,
      run: async () => {
        const apart = { sum: 0, mean: 0 };
        for (const sample of ruleSamples) {
          const connection = connectionOf(sample.geometry);
          const sizes = [sample.preShape[0] as number, 3] as const;
          const batches = [inputOf(sample, 0), inputOf(batchOf(sample, sizes[1]), 1)] as const;
          const delta = (input: Float32Array) => oneStep(factory(), connection, sample, [input]);
          const [a, b] = [await delta(batches[0]), await delta(batches[1])];
          const whole = await delta(Float32Array.of(...batches[0], ...batches[1]));
          const total = sizes[0] + sizes[1];
          const weighted = (wa: number, wb: number) => Array.from(a, (value, i) => wa * value + wb * (b[i] as number));
          const sum = relativeError(whole, weighted(1, 1));
          const mean = relativeError(whole, weighted(sizes[0] / total, sizes[1] / total));
          [apart.sum, apart.mean] = [Math.max(apart.sum, sum), Math.max(apart.mean, mean)];
        }
        const scaling = apart.sum <= TOLERANCE ? 'sum' : apart.mean <= TOLERANCE ? 'mean' : 'none';
        check(
          scaling === reduction,
          'FALSE_CLAIM',
          `ΔW of two batches together differs from the sum of both by ${apart.sum.toPrecision(3)} of the largest, from ` +
            `their weighted mean by ${apart.mean.toPrecision(3)}; the claim is '${reduction}'.`,
          `claim reduction: '${scaling}', or compute the gate of each sample without the others.`,
        );
      },
    },
    {
      id: 'equivariance',
      title: equivariant ? 'is equivariant to permutations of the units' : 'depends on the order of units, as claimed',
      run: async () => {
        let worst = 0;
        for (const sample of ruleSamples.filter(({ geometry }) => geometry.kind !== 'depthwiseConv2d')) {
          const { fanOut } = unitsOf(sample.geometry);
          const order = Array.from({ length: fanOut }, (_, k) => (k + 1) % fanOut);
          const permuted = (values: ArrayLike<number>) =>
            Float32Array.from(values, (_, i) => values[i - (i % fanOut) + (order[i % fanOut] as number)] as number);
          const weights = weightsOf(sample);
          const plain = await steps(factory(), sample, { count: 2 });
          const turned = await steps(factory(), sample, { count: 2, weights: permuted(weights) });
          for (const [i, actual] of turned.entries()) {
            worst = Math.max(worst, relativeError(deltaOf(actual), permuted(deltaOf(plain[i] as Step))));
          }
        }
        check(
          equivariant === worst <= TOLERANCE,
          'FALSE_CLAIM',
          `ΔW of permuted units differs from the permuted ΔW by ${worst.toPrecision(3)} of the largest.`,
          `claim equivariant: ${!equivariant}, or correct the rule.`,
        );
      },
    },
    {
      id: 'purity',
      title: 'changes none of its arguments, and gives equal results for equal calls',
      run: async () => {
        const { geometry } = dense;
        const connection = connectionOf(geometry);
        const rule = factory();
        const kernel = tf.tensor(weightsOf(dense), [...geometry.kernelShape]);
        const calls = callsOf(connection, kernel, dense, [inputOf(dense, 1)]);
        // A state after several steps, so that it is not all zeros.
        await steps(rule, dense, {
          count: 1,
          use: async (state) => {
            const inputs = { kernel, calls: calls.map(({ pre, post }) => ({ pre, post })), state };
            const before = await snapshot(inputs);
            const first = await evaluate(() => stepOf(rule, connection, kernel, calls, 1, state));
            const second = await evaluate(() => stepOf(rule, connection, kernel, calls, 1, state));
            const help = 'return the next state, and do not change the arguments.';
            checkIdentical('an argument after the call', await snapshot(inputs), before, 'IMPURE', help);
            checkIdentical('a second equal call', second, first, 'IMPURE', `${help} Keep nothing outside the state.`);
          },
        }).finally(() => tf.dispose([kernel, calls] as never));
      },
    },
    {
      id: 'leaks',
      title: 'leaks no tensor',
      run: () =>
        checkNoLeak('a step', 'do not tf.keep(), and make no tensor outside init() and gate().', async () => {
          for (const sample of ruleSamples) await steps(factory(), sample, { count: 2 });
        }),
    },
    {
      id: 'finite',
      title: 'stays finite on zero and on huge activity',
      run: async () => {
        for (const sample of ruleSamples) {
          const zeros = new Float32Array(numbers(0, sample.preShape).length);
          const weights = weightsOf(sample);
          const huge = hugeInput(sample);
          for (const [what, input, kernel] of [
            ['no input', zeros, weights],
            ['no weights', inputOf(sample, 0), weights.map(() => 0)],
            ['neither input nor weights', zeros, weights.map(() => 0)],
            ['|y| = 1e3', huge, weights],
          ] as const) {
            const trace = await steps(factory(), sample, { count: 2, weights: kernel, input });
            const help = 'guard divisions (tf.divNoNan), and subtract the largest before an exponential.';
            for (const actual of trace) checkFinite(`With ${what}, a step of ${nameOf(sample)}`, actual, help);
          }
        }
      },
    },
    {
      id: 'empty',
      title: 'keeps its state for zero positions, or rejects them with a code',
      run: async () => {
        for (const sample of ruleSamples) {
          const rule = factory();
          const { units, kernelShape } = connectionOf(sample.geometry);
          const use = async (state: PlasticityState) => {
            const before = await snapshot(state.rule);
            const actual = await unlessEmpty(() => {
              const [weights, post] = [tf.tensor(weightsOf(sample), [...kernelShape]), tf.zeros([0, units.fanOut])];
              const context = { post, weights: tf.reshape(weights, [-1, units.fanOut]), units, step: 1 };
              const answer = rule.gate({ ...context, forward: () => post } as LocalContext, state.rule);
              return { gate: answer.gate, state: answer.state };
            });
            if (actual === null) return;
            const help =
              'begin gate() with checkNotEmpty(name, { post }) of @ghl/core: means over no positions are NaN.';
            const { shape } = actual.get('gate') as Snapshot;
            const isEmpty = String(shape) === String([0, units.fanOut]);
            check(isEmpty, 'MISMATCH', `The gate of no positions has the shape [${shape.join(', ')}].`, help);
            checkIdentical('The state after no positions', part(actual, 'state/'), before, 'MISMATCH', help);
          };
          await steps(rule, sample, { count: 1, use });
        }
      },
    },
    ...lifecycleCases({
      noun: 'rule',
      factory,
      plugins,
      samples: ruleSamples,
      nameOf,
      initialState,
      steps,
    }),
  ];
  if (schedules === undefined) return cases;
  return [
    ...cases,
    {
      id: 'schedules',
      title: 'reads its schedules at every step',
      run: async () => {
        for (const [name, claim] of Object.entries(schedules)) {
          await checkSchedule(name, claim, async (rule, start) => {
            return (await steps(rule, dense, { count: 1, start }))[0] as Step;
          });
        }
      },
    },
  ];
}

const deltaOf = (step: Step) => (step.get('delta') as Snapshot).values;

function weightsOf({ geometry }: Sample): Float32Array {
  return numbers(7, geometry.kernelShape);
}

/** An input for each step, whose mean is not 0. */
function inputOf({ preShape }: Sample, step: number): Float32Array {
  return numbers(100 + step, preShape).map((value) => value + 0.25);
}

/** An input whose largest |y| is 1e3. */
function hugeInput(sample: Sample): Float32Array {
  const { geometry, preShape } = sample;
  const input = inputOf(sample, 0);
  const rows = kernelRows(geometry, weightsOf(sample));
  const post = referenceForward(unitsOf(geometry), patches(geometry, input, preShape), rows).flat();
  const largest = Math.max(...post.map(Math.abs));
  return input.map((value) => (value * 1e3) / largest);
}

const batchOf = ({ geometry, preShape }: Sample, batch: number): Sample => ({
  geometry,
  preShape: [batch, ...preShape.slice(1)],
});

/** One call of a layer for each input. Their batch sizes may differ. */
function callsOf(
  connection: Connection,
  kernel: tf.Tensor,
  { preShape }: Sample,
  inputs: readonly Float32Array[],
): LayerUse[] {
  const rest = preShape.slice(1);
  return inputs.map((input) => {
    const pre = tf.tensor(input, [input.length / rest.reduce((product, size) => product * size, 1), ...rest]);
    return { pre, post: tf.tidy(() => connection.forward(pre, kernel)) };
  });
}

function stepOf(
  rule: LocalRule,
  connection: Connection,
  kernel: tf.Tensor,
  calls: readonly LayerUse[],
  step: number,
  state: PlasticityState,
): { readonly delta: tf.Tensor; readonly increment: tf.Tensor; readonly state: PlasticityState } {
  const plasticity = local(rule);
  const result = layerIncrement(plasticity, { connection, kernel, calls, signals: {}, step }, state);
  const delta = result.eligibilities?.[0];
  check(
    delta !== undefined,
    'MISMATCH',
    'The rule reads no activity, so it has no ΔW.',
    'leave out `active: false`; the cases are for rules that read activity.',
  );
  return { delta, increment: result.increment, state: result.state };
}

/** ΔW of one step from the initial state. */
async function oneStep(
  rule: LocalRule,
  connection: Connection,
  sample: Sample,
  inputs: readonly Float32Array[],
): Promise<ArrayLike<number>> {
  const actual = await evaluate(() => {
    const kernel = tf.tensor(weightsOf(sample), [...connection.kernelShape]);
    const state = initState(local(rule), connection.kernelShape, connection.units);
    return stepOf(rule, connection, kernel, callsOf(connection, kernel, sample, inputs), 0, state);
  });
  return deltaOf(actual);
}

interface RuleSteps extends Steps<PlasticityState> {
  readonly weights?: Float32Array;
  /** The input of every step. Default: a different one for each step. */
  readonly input?: Float32Array;
}

/** Makes steps on constant weights. Each step's number determines its input. */
async function steps(rule: LocalRule, sample: Sample, options: RuleSteps): Promise<Step[]> {
  const { count, start = 0, weights = weightsOf(sample), input, use } = options;
  const { geometry } = sample;
  const connection = connectionOf(geometry);
  const trace: Step[] = [];
  let state = options.state ?? initialState(rule, sample);
  try {
    for (let step = start; step < start + count; step++) {
      const result = tf.tidy(() => {
        const kernel = tf.tensor(weights, [...geometry.kernelShape]);
        const calls = callsOf(connection, kernel, sample, [input ?? inputOf(sample, step)]);
        const { delta, increment, state: next } = stepOf(rule, connection, kernel, calls, step, state);
        return { delta, increment, state: mapLeaves(next, (leaf) => leaf.clone()) } as never;
      }) as ReturnType<typeof stepOf>;
      tf.dispose(state as never);
      state = result.state;
      trace.push(await snapshot(result));
      tf.dispose([result.delta, result.increment]);
    }
    await use?.(state);
    return trace;
  } finally {
    tf.dispose(state as never);
  }
}

function initialState(rule: LocalRule, { geometry }: Sample): PlasticityState {
  const { kernelShape } = geometry;
  return tf.tidy(() => initState(local(rule), kernelShape, unitsOf(geometry)) as never) as PlasticityState;
}

/** The connection on patches [P, groups, D]: a dense layer for each group. */
function patchwise(units: Units, kernelShape: readonly number[]): Connection {
  const { fanIn, fanOut, groups } = units;
  const each = fanOut / groups;
  const rows = (pre: tf.Tensor) => tf.transpose(pre, [1, 0, 2]) as tf.Tensor3D;
  return {
    kind: 'dense',
    kernelShape,
    units,
    forward(pre, kernel) {
      // A rule may ask for any number of columns.
      const columns = kernel.size / fanIn;
      const filters = tf.transpose(tf.reshape(kernel, [fanIn, groups, columns / groups]), [1, 0, 2]);
      return tf.reshape(tf.transpose(tf.matMul(rows(pre), filters), [1, 0, 2]), [-1, columns]);
    },
    correlate: (pre, cotangents) =>
      cotangents.map((cotangent) => {
        const grouped = tf.transpose(tf.reshape(cotangent, [-1, groups, each]), [1, 0, 2]);
        return tf.reshape(tf.transpose(tf.matMul(rows(pre), grouped, true), [1, 0, 2]), [...kernelShape]);
      }),
    backward() {
      throw new Error('A rule has no backward pass.');
    },
  };
}
