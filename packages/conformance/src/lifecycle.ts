/** The cases that rules and modulators share: both have a state to save, and a spec that rebuilds them. */
import { type Factory, fromSpec, type Spec, type Specified } from '@ghl/core';
import { saveState } from '@ghl/core/engine';
import type { StateTree } from '@ghl/core/plugin';
import {
  type ConformanceCase,
  check,
  checkIdentical,
  checkStructure,
  evaluate,
  reload,
  type Snapshot,
} from './case.js';

/** The results of a step by path, with the state after it under `state/`. */
export type Step = ReadonlyMap<string, Snapshot>;

/** Steps of a plugin. */
export interface Steps<State extends StateTree> {
  readonly count: number;
  /** The number of the first step. Default 0. */
  readonly start?: number;
  /** The state to start from, which is disposed of. Default: the initial state. */
  readonly state?: State;
  /** Called with the state after the last step, before its disposal. */
  use?(state: State): Promise<void>;
}

/** A kind of plugin, and a way to make its steps. */
export interface Lifecycle<Plugin extends Specified, Sample, State extends StateTree> {
  /** The plugin's name in messages. */
  readonly noun: string;
  readonly factory: () => Plugin;
  readonly plugins: Readonly<Record<string, Factory>>;
  readonly samples: readonly Sample[];
  nameOf(sample: Sample): string;
  initialState(plugin: Plugin, sample: Sample): State;
  steps(plugin: Plugin, sample: Sample, options: Steps<State>): Promise<Step[]>;
}

/** The part of a step below a path. */
export const part = (step: Step, prefix: string): Step =>
  new Map(
    [...step].filter(([path]) => path.startsWith(prefix)).map(([path, leaf]) => [path.slice(prefix.length), leaf]),
  );

/** The cases `state-structure`, `resume` and `spec`. */
export function lifecycleCases<Plugin extends Specified, Sample, State extends StateTree>({
  noun,
  factory,
  plugins,
  samples,
  nameOf,
  initialState,
  steps,
}: Lifecycle<Plugin, Sample, State>): ConformanceCase[] {
  return [
    {
      id: 'state-structure',
      title: 'keeps the structure, shapes and dtypes of its state',
      run: async () => {
        for (const sample of samples) {
          const initial = await evaluate(() => initialState(factory(), sample));
          for (const actual of await steps(factory(), sample, { count: 2 })) {
            checkStructure(
              'the state after a step',
              part(actual, 'state/'),
              initial,
              'MISMATCH',
              'return a state with the structure of init(); no other can be saved and loaded.',
            );
          }
        }
      },
    },
    {
      id: 'resume',
      title: 'continues from a saved state bit for bit',
      run: async () => {
        for (const sample of samples) {
          const whole = await steps(factory(), sample, { count: 4 });
          let saved = new ArrayBuffer(0);
          const use = async (state: State) => {
            saved = await saveState(state);
          };
          await steps(factory(), sample, { count: 2, use });
          const resumed = factory();
          const state = reload(saved, initialState(resumed, sample));
          const rest = await steps(resumed, sample, { count: 2, state, start: 2 });
          for (const [i, actual] of rest.entries()) {
            checkIdentical(
              `Step ${i + 2} of ${nameOf(sample)}, resumed,`,
              actual,
              whole[i + 2] as Step,
              'MISMATCH',
              `keep in the state everything that the next step depends on, and nothing in the ${noun} itself.`,
            );
          }
        }
      },
    },
    {
      id: 'spec',
      title: 'is rebuilt from its spec',
      run: async () => {
        const plugin = factory();
        const rebuilt = fromSpec<Plugin>(JSON.parse(JSON.stringify(plugin.spec)) as Spec, plugins);
        const help = 'make the spec with specOf(name, ...arguments), with all arguments of the factory.';
        check(
          JSON.stringify(rebuilt.spec) === JSON.stringify(plugin.spec),
          'MISMATCH',
          `The spec ${JSON.stringify(plugin.spec)} gives a ${noun} with the spec ${JSON.stringify(rebuilt.spec)}.`,
          help,
        );
        for (const sample of samples) {
          const actual = await steps(rebuilt, sample, { count: 3 });
          for (const [i, step] of (await steps(plugin, sample, { count: 3 })).entries()) {
            checkIdentical(`Step ${i} of the rebuilt ${noun}`, actual[i] as Step, step, 'MISMATCH', help);
          }
        }
      },
    },
  ];
}
