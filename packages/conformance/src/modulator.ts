/** The cases of a global modulator. */
import {
  type Factory,
  type GlobalModulator,
  type LocalRule,
  local,
  maxAbs,
  type SignalName,
  type Signals,
  threeFactor,
} from '@ghl/core';
import { initState, layerIncrement, mapLeaves } from '@ghl/core/engine';
import { type Scope, type StateTree, specOf } from '@ghl/core/plugin';
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
import { type LayerGeometry, type ModulatorReference, numbersAt, type ReferenceState, unitsOf } from './reference.js';
import { connectionOf, ruleSamples, type Sample } from './samples.js';
import { checkSchedule, type ScheduleClaim } from './schedule.js';
import { numbers } from './testing/numbers.js';
import { relativeError } from './testing/vectors.js';

/** Facts about a modulator. A false one fails a case, in either direction. */
export interface ModulatorClaims {
  /** The author's modulator in float64. */
  readonly reference: ModulatorReference;
  /**
   * The scope of one factor: each `'weight'`, each `'unit'`, the whole `'layer'`, or, if the modulator acts on the
   * gate, each `'example'` or each `'activity'`.
   */
  readonly factor: 'weight' | 'unit' | 'layer' | 'example' | 'activity';
  /** The factories that rebuild the modulator from its `spec`, by the name in it: `{ sign }`. */
  readonly plugins: Readonly<Record<string, Factory>>;
  /** Whether the increment is linear in ΔW. Required unless the modulator acts on the gate. */
  readonly linear?: boolean;
  /** Whether a constant added to the reward and the loss changes nothing. Required if it reads one of these. */
  readonly baselined?: boolean;
  /** Whether a small step always lowers a quadratic loss. Not checked if absent. */
  readonly descends?: boolean;
  /** Whether each weight moves by |ΔW|, or by 0 if its gradient is 0. Not checked if absent. */
  readonly keepsMagnitude?: boolean;
  /** Whether each number of the increment is 0 or the one of ΔW, bit for bit. Not checked if absent. */
  readonly allOrNothing?: boolean;
  /**
   * The largest error of a result, relative to its largest number. Default 1e-5. For a modulator that divides by small
   * differences of its signals.
   */
  readonly tolerance?: number;
  /** For each hyperparameter that may be a schedule: a factory, and two values with different results. */
  readonly schedules?: Readonly<Record<string, ScheduleClaim<GlobalModulator>>>;
  /** Makes custom signals: one tensor for each name, a different one at each step. */
  signals?(kernelShape: readonly number[], batch: number, step: number): Readonly<Record<string, tf.Tensor>>;
}

const TOLERANCE = 1e-5;
const BATCH = 5;
/** Positions of each example in a layer other than a dense one. */
const POSITIONS = 3;

/**
 * The cases of a global modulator. Case ids: `reference`, `signals`, `factor-shape`, `purity`, `leaks`, `finite`,
 * `empty`, `state-structure`, `resume`, `spec`. By the kind of factor: `linearity` on ΔW, `example-equals-scalar` per
 * example, `activity-on-gate` per activity. For the claims made: `baseline`, `descent`, `magnitude`, `all-or-nothing`
 * and `schedules`.
 *
 * The kit passes gradients, y, inputs and targets in [−1, 1), losses in [0.5, 1.5), and rewards in [−1, 1), one or one
 * per example. Some gradients are 0. Choose thresholds inside these ranges.
 *
 * @param factory Makes the modulator. Each case calls it.
 * @param claims Facts about it.
 */
