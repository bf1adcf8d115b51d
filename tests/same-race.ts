/** A small race on the WebAssembly backend, on fixed kernels, for any host. */
import { backend } from '@ghl/backend-wasm';
import { glyphs } from '@ghl/datasets';
import { buildRun, MemoryStorage, plannedRuns, type RacePlan, RunRecord, toJson, train } from '@ghl/race';

/** One thread, and kernels that every WebAssembly engine has. */
const KERNELS = { threads: 1, variant: 'plain-6x8', winograd: true } as const;

const clock = { now: () => performance.now(), yieldToEventLoop: () => new Promise<void>((done) => setTimeout(done)) };

/** The events and results of a race of two recipes for two epochs, as JSON without their times. */
export async function race(options: { readonly wasmPaths?: string } = {}): Promise<string> {
  await backend.activate({ ...KERNELS, ...options });
  const sizes = { trainSize: 48, validationSize: 8, testSize: 16 };
  const data = await glyphs(sizes);
  const plan: RacePlan = {
    schemaVersion: 1,
    network: 'fasthebb-small',
    dataset: { name: data.name, checksum: data.checksum, ...sizes },
    recipes: [{ name: 'ghl' }, { name: 'backprop' }],
    seeds: 1,
    epochs: 2,
    batch: 8,
    backend: 'wasm',
    threads: 1,
    target: 0.9,
    code: '',
  };
  const runs: unknown[] = [];
  for (const run of plannedRuns(plan)) {
    const record = new RunRecord(new MemoryStorage());
    const { model, phases } = buildRun(plan, run, data);
    const result = await train({ model, phases, data, seed: run.seed, record, clock, backend: plan.backend });
    runs.push({ run, events: (await record.readEvents()).map(withoutTimes), result: withoutTimes(result) });
    model.dispose();
  }
  await backend.deactivate();
  return toJson({ dataset: plan.dataset, runs });
}

function withoutTimes(record: object): object {
  const times = ['trainMs', 'evalMs', 'logMs', 'imagesPerSecond'];
  return Object.fromEntries(Object.entries(record).filter(([name]) => !times.includes(name)));
}
