/** `bench products`: trains every rule with every modulator, and measures each. A file for each finished cell. */

import { loadavg } from 'node:os';
import { relative, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type ActiveBackend, StateError } from '@ghl/core';
import { unknownName } from '@ghl/core/plugin';
import type { ImageSet } from '@ghl/datasets';
import {
  buildRun,
  checkRecipe,
  failureOf,
  MemoryStorage,
  modulatorNames,
  networkOf,
  type PlannedRecipe,
  planRecipe,
  type RacePlan,
  RunRecord,
  ruleNames,
  toJson,
  train,
} from '@ghl/race';
import Table from 'cli-table3';
import { mean } from 'simple-statistics';
import { loadData, targetOf } from '../files/data.js';
import {
  type CellSeed,
  type CellSettings,
  cellName,
  type ProductCell,
  readCell,
  writeCell,
} from '../files/product-cell.js';
import type { Command } from '../options/command.js';
import { names, whole } from '../options/values.js';
import { selectedRecipes } from '../options/workload.js';
import { activateBackend, checkBackend } from '../platform/backends.js';
import { clock } from '../platform/clock.js';
import { environment } from '../platform/environment.js';
import { untilInterrupted } from '../platform/interrupt.js';
import { loadBatches } from '../speed/batches.js';
import { recipeCandidate } from '../speed/candidate.js';
import { runRound, warmUp } from '../speed/rounds.js';
import { middle, ratios } from '../speed/summary.js';

/** The options of `products`; an option that the user omitted is absent. */
interface ProductsOptions {
  readonly out?: string;
  readonly rule?: readonly string[];
  readonly modulator?: readonly string[];
  readonly network?: string;
  readonly seeds?: number;
  readonly epochs?: number;
  readonly trainSize?: number;
  readonly testSize?: number;
  readonly batch?: number;
  readonly steps?: number;
  readonly backend?: string;
}

interface Products {
  readonly cells: readonly ProductCell[];
  readonly folder: string;
}

/** The name of no modulator. */
const NONE = 'none';

const DEFAULTS = {
  network: 'deephebb-small',
  seeds: 3,
  epochs: 4,
  trainSize: 1000,
  testSize: 1000,
  batch: 32,
  steps: 20,
} as const;

export const command: Command<ProductsOptions, Products> = {
  name: 'products',
  describe: 'train every rule with every modulator on glyphs, and measure accuracy, time and alignment',
  options: [
    { flags: '--out <dir>', describe: 'folder of the cells; those in it are not repeated (default: results/products)' },
    { flags: '--rule <names>', describe: 'rules, separated by commas (default: all)', parse: names },
    {
      flags: '--modulator <names>',
      describe: `modulators, separated by commas (default: all, and ${NONE})`,
      parse: names,
    },
    { flags: '--network <name>', describe: `network to train (default: ${DEFAULTS.network})` },
    { flags: '--seeds <n>', describe: `runs of each cell (default: ${DEFAULTS.seeds})`, parse: whole(1) },
    { flags: '--epochs <n>', describe: `epochs of a run (default: ${DEFAULTS.epochs})`, parse: whole(1) },
    { flags: '--train-size <n>', describe: `glyphs to train on (default: ${DEFAULTS.trainSize})`, parse: whole(1) },
    { flags: '--test-size <n>', describe: `glyphs to test on (default: ${DEFAULTS.testSize})`, parse: whole(1) },
    { flags: '--batch <n>', describe: `images in a batch (default: ${DEFAULTS.batch})`, parse: whole(1) },
    { flags: '--steps <n>', describe: `timed steps (default: ${DEFAULTS.steps})`, parse: whole(1) },
    { flags: '--backend <name>', describe: 'backend that computes (default: wasm)' },
  ],
  run,
  text: productsText,
  document: ({ cells, folder }) => ({ schemaVersion: 1, cells, folder }),
};

const say = (text: string) => process.stderr.write(`${text}\n`);

function selected(kind: string, choice: readonly string[] | undefined, known: readonly string[]): readonly string[] {
  for (const name of choice ?? []) if (!known.includes(name)) throw unknownName(kind, name, known);
  return choice ?? known;
}