export function modulatorCases(factory: () => GlobalModulator, claims: ModulatorClaims): ConformanceCase[] {
  const { reference, plugins, schedules } = claims;
  const samples = samplesOf(factory().reads);
  const first = samples[0] as ModulatorSample;
  const trace = (modulator: GlobalModulator, sample: ModulatorSample, options: Trace) =>
    traceOf(modulator, sample, claims, options);

  const cases: ConformanceCase[] = [
    {
      id: 'reference',
      title: 'agrees with its float64 reference',
      run: async () => {
        for (const sample of samples) {
          const steps = await trace(factory(), sample, { count: 4 });
          let state: ReferenceState = reference.init?.(sample.units) ?? {};
          for (const [step, actual] of steps.entries()) {
            const inputs = await evaluate(() => ({
              eligibility: eligibilityOf(sample, step),
              post: postOf(sample, step),
              signals: { ...signalsOf(sample, claims, step) },
            }));
            const expected = reference.modulate(
              {
                eligibility: Array.from((inputs.get('eligibility') as Snapshot).values),
                post: Array.from((inputs.get('post') as Snapshot).values),
                signals: Object.fromEntries(
                  [...part(inputs, 'signals/')].map(([name, { values }]) => [name, Array.from(values)]),
                ),
                units: sample.units,
                step,
                batch: BATCH,
              },
              state,
            );
            const where = `step ${step} of ${nameOf(sample)}`;
            const help = 'compare the modulator with claims.reference, its sign first.';
            // Differences of signals near 1 have the rounding error of 1.
            checkClose(
              `The result at ${where}`,
              resultOf(actual),
              expected.result,
              claims.tolerance ?? TOLERANCE,
              help,
              1e-2,
            );
            state = expected.state ?? state;
            for (const [path, { values }] of part(actual, 'state/')) {
              checkClose(`state '${path}' at ${where}`, values, numbersAt(state, path), TOLERANCE, help);
            }
          }
        }
      },
    },
    {
      id: 'signals',
      title: 'reads the signals that it declares, and no others',
      run: async () => {
        for (const sample of samples) {
          const modulator = factory();
          const touched = new Set<string>();
          const watch = (signals: Signals) =>
            new Proxy(signals, {
              get(target, name) {
                check(
                  (modulator.reads as readonly PropertyKey[]).includes(name),
                  'UNDECLARED_SIGNAL',
                  `The modulator reads '${String(name)}', but declares ${modulator.reads.join(', ') || 'nothing'}.`,
                  'list in `reads` every signal that modulate() or factor() reads.',
                );
                touched.add(name as string);
                return Reflect.get(target, name);
              },
              ownKeys: () => [...modulator.reads],
              has: (_, name) => (modulator.reads as readonly PropertyKey[]).includes(name),
            });
          await trace(modulator, sample, { count: 3, watch });
          const idle = modulator.reads.find((name) => !touched.has(name));
          check(
            idle === undefined,
            'FALSE_CLAIM',
            `The modulator declares '${idle}', but never reads it.`,
            'leave it out of `reads`: to read the gradient costs a backward pass.',
          );
        }
      },
    },
    {
      id: 'factor-shape',
      title: `has one factor per ${claims.factor}`,
      run: async () => {
        const kinds = new Set<ModulatorClaims['factor']>();
        for (const sample of samples) {
          const steps = await trace(factory(), sample, { count: 6 });
          for (const [step, { result }] of steps
            .map((each) => ({ result: each.get('result') as Snapshot }))
            .entries()) {
            const { actsOn } = factory();
            const shapes = {
              example: [BATCH],
              activity: [BATCH * positionsOf(sample), sample.units.fanOut],
              weights: sample.geometry.kernelShape,
            };
            const shape = shapes[actsOn];
            check(
              result.dtype === 'float32' && String(result.shape) === String(shape),
              'MISMATCH',
              `The result is ${result.dtype} [${result.shape.join(', ')}]; expected float32 [${shape.join(', ')}].`,
              'give an increment the shape of ΔW, a factor per example [batch], and one per activity the shape of post.',
            );
            const eligibility = await evaluate(() => eligibilityOf(sample, step));
            kinds.add(
              actsOn !== 'weights' ? actsOn : coarsest(result.values, (eligibility.get('') as Snapshot).values, sample),
            );
          }
        }
        const finest = (['activity', 'example', 'weight', 'unit', 'layer'] as const).find((each) => kinds.has(each));
        check(
          finest === claims.factor,
          'FALSE_CLAIM',
          `The modulator has one factor per ${finest}; the claim is one per ${claims.factor}.`,
          `claim factor: '${finest}'; or choose a threshold inside the range of the kit's signals.`,
        );
      },
    },
    {
      id: 'purity',
      title: 'changes none of its arguments, and gives equal results for equal calls',
      run: async () => {
        for (const sample of samples) {
          const modulator = factory();
          const [eligibility, post] = [tf.tidy(() => eligibilityOf(sample, 1)), tf.tidy(() => postOf(sample, 1))];
          const signals = tf.tidy(() => signalsOf(sample, claims, 1) as never) as Signals;
          await trace(modulator, sample, {
            count: 1,
            use: async (state) => {
              const inputs = { eligibility, post, signals: { ...signals }, state };
              const before = await snapshot(inputs);
              const run = () => apply(modulator, { eligibility, post }, signals, sample, 1, state);
              const [one, two] = [await evaluate(run), await evaluate(run)];
              const help = 'return the next state, and do not change the arguments.';
              checkIdentical('an argument after the call', await snapshot(inputs), before, 'IMPURE', help);
              checkIdentical('a second equal call', two, one, 'IMPURE', `${help} Keep nothing outside the state.`);
            },
          }).finally(() => tf.dispose([eligibility, post, signals] as never));
        }
      },
    },
    {
      id: 'leaks',
      title: 'leaks no tensor',
      run: () =>
        checkNoLeak(
          'a step',
          'do not tf.keep(), and make no tensor outside init() and modulate() or factor().',
          async () => {
            for (const sample of samples) await trace(factory(), sample, { count: 2 });
          },
        ),
    },
    {
      id: 'finite',
      title: 'stays finite on zero and on huge signals',
      run: async () => {
        for (const sample of samples) {
          for (const [what, scale] of [
            ['all 0', 0],
            ['a million times larger', 1e6],
          ] as const) {
            const steps = await trace(factory(), sample, { count: 3, scale });
            const help = 'guard divisions (tf.divNoNan), and keep exponentials from overflowing.';
            for (const actual of steps) checkFinite(`With ΔW and signals ${what}, a step`, actual, help);
          }
        }
      },
    },
    {
      id: 'empty',
      title: 'stays finite on the signals of zero examples, or rejects them with a code',
      run: async () => {
        const reads = factory().reads as readonly string[];
        const { actsOn } = factory();
        // There is one gradient and one loss in any case.
        if (actsOn !== 'activity' && reads.every((name) => name === 'gradient' || name === 'loss')) return;
        for (const sample of samples) {
          const modulator = factory();
          const use = async (state: StateTree) => {
            const actual = await unlessEmpty(() => {
              const own = claims.signals?.(sample.geometry.kernelShape, 0, 1);
              const none = { reward: tf.zeros([0]), input: tf.zeros([0, 3]), target: tf.zeros([0, 2]) };
              const signals = { ...signalsOf(sample, {}, 1), ...own, ...none } as Signals;
              const layer = { eligibility: eligibilityOf(sample, 1), post: postOf(sample, 1, 1, 0) };
              return apply(modulator, layer, signals, sample, 1, state, 0);
            });
            const help = 'begin with checkNotEmpty(name, signals) of @ghl/core: a mean over zero examples is NaN.';
            if (actual !== null) checkFinite('Without examples, a step', actual, help);
          };
          await trace(modulator, sample, { count: 1, use });
        }
      },
    },
    ...lifecycleCases({
      noun: 'modulator',
      factory,
      plugins,
      samples,
      nameOf,
      initialState,
      steps: trace,
    }),
  ];

  const { linear, baselined, descends, keepsMagnitude, allOrNothing } = claims;
  /** A claim that holds everywhere if true, and fails somewhere if false. */
  const claimed = (
    id: string,
    claim: boolean,
    [yes, no]: readonly [string, string],
    holds: (sample: ModulatorSample) => Promise<boolean>,
  ): ConformanceCase => ({
    id,
    title: claim ? yes : `${no}, as claimed`,
    run: async () => {
      let everywhere = true;
      for (const sample of samples) everywhere = (await holds(sample)) && everywhere;
      check(
        everywhere === claim,
        'FALSE_CLAIM',
        `The modulator ${everywhere ? yes : no}.`,
        'claim the opposite, or correct the modulator.',
      );
    },
  });

  if (claims.factor === 'example') {
    cases.push({
      id: 'example-equals-scalar',
      title: 'multiplies ΔW by the factor, if it is the same for every example',
      run: async () => {
        for (const sample of ruleSamples) {
          for (const scope of ['own', 'all', 'none'] as const) await checkUniform(factory(), claims, sample, scope);
        }
      },
    });
  } else if (claims.factor === 'activity') {
    cases.push({
      id: 'activity-on-gate',
      title: 'multiplies each number of the gate by its factor, in every geometry',
      run: async () => {
        for (const sample of ruleSamples) {
          for (const scope of ['own', 'all', 'none'] as const) await checkGate(factory(), claims, sample, scope);
        }
      },
    });
  } else if (linear !== undefined) {
    cases.push(
      claimed('linearity', linear, ['is linear in ΔW', 'is not linear in ΔW'], async (sample) => {
        const modulator = factory();
        let error = 0;
        const use = async (state: StateTree) => {
          const actual = await evaluate(() => {
            const [a, b] = [eligibilityOf(sample, 1), eligibilityOf(sample, 2)];
            const combine = (x: tf.Tensor, y: tf.Tensor) => tf.sub(tf.mul(x, 0.5), tf.mul(y, 2));
            const run = (eligibility: tf.Tensor) => {
              const layer = { eligibility, post: postOf(sample, 1) };
              return apply(modulator, layer, signalsOf(sample, claims, 1), sample, 1, state).result;
            };
            return { whole: run(combine(a, b)), parts: combine(run(a), run(b)) };
          });
          const [whole, parts] = [actual.get('whole'), actual.get('parts')] as [Snapshot, Snapshot];
          error = relativeError(whole.values, parts.values);
        };
        await trace(modulator, sample, { count: 1, use });
        return error <= TOLERANCE;
      }),
    );
  }
  if (baselined !== undefined) {
    const words = [
      'does not depend on a constant added to its signal',
      'depends on a constant added to its signal',
    ] as const;
    cases.push(
      claimed('baseline', baselined, words, async (sample) => {
        const plain = await trace(factory(), sample, { count: 4 });
        const shifted = await trace(factory(), sample, { count: 4, shift: 8 });
        // The shift determines the rounding error.
        const apart = shifted.map((actual, i) => relativeError(resultOf(actual), resultOf(plain[i] as Step), 1e-2));
        return Math.max(...apart) <= 1e-4;
      }),
    );
  }
  if (descends !== undefined) {
    const words = ['descends a quadratic loss', 'does not descend a quadratic loss'] as const;
    cases.push(
      claimed('descent', descends, words, async (sample) => {
        const steps = await trace(factory(), sample, { count: 6, quadratic: true });
        return steps.every((actual, step) => loss(sample, step, resultOf(actual)) < loss(sample, step));
      }),
    );
  }
  if (keepsMagnitude !== undefined) {
    const words = ['moves each weight by |ΔW|', 'does not move each weight by |ΔW|'] as const;
    cases.push(
      claimed('magnitude', keepsMagnitude, words, async (sample) => {
        const gradient = (step: number) => drawnGradient(sample, step);
        return everyNumber(sample, await trace(factory(), sample, { count: 3 }), (moved, delta, i, step) =>
          gradient(step)[i] === 0 ? moved === 0 : Math.abs(moved) === Math.abs(delta),
        );
      }),
    );
  }
  if (allOrNothing !== undefined) {
    const words = ['adds either ΔW bit for bit or 0', 'adds numbers other than ΔW and 0'] as const;
    cases.push(
      claimed('all-or-nothing', allOrNothing, words, async (sample) =>
        everyNumber(
          sample,
          await trace(factory(), sample, { count: 6 }),
          (moved, delta) => moved === 0 || moved === delta,
        ),
      ),
    );
  }
  if (schedules !== undefined) {
    cases.push({
      id: 'schedules',
      title: 'reads its schedules at every step',
      run: async () => {
        for (const [name, claim] of Object.entries(schedules)) {
          await checkSchedule(name, claim, async (modulator, start) => {
            // From a state after a step: a baseline starts at the first value, at any rate.
            let actual: Step[] = [];
            const use = async (state: StateTree) => {
              actual = await trace(modulator, first, { count: 1, start, state: cloneState(state) });
            };
            await trace(claim.make(claim.values[0]), first, { count: 1, use });
            return actual[0] as Step;
          });
        }
      },
    });
  }
  return cases;
}

