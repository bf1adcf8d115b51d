/** The bench can read everything that it writes, with NaN and ±∞ in any number: values for every schema. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import '@tensorflow/tfjs-backend-cpu';
import { gradientDescent, type Json } from '@ghl/core';
import { plasticOptimizer } from '@ghl/learner';
import {
  decodeCheckpoint,
  encodeCheckpoint,
  eventSchema,
  json,
  manifestSchema,
  number,
  type Position,
  planSchema,
  positionSchema,
  type RacePlan,
  type RecordedRun,
  type RunEvent,
  type RunManifest,
  type RunResult,
  resultSchema,
  statistic,
  summarise,
  toJson,
} from '@ghl/race';
import * as tf from '@tensorflow/tfjs-core';
import { layers, sequential } from '@tensorflow/tfjs-layers';
import fc from 'fast-check';
import { parseHTML } from 'linkedom';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { RaceFolder } from './files/race-folder.js';
import { RunFolder } from './files/run-folder.js';
import { page } from './report/page.js';
import { table } from './report/table.js';

const words = ['NaN', 'Infinity', '-Infinity'];
const anyNumber = fc
  .oneof(fc.float(), fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0.5, 1))
  .map((value) => value + 0); // JSON has no −0
const anyText = fc.oneof(fc.string(), fc.constantFrom(...words));
const { anyJson } = fc.letrec<{ anyJson: Json }>((tie) => ({
  anyJson: fc.oneof(
    { maxDepth: 3, depthSize: 'small' },
    anyNumber,
    fc.boolean(),
    fc.constant(null),
    fc.string().filter((text) => !words.includes(text)),
    fc.array(tie('anyJson'), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', 'name', 'args'), tie('anyJson')),
  ),
}));

/** Values of a schema. A number that is not declared to be a whole one may be any. */
function valuesOf(schema: z.ZodType): fc.Arbitrary<unknown> {
  if (schema === number) return anyNumber;
  if (schema === json) return anyJson;
  const { type, ...def } = schema._zod.def as unknown as { type: string } & Record<string, z.ZodType> & {
      shape: Record<string, z.ZodType>;
      items: z.ZodType[];
      options: z.ZodType[];
      values: unknown[];
      checks?: unknown[];
    };
  switch (type) {
    case 'object':
      return fc
        .record({
          ...Object.fromEntries(Object.entries(def.shape).map(([key, each]) => [key, valuesOf(each)])),
          ...(def.catchall === json && { more: anyJson }),
        })
        .map(
          // Optional fields are omitted and not undefined.
          (value) => Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)),
        );
    case 'string':
      return anyText;
    case 'number':
      return def.checks?.length ? fc.integer({ min: 1, max: 1e6 }) : anyNumber;
    case 'boolean':
      return fc.boolean();
    case 'literal':
      return fc.constantFrom(...def.values);
    case 'nullable':
      return fc.option(valuesOf(def.innerType as z.ZodType), { nil: null });
    case 'optional':
      return fc.option(valuesOf(def.innerType as z.ZodType), { nil: undefined });
    case 'default':
      return valuesOf(def.innerType as z.ZodType);
    case 'array':
      return fc.array(valuesOf(def.element as z.ZodType), { minLength: 1, maxLength: 3 });
    case 'record':
      return fc.dictionary(fc.constantFrom('conv1', '*', 'NaN'), valuesOf(def.valueType as z.ZodType));
    case 'tuple':
      return fc.tuple(...def.items.map(valuesOf));
    case 'union':
      return fc.oneof(...def.options.map(valuesOf));
    default:
      throw new Error(`values of ${type}`);
  }
}