async function run(options: ProductsOptions): Promise<Products> {
  const values = { backend: 'wasm', ...DEFAULTS, ...options };
  const { network, seeds, epochs, trainSize, testSize, batch, steps, backend } = values;
  const rules = selected('rule', options.rule, ruleNames);
  const modulators = selected('modulator', options.modulator, [NONE, ...modulatorNames]);
  networkOf(network);
  await checkBackend(backend);
  const folder = resolve(options.out ?? 'results/products');
  const data = await loadData({ name: 'glyphs', trainSize, validationSize: 0, options: { testSize } });
  const settings = { network, dataset: data.checksum, trainSize, testSize, epochs, batch, seeds, backend };
  const pairs = rules.flatMap((rule) =>
    modulators.map((name) => ({ rule, modulator: name === NONE ? null : name }) as const),
  );
  const active = await activateBackend(backend, { threads: 1 });
  const cells: ProductCell[] = [];
  const work = async () => {
    for (const pair of pairs) {
      let cell = await readCell(folder, pair);
      if (cell === null) {
        say(`${cellName(pair)}, ${cells.length + 1} of ${pairs.length}`);
        cell = await measureCell(pair, settings, data, active, steps);
        await writeCell(folder, cell);
      } else if (!isDeepStrictEqual(cell.settings, settings)) {
        throw new StateError(
          'RESUME_MISMATCH',
          `${cellName(pair)} in ${folder} was measured with ${toJson(cell.settings)}, now ${toJson(settings)}.`,
          'give the same options, or another folder with --out.',
        );
      }
      cells.push(cell);
    }
  };
  await untilInterrupted(work(), 'The measurement', 'repeat the command: finished cells are kept.');
  return { cells, folder };
}

async function measureCell(
  pair: Pick<ProductCell, 'rule' | 'modulator'>,
  settings: CellSettings,
  data: ImageSet,
  active: ActiveBackend,
  steps: number,
): Promise<ProductCell> {
  const { cpu, versions, git } = environment();
  const machine = {
    cpu,
    node: versions.node as string,
    commit: git?.commit ?? null,
    loadBefore: loadavg()[0] as number,
  };
  const empty = { schemaVersion: 1 as const, ...pair, settings, spec: null, seeds: [], stepRatio: null, machine };
  const { rule, modulator } = pair;
  const [recipe] = selectedRecipes({ rule, ...(modulator !== null && { modulator }) }) as [PlannedRecipe];
  const plan: RacePlan = {
    schemaVersion: 1,
    network: settings.network,
    dataset: {
      name: data.name,
      checksum: data.checksum,
      trainSize: settings.trainSize,
      validationSize: 0,
      testSize: settings.testSize,
    },
    recipes: [recipe],
    seeds: settings.seeds,
    epochs: settings.epochs,
    batch: settings.batch,
    backend: settings.backend,
    threads: 1,
    target: targetOf(data.name),
    code: machine.commit ?? '',
  };
  let spec: ProductCell['spec'];
  try {
    checkRecipe(recipe, settings.network);
    const built = buildRun(plan, { recipe, seed: 0 }, data);
    built.model.dispose();
    spec = built.specs[0] as NonNullable<ProductCell['spec']>;
  } catch (error) {
    const { code, message } = failureOf(error);
    if (code === 'UNEXPECTED') throw error;
    return { ...empty, refusal: { code, message } };
  }
  const seeds: CellSeed[] = [];
  for (let seed = 0; seed < settings.seeds; seed++) seeds.push(await trainSeed(plan, recipe, seed, data, active));
  const stepRatio = await timeSteps(recipe, settings, steps);
  return { ...empty, refusal: null, spec, seeds, stepRatio };
}