const resultOf = (step: Step) => (step.get('result') as Snapshot).values;

/** A layer, and whether there is a reward for each example or one for all. */
interface ModulatorSample {
  readonly geometry: LayerGeometry;
  readonly units: ReturnType<typeof unitsOf>;
  readonly rewards: 'one' | 'each';
}

const nameOf = ({ geometry, rewards }: ModulatorSample) =>
  `${geometry.kind} [${geometry.kernelShape.join(', ')}], reward: ${rewards}`;

function samplesOf(reads: readonly SignalName[]): ModulatorSample[] {
  const geometries: LayerGeometry[] = [
    { kind: 'dense', kernelShape: [3, 4] },
    { kind: 'conv1d', kernelShape: [3, 2, 4] },
    { kind: 'conv2d', kernelShape: [2, 2, 2, 4] },
    { kind: 'depthwiseConv2d', kernelShape: [2, 2, 3, 2] },
  ];
  const rewards = reads.includes('reward') ? (['each', 'one'] as const) : (['one'] as const);
  return geometries.flatMap((geometry) =>
    rewards.map((each) => ({ geometry, units: unitsOf(geometry), rewards: each })),
  );
}

const eligibilityOf = ({ geometry: { kernelShape } }: ModulatorSample, step: number, scale = 1) =>
  tf.tensor(numbers(200 + step, kernelShape, scale), [...kernelShape]);

