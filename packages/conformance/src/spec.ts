/** The cases of products of any kind: the spec rebuilds each one with the same behaviour. */
import {
  type Factory,
  fromSpec,
  type GlobalModulator,
  gradientDescent,
  type LocalRule,
  local,
  type Plasticity,
  type Schedule,
  type Spec,
  type Specified,
  type Transform,
  threeFactor,
} from '@ghl/core';
import { initState, layerIncrement, mapLeaves, type PlasticityState } from '@ghl/core/engine';
import * as tf from '@tensorflow/tfjs-core';
import { type ConformanceCase, check, checkIdentical, type Snapshot, snapshot } from './case.js';
import { competitive } from './modulator.js';
import { connectionOf, ruleSamples, type Sample } from './samples.js';
import { numbers } from './testing/numbers.js';

const HELP = 'make the spec with specOf(name, ...arguments), with all arguments of the factory.';

/**
 * The cases of products that a spec describes: rules, wrapped or not, modulators, transforms, schedules and
 * plasticities. Give each argument a value other than its default in one of the products: only then is its absence from
 * the spec visible. Case ids: `rebuilt`, `distinct`.
 *
 * @param products Makes each product, by a name for messages.
 * @param plugins The factories that rebuild them, by the name in the spec: `{ swta }`; those of `@ghl/core` are known.
 */
export function specCases(
  products: Readonly<Record<string, () => Specified>>,
  plugins: Readonly<Record<string, Factory>>,
): ConformanceCase[] {
  return [
    {
      id: 'rebuilt',
      title: 'are rebuilt from their specs with the same behaviour',
      run: async () => {
        for (const [name, make] of Object.entries(products)) {
          const product = make();
          const rebuilt = fromSpec<Specified>(JSON.parse(JSON.stringify(product.spec)) as Spec, plugins);
          const [specText, rebuiltText] = [product, rebuilt].map(({ spec }) => JSON.stringify(spec));
          check(
            specText === rebuiltText,
            'MISMATCH',
            `The spec of ${name}, ${specText}, gives one with the spec ${rebuiltText}.`,
            HELP,
          );
          const actual = await behaviour(rebuilt);
          for (const [step, expected] of (await behaviour(product)).entries()) {
            checkIdentical(
              `Step ${step} of the rebuilt ${name}`,
              actual[step] ?? new Map(),
              expected,
              'MISMATCH',
              HELP,
            );
          }
        }
      },
    },
    {
      id: 'distinct',
      title: 'have different specs',
      run: async () => {
        const names = new Map<string, string>();
        for (const [name, make] of Object.entries(products)) {
          const spec = JSON.stringify(make().spec);
          const same = names.get(spec);
          check(same === undefined, 'MISMATCH', `${same} and ${name} have the same spec, ${spec}.`, HELP);
          names.set(spec, name);
        }
      },
    },
  ];
}

type Tree = ReadonlyMap<string, Snapshot>;

/** The results of a product at several steps, bit for bit. */
async function behaviour(product: Specified): Promise<Tree[]> {
  if (typeof product !== 'function') return steps(plasticityOf(product));
  const schedule = product as Schedule;
  return [0, 1, 2, 10, 100, 1000].map(
    (step) => new Map([['value', { shape: [], dtype: 'number', values: [schedule(step)] }]]),
  );
}

/** A plasticity that shows the behaviour of a product. */
function plasticityOf(product: Specified): Plasticity {
  if ('transforms' in product) return product as Plasticity;
  if ('gate' in product) return local(product as LocalRule);
  if ('actsOn' in product) return threeFactor(competitive('own'), product as unknown as GlobalModulator);
  return { ...gradientDescent(), transforms: [product as unknown as Transform] };
}

async function steps(plasticity: Plasticity): Promise<Tree[]> {
  const { geometry, preShape } = ruleSamples[0] as Sample;
  const connection = connectionOf(geometry);
  const batch = preShape[0] as number;
  const trees: Tree[] = [];
  let state = tf.tidy(
    () => initState(plasticity, geometry.kernelShape, connection.units) as never,
  ) as unknown as PlasticityState;
  for (let step = 0; step < 3; step++) {
    const result = tf.tidy(() => {
      const tensor = (seed: number, shape: readonly number[]) => tf.tensor(numbers(seed, shape), [...shape]);
      const kernel = tensor(7, geometry.kernelShape);
      const pre = tensor(100 + step, preShape);
      const signals = {
        gradient: tensor(200 + step, geometry.kernelShape),
        loss: tf.scalar(1 + Math.sin(step)),
        reward: tensor(300 + step, [batch]),
        input: tensor(400 + step, [batch, 3]),
        target: tensor(500 + step, [batch, 2]),
      };
      const calls = [{ pre, post: connection.forward(pre, kernel) }];
      const { increment, state: next } = layerIncrement(
        plasticity,
        { connection, kernel, calls, signals, step },
        state,
      );
      return { increment, state: mapLeaves(next, (leaf) => leaf.clone()) } as never;
    }) as unknown as { increment: tf.Tensor; state: PlasticityState };
    tf.dispose(state as never);
    state = result.state;
    trees.push(await snapshot(result));
    result.increment.dispose();
  }
  tf.dispose(state as never);
  return trees;
}
