import type { PlannedRecipe, RacePlan, RunEvent, RunManifest, RunResult } from '@ghl/race';
import { type RecordedRun, summarise } from '@ghl/race';
import { parseHTML } from 'linkedom';
import { PNG } from 'pngjs';
import { describe, expect, it } from 'vitest';
import type { Inspection } from '../files/inspection.js';
import { pictureOf } from '../files/picture.js';
import { filterPicture } from './filters.js';
import { page } from './page.js';
import { specText } from './spec-text.js';

const SEEDS = 3;

const plan: RacePlan = {
  schemaVersion: 1,
  network: 'net<script>',
  dataset: { name: 'glyphs', checksum: 'c', trainSize: 32, validationSize: 8, testSize: 8 },
  recipes: [{ name: 'ghl' }, { name: 'hpca+scalar' }],
  seeds: SEEDS,
  epochs: 2,
  batch: 16,
  backend: 'wasm',
  threads: 1,
  target: 0.8,
  code: 'c',
};

const values = (numbers: readonly number[]) => Buffer.from(Float32Array.from(numbers).buffer).toString('base64');
const times = { trainMs: 1, evalMs: 1, logMs: 1 };

const events = (seed: number): RunEvent[] => [
  { type: 'filters', step: 0, layer: 'conv1', shape: [1, 1, 3, 1], values: values([0, 0.5, 1]) },
  ...[2, 4].flatMap((step): RunEvent[] => [
    {
      type: 'steps',
      step,
      epoch: step / 2 - 1,
      loss: 1 / step + seed,
      accuracy: 0.5,
      images: 32,
      learningRate: {},
      ...times,
    },
    {
      type: 'alignment',
      step,
      epoch: 0,
      layers: {
        conv1: { alignment: 0.3, signAgreement: 0.5, incrementNorm: 1 },
        classifier: { alignment: 1, signAgreement: 1, incrementNorm: 1 },
      },
    },
    {
      type: 'epoch',
      step,
      epoch: step / 2,
      train: { loss: 1, accuracy: 0.5 },
      validation: { loss: 1, accuracy: 0.6 },
      test: { loss: 1, accuracy: 0.6 },
      ...times,
    },
  ]),
];

const runs: RecordedRun[] = plan.recipes.flatMap(({ name }) =>
  Array.from({ length: SEEDS }, (_, seed) => ({
    recipe: name,
    seed,
    state: 'finished' as const,
    manifest: null,
    events: events(seed),
    result: {
      schemaVersion: 1 as const,
      steps: 4,
      epochs: 2,
      testAccuracy: 0.6,
      best: null,
      imagesPerSecond: 9,
      weights: 'w',
      ...times,
    },
  })),
);