const positionsOf = ({ geometry: { kind } }: ModulatorSample) => (kind === 'dense' ? 1 : POSITIONS);

/** y of a step, [P, K]. */
function postOf(sample: ModulatorSample, step: number, scale = 1, batch = BATCH): tf.Tensor2D {
  const shape: [number, number] = [batch * positionsOf(sample), sample.units.fanOut];
  return tf.tensor2d(numbers(250 + step, shape, scale), shape);
}

/** Every fifth gradient is 0. */
const drawnGradient = ({ geometry: { kernelShape } }: ModulatorSample, step: number) =>
  numbers(300 + step, kernelShape).map((value, i) => (i % 5 === 3 ? 0 : value));

interface Variation {
  /** The factor of ΔW and signals. */
  readonly scale?: number;
  /** The constant added to losses and rewards. */
  readonly shift?: number;
  /** Whether the gradient is that of a quadratic loss. */
  readonly quadratic?: boolean;
}

function signalsOf(
  sample: ModulatorSample,
  { signals }: Pick<ModulatorClaims, 'signals'>,
  step: number,
  { scale = 1, shift = 0, quadratic = false }: Variation = {},
  batch = BATCH,
): Signals {
  const { kernelShape } = sample.geometry;
  const gradient = quadratic ? quadraticOf(sample, step).gradient : drawnGradient(sample, step);
  const [loss] = numbers(400 + step, [1], 0.5);
  const reward = numbers(500 + step, [batch]);
  const change = (value: tf.Tensor) => tf.add(tf.mul(value, scale), shift);
  return {
    ...signals?.(kernelShape, batch, step),
    gradient: tf.mul(tf.tensor(gradient, [...kernelShape]), scale),
    loss: change(tf.scalar(1 + (loss as number))) as tf.Scalar,
    reward: change(sample.rewards === 'each' ? tf.tensor1d(reward) : tf.scalar(reward[0] as number)),
    input: tf.tensor(numbers(520 + step, [batch, 3], scale), [batch, 3]),
    target: tf.tensor(numbers(540 + step, [batch, 2], scale), [batch, 2]),
  } as Signals;
}