async function trainSeed(
  plan: RacePlan,
  recipe: PlannedRecipe,
  seed: number,
  data: ImageSet,
  { numerics }: ActiveBackend,
): Promise<CellSeed> {
  const record = new RunRecord(new MemoryStorage());
  const { model, phases } = buildRun(plan, { recipe, seed }, data);
  let failure: CellSeed['failure'] = null;
  try {
    // Nothing resumes this run.
    const checkpointDue = () => false;
    await train({ model, phases, data, seed, record, clock, backend: plan.backend, numerics, checkpointDue });
  } catch (error) {
    const { code, message } = failureOf(error);
    if (code === 'UNEXPECTED') throw error;
    failure = { code, message };
  } finally {
    model.dispose();
  }
  const events = await record.readEvents();
  const last = events.filter((event) => event.type === 'alignment').at(-1)?.layers ?? {};
  const layers = Object.keys(networkOf(plan.network).constants.temperatures);
  return {
    seed,
    testAccuracies: events.flatMap((event) => (event.type === 'epoch' && event.test ? [event.test.accuracy] : [])),
    alignment: Object.fromEntries(layers.flatMap((layer) => (last[layer] ? [[layer, last[layer].alignment]] : []))),
    failure,
  };
}

/** The time of a step divided by that of back-propagation, alternately on the same batches. */
async function timeSteps(
  recipe: PlannedRecipe,
  { network, batch }: CellSettings,
  steps: number,
): Promise<ProductCell['stepRatio']> {
  const batches = await loadBatches({ name: 'glyphs', options: { testSize: 1 } }, batch);
  const candidates = [recipe, planRecipe('backprop')].map((each) =>
    recipeCandidate({ recipe: each, phase: 0 }, network, batches),
  );
  try {
    const timed = candidates.map(({ name, step }) => ({ name, step: async (i: number) => (await step(i)).ms }));
    await warmUp(timed, 3);
    const times: number[][] = [];
    for (let i = 0; i < steps; i++) times.push(await runRound(timed, i));
    const [own, backprop] = [0, 1].map((i) => times.map((each) => each[i] as number)) as [number[], number[]];
    return { ...middle(ratios(own, backprop)), steps };
  } catch (error) {
    // A rule that diverges within these steps has no step to time.
    if (failureOf(error).code === 'UNEXPECTED') throw error;
    return null;
  } finally {
    for (const { dispose } of candidates) dispose();
  }
}

/** A row for each rule, a column for each modulator; one line for each refused cell. */
function productsText({ cells, folder }: Products): string {
  const modulators = [...new Set(cells.map(({ modulator }) => modulator))];
  const table = new Table({
    head: ['rule', ...modulators.map((name) => name ?? NONE)],
    style: { head: [], border: [], compact: true },
  });
  for (const rule of new Set(cells.map((cell) => cell.rule))) {
    const own = cells.filter((cell) => cell.rule === rule);
    table.push([rule, ...modulators.map((name) => cellText(own.find(({ modulator }) => modulator === name)))]);
  }
  const refused = cells.flatMap((cell) =>
    cell.refusal === null ? [] : [`${cellName(cell)}: ${cell.refusal.code}: ${cell.refusal.message}`],
  );
  return [
    table.toString(),
    'accuracy %, time of a step ÷ back-propagation, alignment',
    ...refused,
    `cells: ${relative('', folder)}`,
  ].join('\n');
}

function cellText(cell: ProductCell | undefined): string {
  if (cell === undefined) return '';
  if (cell.refusal !== null) return 'refused';
  const finished = cell.seeds.filter(({ failure }) => failure === null);
  if (finished.length === 0) return cell.seeds[0]?.failure?.code ?? '';
  const accuracy = mean(finished.map(({ testAccuracies }) => 100 * (testAccuracies.at(-1) as number)));
  const cosines = finished.flatMap(({ alignment }) => Object.values(alignment));
  const parts = [
    accuracy.toFixed(1) + (finished.length < cell.seeds.length ? ` (${finished.length} of ${cell.seeds.length})` : ''),
    cell.stepRatio === null ? '–' : `×${cell.stepRatio.median.toFixed(2)}`,
    cosines.length === 0 ? '–' : mean(cosines).toFixed(2),
  ];
  return parts.join(', ');
}
