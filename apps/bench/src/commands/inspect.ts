/** `bench inspect`: measures and draws the layers of finished runs, and adds them to the report. */
import { relative, resolve } from 'node:path';
import { ConfigurationError } from '@ghl/core';
import { inspect } from '@ghl/evaluation';
import { type PlannedRun, plannedRuns, type RacePlan, trainedModel } from '@ghl/race';
import { loadData } from '../files/data.js';
import { inspectedLayer, writeInspection } from '../files/inspection.js';
import { RaceFolder } from '../files/race-folder.js';
import type { Command } from '../options/command.js';
import { names, whole } from '../options/values.js';
import { activateBackend } from '../platform/backends.js';
import { yieldToEventLoop } from '../platform/clock.js';
import { untilInterrupted } from '../platform/interrupt.js';
import { type InspectedRun, inspectionTable } from '../report/inspection.js';
import { makeReport } from '../report/report.js';

/** The options of `inspect`; an option that the user omitted is absent. */
interface InspectOptions {
  readonly dir: string;
  readonly recipe?: readonly string[];
  readonly seed?: number;
  readonly layers?: readonly string[];
  readonly images?: number;
  readonly backend?: string;
  readonly data?: string;
}

interface Inspected {
  readonly runs: readonly InspectedRun[];
  /** The page. */
  readonly path: string;
}

export const command: Command<InspectOptions, Inspected> = {
  name: 'inspect',
  describe: 'measure and draw the layers of the finished runs of a race, and add them to its report',
  arguments: [{ name: 'dir', describe: 'folder of a race' }],
  options: [
    { flags: '--recipe <names>', describe: 'recipes, separated by commas (default: all)', parse: names },
    { flags: '--seed <n>', describe: 'seed of the runs (default: 0)', parse: whole(0) },
    {
      flags: '--layers <names>',
      describe: 'layers, separated by commas (default: those with a kernel)',
      parse: names,
    },
    {
      flags: '--images <n>',
      describe: 'training images, and test images, to read at most (default: 1000)',
      parse: whole(1),
    },
    { flags: '--backend <name>', describe: "backend that computes (default: the race's)" },
    { flags: '--data <dir>', describe: "folder of the dataset's files (default: that of the race)" },
  ],
  run,
  text: ({ runs, path }) => `${inspectionTable(runs)}\nreport: ${relative('', path)}`,
  document: ({ runs, path }) => ({
    schemaVersion: 1,
    runs: runs.map(({ inspection, ...run }) => ({
      ...run,
      ...inspection,
      layers: inspection.layers.map(({ patches: _, ...layer }) => layer),
    })),
    report: path,
  }),
};

const BATCH = 50;

async function run(options: InspectOptions): Promise<Inspected> {
  const folder = new RaceFolder(options.dir);
  const plan = await folder.readPlan();
  const seed = options.seed ?? 0;
  const finished: PlannedRun[] = [];
  for (const each of plannedRuns(plan)) {
    if (each.seed !== seed || !(options.recipe?.includes(each.recipe.name) ?? true)) continue;
    if ((await folder.run(each).readResult()) !== null) finished.push(each);
  }
  if (finished.length === 0) {
    throw new ConfigurationError(
      'NO_FINISHED_RUN',
      `${folder.path} holds no finished run of ${options.recipe?.join(', ') ?? 'any recipe'} with seed ${seed}.`,
      `resume the race, or give another --recipe or --seed: its recipes are ${plan.recipes.map(({ name }) => name).join(', ')}.`,
    );
  }
  await activateBackend(options.backend ?? plan.backend, {});
  const dataFolder = options.data === undefined ? await folder.readDataFolder() : resolve(options.data);
  const runs: InspectedRun[] = [];
  const work = async () => {
    for (const each of finished) runs.push(await inspectRun(folder, plan, each, dataFolder, options));
  };
  await untilInterrupted(work(), 'The inspection', 'begin again: finished runs are in the report.');
  return { runs, path: (await makeReport(folder)).path };
}

async function inspectRun(
  folder: RaceFolder,
  plan: RacePlan,
  planned: PlannedRun,
  dataFolder: string | null,
  { images = 1000, layers }: InspectOptions,
): Promise<InspectedRun> {
  const { recipe, seed } = planned;
  const { name, trainSize, validationSize } = plan.dataset;
  const data = await loadData({
    name,
    trainSize,
    validationSize,
    ...(recipe.protocol?.data && { options: recipe.protocol.data }),
    ...(dataFolder !== null && { folder: dataFolder }),
  });
  const files = folder.run(planned);
  const model = await trainedModel(plan, planned, data, files);
  if (model === null) {
    throw new ConfigurationError(
      'NO_FINISHED_RUN',
      `${files.path} has no checkpoint.`,
      'run it again, or copy the checkpoint into its folder.',
    );
  }
  const [trainImages, testImages] = [data.train, data.test].map(({ size }) => Math.min(size, images)) as [
    number,
    number,
  ];
  const first = (split: typeof data.train, count: number) =>
    split.batches({ batchSize: Math.min(BATCH, count), shuffle: false }).take(Math.ceil(count / BATCH));
  const say = (text: string) => process.stderr.write(`${recipe.name} ${seed}: ${text}\n`);
  let [read, saidAt] = [0, performance.now()];
  say(`reads ${trainImages} training and ${testImages} test images`);
  try {
    const inspection = await inspect(model, {
      train: first(data.train, trainImages),
      test: first(data.test, testImages),
      ...(layers && { layers }),
      async onBatch() {
        read += 1;
        await yieldToEventLoop();
        if (performance.now() - saidAt < 2000) return;
        saidAt = performance.now();
        say(`${Math.min(read * BATCH, trainImages + testImages)} of ${trainImages + testImages} images`);
      },
    });
    const record = {
      schemaVersion: 1 as const,
      trainImages,
      testImages,
      layers: Object.entries(inspection).map(([layer, each]) => inspectedLayer(layer, each)),
    };
    await writeInspection(files.path, record);
    return { recipe: recipe.name, seed, inspection: record };
  } finally {
    model.dispose();
  }
}