/** L(w) = ½ Σ a(w − c)², at some w: its parts, and its gradient a(w − c). */
function quadraticOf({ geometry: { kernelShape } }: ModulatorSample, step: number) {
  const [w, c] = [numbers(600 + step, kernelShape), numbers(700 + step, kernelShape)];
  const a = numbers(800 + step, kernelShape, 0.5).map((value) => value + 1);
  return { w, c, a, gradient: w.map((value, i) => (a[i] as number) * (value - (c[i] as number))) };
}

/** The quadratic loss, after a small step along an increment if there is one. */
function loss(sample: ModulatorSample, step: number, increment?: ArrayLike<number>): number {
  const { w, c, a } = quadraticOf(sample, step);
  return Array.from(w).reduce((sum, value, i) => {
    const moved = value + 1e-3 * (increment?.[i] ?? 0);
    return sum + 0.5 * (a[i] as number) * (moved - (c[i] as number)) ** 2;
  }, 0);
}

function everyNumber(
  { geometry: { kernelShape } }: ModulatorSample,
  trace: readonly Step[],
  holds: (moved: number, delta: number, i: number, step: number) => boolean,
): boolean {
  return trace.every((actual, step) => {
    const delta = numbers(200 + step, kernelShape);
    return Array.from(resultOf(actual)).every((moved, i) => holds(moved, delta[i] as number, i, step));
  });
}