describe('the report', () => {
  const html = page(plan, runs, summarise(plan, runs));
  const { document } = parseHTML(html);

  it('is self-contained and has no scripts', () => {
    expect(html).not.toMatch(/https?:|src="(?!data:)|href=|@import|url\(/);
    const scripts = [...document.querySelectorAll('script')];
    expect(scripts.map((script) => script.getAttribute('type'))).toEqual(['application/json']);
  });

  it('draws every seed, in the colour and under the check box of its recipe', () => {
    const panels = [...document.querySelectorAll('.panel')];
    const losses = panels.find((panel) => panel.textContent?.includes('training loss')) as Element;
    for (const recipe of ['recipe-0', 'recipe-1']) {
      const [seeds, mean] = [...losses.querySelectorAll(`g.${recipe}`)];
      expect(seeds?.querySelectorAll('path')).toHaveLength(SEEDS);
      expect(mean?.querySelectorAll('path')).toHaveLength(1);
      expect(document.querySelector(`#show-${recipe}`)?.hasAttribute('checked')).toBe(true);
    }
    const accuracy = panels.find((panel) => panel.textContent?.includes('after the last epoch')) as Element;
    expect(accuracy.querySelectorAll('circle')).toHaveLength(2 * SEEDS);
  });

  it('is the same for the same runs', () => {
    expect(page(plan, runs, summarise(plan, runs))).toBe(html);
  });

  it('shows alignment for layers with a rule, and names the layers that descend their gradient', () => {
    const titles = [...document.querySelectorAll('.panel h3')].map((title) => title.textContent);
    expect(titles).toContain('conv1');
    expect(titles).not.toContain('classifier');
    expect(html).toContain('classifier');
  });

  it('contains its numbers, and names as text', () => {
    const embedded = JSON.parse(document.querySelector('#summary')?.textContent ?? '');
    expect(embedded).toEqual(JSON.parse(JSON.stringify(summarise(plan, runs))));
    expect(html).not.toContain('net<script>');
    expect(document.querySelectorAll('img')).toHaveLength(3);
  });

  it('names the environment in its head, and the runs that differ', () => {
    const manifest = {
      backend: { name: 'wasm', driver: 'V8', threads: 1 },
      environment: { versions: {}, git: null, cpu: 'a CPU', cores: 2, memoryGiB: 8, platform: 'linux' },
      parameters: 10,
      spec: {},
    } as unknown as RunManifest;
    const moved = runs.map((run) => ({ ...run, manifest }));
    moved[1] = { ...moved[1]!, events: [{ type: 'resumed', step: 2, backend: 'cpu' }] };
    moved[2] = { ...moved[2]!, manifest: { ...manifest, backend: { name: 'cpu', threads: 1 } } };
    const { document } = parseHTML(page(plan, moved, summarise(plan, moved)));
    expect(document.querySelector('header p')?.textContent).toContain('wasm, then cpu on a CPU');
    expect([...document.querySelectorAll('.note li')].map((item) => item.textContent)).toEqual([
      'ghl, seed 1: wasm, then cpu',
      'ghl, seed 2: cpu',
    ]);
    expect(document.querySelector('dl')?.textContent).toContain('wasm, V8, 1; cpu, 1');
  });

  it('has a table of the protocols if a recipe has its own', () => {
    expect(document.querySelector('.protocols')).toBeNull();
    const phases = [
      { epochs: 1, batch: 10 },
      { epochs: 2, batch: 64, loss: 'meanSquaredError', patience: 5 },
    ];
    const network = { activation: 'triangle' };
    const [ghl] = plan.recipes as [PlannedRecipe];
    const mixed = { ...plan, recipes: [ghl, { name: 'hpca+scalar', protocol: { network, phases } }] };
    const manifest = {
      backend: { name: 'wasm' },
      environment: { versions: {}, git: null },
      parameters: 10,
      spec: { 'conv*': {}, classifier: null },
      laterSpecs: [{ 'conv*': null, '*': {} }],
    } as unknown as RunManifest;
    const local = { ...events(0)[3], train: null, validation: null, test: null } as RunEvent;
    const [first, ...rest] = runs.map((run) => (run.recipe === 'ghl' ? run : { ...run, manifest })) as [RecordedRun];
    const all = [{ ...first, events: [local, ...first.events] }, ...rest];
    const html = parseHTML(page(mixed, all, summarise(mixed, all))).document;
    const text = (row: Element) => [...row.querySelectorAll('td')].map((cell) => cell.textContent);
    expect([...html.querySelectorAll('.protocols tbody tr')].map(text)).toEqual([
      ['ghl', 'as the race', 'as the race', '1 of 1', '2', '16', '–', 'categoricalCrossentropy'],
      [
        'hpca+scalar',
        "{ activation: 'triangle' }",
        'as the race',
        '1 of 2',
        '1',
        '10',
        'conv*',
        'categoricalCrossentropy',
      ],
      ['', '', '', '2 of 2', '2, patience 5', '64', 'the rest', 'meanSquaredError'],
    ]);
    expect([...html.querySelectorAll('details h3')].map((title) => title.textContent)).toEqual([
      'hpca+scalar, phase 1',
      'hpca+scalar, phase 2',
    ]);
  });

  it('draws the finite values if others are NaN or infinite', () => {
    const wild = (value: number) => {
      const [first, ...rest] = runs as [RecordedRun, ...RecordedRun[]];
      const score = { loss: value, accuracy: value };
      const spoilt = first.events.map((event): RunEvent => {
        if (event.type === 'steps') return { ...event, loss: value, trainMs: value };
        if (event.type === 'epoch') return { ...event, train: score, validation: score, test: score, trainMs: value };
        if (event.type !== 'alignment') return event;
        return { ...event, layers: { conv1: { alignment: value, signAgreement: value, incrementNorm: value } } };
      });
      const run = { ...first, events: spoilt, result: { ...(first.result as RunResult), testAccuracy: value } };
      const all = [run, ...rest];
      return parseHTML(page(plan, all, summarise(plan, all))).document;
    };
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      const { length } = document.querySelectorAll('circle');
      // The run has a dot in the first chart, and one an epoch over the seconds.
      expect(wild(value).querySelectorAll('circle')).toHaveLength(length - 3);
      for (const shape of wild(value).querySelectorAll('svg *')) {
        for (const { name, value } of shape.attributes) expect(`${name}="${value}"`).not.toMatch(/NaN|Infinity/);
      }
      expect(wild(value).querySelector('td')?.nextElementSibling?.textContent).toBe('60.0 ± 0.0 (2 of 3)');
    }
  });

  it('reports a race whose runs all failed, at the first step or before it', () => {
    const failure: RunEvent = { type: 'failed', step: 0, code: 'RUN_DIED', message: 'It ended.', help: '' };
    for (const before of [[], events(0).slice(0, 1), events(0)]) {
      const failed = runs.map((run) => ({
        ...run,
        state: 'failed' as const,
        events: [...before, failure],
        result: null,
      }));
      const { document } = parseHTML(page(plan, failed, summarise(plan, failed)));
      expect(document.querySelectorAll('.note li')).toHaveLength(runs.length);
      expect(document.querySelector('.note li')?.textContent).toBe('ghl, seed 0: failed (RUN_DIED: It ended.)');
      expect([...document.querySelectorAll('tbody tr')].map((row) => row.textContent)).toEqual([
        'ghl–––––',
        'hpca+scalar–––––',
      ]);
    }
  });

  it('is possible before any run has ended', () => {
    const begun = runs.map((run) => ({ ...run, state: 'unfinished' as const, events: [], result: null }));
    expect(page(plan, begun, summarise(plan, begun))).toContain('unfinished');
  });
});