const some = <T>(schema: z.ZodType<T>) => valuesOf(schema) as fc.Arbitrary<T>;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bench-'));
  await tf.setBackend('cpu');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('with NaN and ±∞ in any number, the bench reads what it wrote', () => {
  it('of a manifest', async () => {
    const run = new RunFolder(folder, 'manifest', 0);
    await fc.assert(
      fc.asyncProperty(some<RunManifest>(manifestSchema), async (manifest) => {
        await run.writeManifest(manifest);
        expect(await run.readManifest()).toEqual(manifest);
      }),
      { numRuns: 50 },
    );
  });

  it('of every kind of event', async () => {
    const run = new RunFolder(folder, 'events', 0);
    const kinds = new Set<string>();
    await fc.assert(
      fc.asyncProperty(fc.array(some<RunEvent>(eventSchema)), async (events) => {
        const log = await run.openEvents(0);
        for (const event of events) await log.append(event);
        await log.close();
        expect(await run.readEvents()).toEqual(events);
        for (const { type } of events) kinds.add(type);
      }),
      { numRuns: 50 },
    );
    expect(kinds.size).toBe(eventSchema.options.length);
  });

  it('of a result', async () => {
    const run = new RunFolder(folder, 'result', 0);
    await fc.assert(
      fc.asyncProperty(some<RunResult>(resultSchema), async (result) => {
        await run.writeResult(result);
        expect(await run.readResult()).toEqual(result);
      }),
      { numRuns: 50 },
    );
  });

  it('of a plan, its options included', async () => {
    await fc.assert(
      fc.asyncProperty(some<RacePlan>(planSchema), async (plan) => {
        const race = new RaceFolder(await mkdtemp(join(folder, 'plan-')));
        await race.begin(plan, null);
        expect(await race.readPlan()).toEqual(plan);
      }),
      { numRuns: 50 },
    );
  });

  it('of a checkpoint', async () => {
    const model = sequential({ layers: [layers.dense({ units: 1, inputShape: [1] })] });
    const optimizer = plasticOptimizer(model, { '*': gradientDescent() });
    await fc.assert(
      fc.asyncProperty(some<Position>(positionSchema), async (position) => {
        const bytes = await encodeCheckpoint(position, model, optimizer);
        expect((await decodeCheckpoint(bytes, 'checkpoint')).position).toEqual(position);
      }),
      { numRuns: 50 },
    );
    optimizer.dispose();
    model.dispose();
  });

  it('of the document that --json prints, and of the one in the report', () => {
    const race = some<RacePlan>(planSchema).chain((plan) =>
      fc.tuple(
        fc.constant(plan),
        fc.array(
          fc.record({
            recipe: fc.constantFrom(...plan.recipes.map(({ name }) => name)),
            seed: fc.nat(9),
            state: fc.constantFrom('finished', 'failed', 'unfinished'),
            manifest: fc.constant(null),
            events: fc.array(some<RunEvent>(eventSchema).filter(({ type }) => type !== 'filters')),
            result: fc.option(some<RunResult>(resultSchema), { nil: null }),
          }) as fc.Arbitrary<RecordedRun>,
          { maxLength: 4 },
        ),
      ),
    );
    fc.assert(
      fc.property(race, ([{ recipes, ...rest }, runs]) => {
        const nameOf = (recipe: string) => `r${recipes.findIndex(({ name }) => name === recipe)}`;
        const plan = { ...rest, recipes: recipes.map((_, i) => ({ name: `r${i}` })), target: 0.5 };
        const named = runs.map((run) => ({ ...run, recipe: nameOf(run.recipe) }));
        const summary = summarise(plan, named);
        expect(table(summary)).not.toMatch(/NaN|Infinity/);
        const report = {
          ...summary,
          dataset: null,
          network: '',
          incomplete: [],
          backend: '',
          backends: [],
          recipes: [],
        };
        expect(json.parse(JSON.parse(toJson(report)))).toEqual(report);
        const numbers = Object.values(summary.recipes).map(({ backends: _, ...each }) => each);
        expect(json.parse(JSON.parse(toJson(numbers)))).toEqual(numbers);
        const { document } = parseHTML(page(plan, named, summary));
        expect(document.querySelector('#summary')?.textContent).toBe(toJson(summary).replaceAll('<', '\\u003c'));
        for (const shape of document.querySelectorAll('svg *')) {
          for (const { name, value } of shape.attributes) expect(`${name}="${value}"`).not.toMatch(/NaN|Infinity/);
        }
      }),
      { numRuns: 40 },
    );
  });
});

it('reads the null that earlier versions wrote for NaN, apart from the null of an absent value', async () => {
  const run = new RunFolder(folder, 'null', 0);
  await (await run.openEvents(0)).close();
  const score = { loss: null, accuracy: 0.086 };
  const times = { trainMs: 1, evalMs: 2, logMs: 3 };
  const event = { type: 'epoch', step: 2, epoch: 1, train: score, validation: null, test: score, ...times };
  await writeFile(join(run.path, 'events.jsonl'), `${JSON.stringify(event)}\n`);
  const read = { loss: Number.NaN, accuracy: 0.086 };
  expect(await run.readEvents()).toEqual([{ ...event, train: read, test: read }]);
});

it('writes NaN and ±∞ as strings', async () => {
  const values = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1];
  expect(toJson(values)).toBe('["NaN","Infinity","-Infinity",1]');
  const run = new RunFolder(folder, 'text', 0);
  const log = await run.openEvents(0);
  await log.append({ type: 'failed', step: Number.NaN, code: 'NaN', message: 'Infinity', help: '' });
  await log.close();
  expect(await readFile(join(run.path, 'events.jsonl'), 'utf8')).toBe(
    '{"type":"failed","step":"NaN","code":"NaN","message":"Infinity","help":""}\n',
  );
});

it('computes a statistic of the finite numbers, with their count', () => {
  const seeds = [0.5, Number.NaN, 1.5, null, Number.POSITIVE_INFINITY];
  expect(statistic(seeds)).toEqual({ n: 2, mean: 1, sd: Math.SQRT1_2, seeds });
  expect(statistic([Number.NaN, null])).toEqual({ n: 0, mean: null, sd: null, seeds: [Number.NaN, null] });
});