/** The coarsest scope in which all factors, increment ÷ ΔW, are equal. */
function coarsest(
  increment: ArrayLike<number>,
  eligibility: ArrayLike<number>,
  { units: { fanOut } }: ModulatorSample,
): 'weight' | 'unit' | 'layer' {
  const factors = Array.from(increment, (moved, i) => moved / (eligibility[i] as number));
  const same = (all: number[]) =>
    all.every((each) => Math.abs(each - (all[0] as number)) <= 1e-4 * Math.abs(all[0] as number));
  if (same(factors)) return 'layer';
  const units = Array.from({ length: fanOut }, (_, k) => factors.filter((_, i) => i % fanOut === k));
  return units.every(same) ? 'unit' : 'weight';
}

function apply(
  modulator: GlobalModulator,
  { eligibility, post }: { readonly eligibility: tf.Tensor; readonly post: tf.Tensor2D },
  signals: Signals,
  { units }: Pick<ModulatorSample, 'units'>,
  step: number,
  state: StateTree,
  batch = BATCH,
): { readonly result: tf.Tensor; readonly state: StateTree } {
  const context = { units, step, batch };
  if (modulator.actsOn !== 'weights') {
    const { factor, state: next } =
      modulator.actsOn === 'example'
        ? modulator.factor(signals, context, state)
        : modulator.factor(signals, { ...context, post }, state);
    return { result: factor, state: next };
  }
  const { increment, state: next } = modulator.modulate(eligibility, signals, context, state);
  return { result: increment, state: next };
}

interface Trace extends Variation, Steps<StateTree> {
  /** Called with the signals, and returns the ones to pass. */
  watch?(signals: Signals): Signals;
}

/** Makes steps. Each step's number determines its ΔW and signals. */
async function traceOf(
  modulator: GlobalModulator,
  sample: ModulatorSample,
  claims: ModulatorClaims,
  { count, start = 0, state: first, watch = (signals) => signals, use, ...variation }: Trace,
): Promise<Step[]> {
  const trace: Step[] = [];
  let state = first ?? initialState(modulator, sample);
  try {
    for (let step = start; step < start + count; step++) {
      const outcome = tf.tidy(() => {
        const inputs = signalsOf(sample, claims, step, variation);
        const missing = modulator.reads.find((name) => inputs[name] === undefined);
        check(
          missing === undefined,
          'MISMATCH',
          `The modulator reads '${missing}', which the kit does not have.`,
          'make it in claims.signals.',
        );
        const { scale } = variation;
        const layer = { eligibility: eligibilityOf(sample, step, scale), post: postOf(sample, step, scale) };
        const { result, state: next } = apply(modulator, layer, watch(inputs), sample, step, state);
        return { result, state: cloneState(next) } as never;
      }) as ReturnType<typeof apply>;
      tf.dispose(state as never);
      state = outcome.state;
      trace.push(await snapshot(outcome));
      outcome.result.dispose();
    }
    await use?.(state);
    return trace;
  } finally {
    tf.dispose(state as never);
  }
}

const cloneState = (state: StateTree) => mapLeaves(state, (leaf) => leaf.clone());

const initialState = (modulator: GlobalModulator, { units }: ModulatorSample) =>
  tf.tidy(() => modulator.init(units) as never) as StateTree;

/** Soft competition, normalised by its largest ΔW: a rule that uses every part of the engine. */
export function competitive(scope: Scope): LocalRule {
  return maxAbs({
    spec: specOf('competition', scope),
    init: () => ({}),
    gate: ({ post }, state) => ({ gate: tf.softmax(post), reconstruction: post, scope, state }),
  });
}