describe('the section on inspected layers', () => {
  const layer = { features: 4, dead: 0.5, entropy: Number.NaN, probe: 0.875, neighbours: 0.5, units: 2 };
  const picture = pictureOf({ width: 2, height: 1, data: new Uint8ClampedArray(8).fill(255) });
  const inspection = (norms: number[]): Inspection => ({
    schemaVersion: 1,
    trainImages: 20,
    testImages: 10,
    layers: [
      { ...layer, layer: 'conv<1>', norms, patches: { ...picture, units: 2 } },
      { ...layer, layer: 'pool1', entropy: 1, norms: null, patches: null },
    ],
  });
  const inspected = [
    { recipe: 'ghl', seed: 0, inspection: inspection([1, 3, 2]) },
    { recipe: 'hpca+scalar', seed: 0, inspection: inspection([1, Number.POSITIVE_INFINITY, Number.NaN]) },
  ];
  const { document } = parseHTML(page(plan, runs, summarise(plan, runs), inspected));

  it('has a row for each layer of each run', () => {
    const rows = [...document.querySelectorAll('.inspection tbody tr')].map((row) => row.textContent);
    expect(rows[0]).toBe('conv<1>ghl87.550.04–50.02.00 (1.00 to 3.00)');
    expect(rows).toHaveLength(4);
    expect(rows[2]).toBe('pool1ghl87.550.041.0050.0–');
  });

  it('draws the patches of each convolution, and the distribution of finite norms', () => {
    const images = [...document.querySelectorAll('.inspection img')].map((image) => image.getAttribute('src'));
    expect(images).toEqual([picture.url, picture.url]);
    expect(document.querySelectorAll('.inspection svg')).toHaveLength(1);
    for (const shape of document.querySelectorAll('.inspection svg *')) {
      for (const { name, value } of shape.attributes) expect(`${name}="${value}"`).not.toMatch(/NaN|Infinity/);
    }
  });

  it('is absent without an inspection', () => {
    expect(page(plan, runs, summarise(plan, runs))).not.toContain('Inside the layers');
  });
});

it('draws a filter from its least weight to its greatest', () => {
  const event = {
    type: 'filters',
    step: 0,
    layer: 'conv1',
    shape: [1, 2, 3, 1],
    values: values([-1, 0, 1, 1, 1, -1]),
  } as const;
  const { url, width, height } = filterPicture({ ...event, shape: [1, 2, 3, 1] });
  expect([width, height]).toEqual([2, 1]);
  const { data } = PNG.sync.read(Buffer.from(url.replace(/^.*,/, ''), 'base64'));
  expect([...data]).toEqual([0, 128, 255, 255, 255, 255, 0, 255]);
});

it('draws the finite weights of a filter with others', () => {
  const shape = [1, 2, 3, 1] as [number, number, number, number];
  const wild = values([-1, Number.NaN, 1, 1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]);
  const { url } = filterPicture({ type: 'filters', step: 0, layer: 'conv1', shape, values: wild });
  const { data } = PNG.sync.read(Buffer.from(url.replace(/^.*,/, ''), 'base64'));
  expect([...data]).toEqual([0, 0, 255, 255, 255, 255, 0, 255]);
});

it('writes a spec as the code that creates it', () => {
  const spec = { name: 'maxAbs', args: [{ name: 'swta', args: [{ temperature: 1 / 0.65 }] }] };
  expect(specText(spec)).toBe('maxAbs(swta({ temperature: 1.538 }))');
});
