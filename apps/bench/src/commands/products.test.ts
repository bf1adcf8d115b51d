import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deactivate } from '@ghl/backend-wasm';
import { afterAll, afterEach, beforeEach, expect, it, vi } from 'vitest';
import { command } from './products.js';

let folder: string;
let lines: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'products-'));
  lines = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => lines.push(String(text)) > 0);
});

afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

afterAll(() => deactivate());

const tiny = {
  network: 'fasthebb-small',
  seeds: 1,
  epochs: 1,
  trainSize: 2,
  testSize: 2,
  batch: 2,
  steps: 1,
  backend: 'wasm',
};

it('measures each pair, gives the reason for a refused one, and keeps finished cells', async () => {
  const options = { ...tiny, out: folder, rule: ['swta', 'constant'], modulator: ['none', 'sign'] };
  const first = await command.run({ ...options, rule: ['constant'], modulator: ['none'] });
  expect(command.document(first)).toMatchObject({
    cells: [{ rule: 'constant', modulator: null, refusal: { code: 'SENSELESS_PAIR' }, seeds: [] }],
  });
  const result = await command.run({ ...options, rule: ['swta', 'constant'], modulator: ['none'] });
  expect(lines).toEqual(['constant, 1 of 1\n', 'swta, 1 of 2\n']);
  expect((await readdir(folder)).sort()).toEqual(['constant.json', 'swta.json']);

  const cell = JSON.parse(await readFile(join(folder, 'swta.json'), 'utf8'));
  expect(cell).toMatchObject({
    refusal: null,
    seeds: [{ seed: 0, testAccuracies: [expect.any(Number)], failure: null }],
    stepRatio: { median: expect.any(Number), steps: 1 },
  });
  expect(cell.stepRatio.median).toBeGreaterThan(0);
  for (const cosine of Object.values(cell.seeds[0].alignment))
    expect(Math.abs(cosine as number)).toBeLessThanOrEqual(1);
  expect(Object.keys(cell.seeds[0].alignment)).toEqual(['conv1', 'conv2', 'conv3', 'conv4']);
  expect(command.text(result)).toMatch(/swta +│ \d+\.\d, ×\d+\.\d\d, -?\d\.\d\d/);
  expect(command.text(result)).toContain('constant: SENSELESS_PAIR');

  await expect(command.run({ ...options, rule: ['swta'], epochs: 2 })).rejects.toMatchObject({
    code: 'RESUME_MISMATCH',
  });
  await writeFile(join(folder, 'swta.json'), '{}');
  await expect(command.run({ ...options, rule: ['swta'] })).rejects.toMatchObject({ code: 'CORRUPT_RUN' });
});

it('rejects unknown names before it measures anything', async () => {
  await expect(command.run({ ...tiny, out: folder, rule: ['soja'] })).rejects.toMatchObject({ code: 'UNKNOWN_RULE' });
  await expect(command.run({ ...tiny, out: folder, modulator: ['sing'] })).rejects.toMatchObject({
    code: 'UNKNOWN_MODULATOR',
    help: expect.stringContaining("'sign'"),
  });
});