/** Checks that the product's increment is that of a rule whose gate was multiplied by the factors beforehand. */
async function checkGate(modulator: GlobalModulator, claims: ModulatorClaims, sample: Sample, scope: Scope) {
  const { geometry, preShape } = sample;
  const connection = connectionOf(geometry);
  const { units } = connection;
  const batch = preShape[0] as number;
  const rule = competitive(scope);
  const product = threeFactor(rule, modulator);
  const actual = await evaluate(() => {
    const kernel = tf.tensor(numbers(7, geometry.kernelShape), [...geometry.kernelShape]);
    let state = initState(product, geometry.kernelShape, units);
    const results: StateTree[] = [];
    for (const step of [0, 1]) {
      const pre = tf.tensor(numbers(100 + step, preShape), [...preShape]);
      const calls = [{ pre, post: connection.forward(pre, kernel) }];
      const inputs = signalsOf({ geometry, units, rewards: 'one' }, claims, step, {}, batch);
      const layer = { connection, kernel, calls, signals: inputs, step };
      const post = tf.reshape(calls[0]?.post as tf.Tensor, [-1, units.fanOut]) as tf.Tensor2D;
      const { result } = apply(
        modulator,
        { eligibility: kernel, post },
        inputs,
        { units },
        step,
        state.modulator,
        batch,
      );
      const bare = (factor: tf.Tensor | null): LocalRule => ({
        ...rule,
        wrappers: [],
        gate(context, before) {
          const gates = rule.gate(context, before);
          return factor === null ? gates : { ...gates, gate: tf.mul(gates.gate, factor) as tf.Tensor2D };
        },
      });
      const run = (each: LocalRule) =>
        layerIncrement(local(each), layer, initState(local(each), geometry.kernelShape, units)).increment;
      // maxAbs divides by the largest ΔW of the gate that was not modulated.
      const expected = tf.divNoNan(run(bare(result)), tf.max(tf.abs(run(bare(null)))));
      const outcome = layerIncrement(product, layer, state);
      results.push({ made: outcome.increment, expected });
      state = outcome.state;
    }
    return results;
  });
  for (const step of [0, 1]) {
    const values = (name: string) => Array.from((actual.get(`${step}/${name}`) as Snapshot).values);
    const help = 'give each number of post one factor, in the order of post.';
    checkClose(`The increment of step ${step}, scope ${scope},`, values('made'), values('expected'), TOLERANCE, help);
  }
}

/** Checks that one reward for all examples gives one factor, and the increment is that factor times ΔW. */
async function checkUniform(modulator: GlobalModulator, claims: ModulatorClaims, sample: Sample, scope: Scope) {
  const { geometry, preShape } = sample;
  const connection = connectionOf(geometry);
  const { units } = connection;
  const batch = preShape[0] as number;
  const rule = competitive(scope);
  const product = threeFactor(rule, modulator);
  // The factor of the second step: with a baseline that starts at the first value, the first is 0.
  const actual = await evaluate(() => {
    const kernel = tf.tensor(numbers(7, geometry.kernelShape), [...geometry.kernelShape]);
    let state = initState(product, geometry.kernelShape, units);
    const results: StateTree[] = [];
    for (const step of [0, 1, 2]) {
      const pre = tf.tensor(numbers(100 + step, preShape), [...preShape]);
      const calls = [{ pre, post: connection.forward(pre, kernel) }];
      const inputs = signalsOf({ geometry, units, rewards: 'one' }, claims, step);
      const signals = { ...inputs, reward: tf.fill([batch], numbers(500 + step, [1])[0] as number) };
      const { factor } =
        modulator.actsOn === 'example'
          ? modulator.factor(signals, { units, step, batch }, state.modulator as never)
          : { factor: tf.ones([batch]) };
      const layer = { connection, kernel, calls, signals, step };
      const outcome = layerIncrement(product, layer, state);
      const plain = layerIncrement(local(rule), layer, initState(local(rule), geometry.kernelShape, units));
      results.push({ factor, made: outcome.increment, expected: tf.mul(plain.increment, tf.slice(factor, [0], [1])) });
      state = outcome.state;
    }
    return results;
  });
  for (const step of [0, 1, 2]) {
    const values = (name: string) => Array.from((actual.get(`${step}/${name}`) as Snapshot).values);
    const factors = values('factor');
    const help = 'give each example a factor that depends on its own signal and on means over the batch alone.';
    checkClose(
      'The factors of equal examples',
      factors,
      factors.map(() => factors[0] as number),
      1e-6,
      help,
    );
    checkClose(`The increment of equal examples, scope ${scope},`, values('made'), values('expected'), TOLERANCE, help);
  }
}
