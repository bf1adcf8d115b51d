/** The command as a user runs it: the built `bin/bench.mjs` in separate processes. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { homedir, hostname, tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { RunEvent } from '@ghl/race';
import { recipes } from '@ghl/recipes';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { lockFolder } from './files/folder-lock.js';
import { RunFolder } from './files/run-folder.js';
import type { BackendReport } from './platform/backends.js';
import type { RecipeSpeed } from './speed/summary.js';

const app = join(dirname(fileURLToPath(import.meta.url)), '..');
const bin = join(app, 'bin', 'bench.mjs');
const root = join(app, '..', '..');

let folder: string;

beforeAll(() => {
  execFileSync(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-b', app]);
}, 300_000);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bench-'));
});

afterEach(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function begin(
  words: readonly string[],
  command = [process.execPath, bin],
): { child: ChildProcess; end: Promise<Outcome> } {
  const [program, ...before] = command as [string, ...string[]];
  const child = spawn(program, [...before, ...words], { cwd: folder, env: { ...process.env, GHL_DATA: '' } });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  return { child, end: new Promise((done) => child.on('close', (status) => done({ status, stdout, stderr }))) };
}

const bench = (...words: string[]): Promise<Outcome> => begin(words).end;

/** A race that takes a second or two a run. */
const SMALL =
  'run --network fasthebb-small --dataset glyphs --train-size 160 --validation-size 20 --batch 8 --epochs 1'.split(' ');

/** A race whose only recipe diverges at its third step. */
const DIVERGING = 'run --train-size 64 --validation-size 16 --epochs 2 --batch 32 --rule oja --raw'.split(' ');

/** The seed of the moments at which a test kills a race. GHL_KILL_SEED repeats those of a failed test. */
const killSeed = Number(process.env.GHL_KILL_SEED ?? Date.now() % 2 ** 31);

/** A sample between 0 and 1 for each index, from the seed. */
function uniform(index: number): number {
  const hash = createHash('sha256').update(`${killSeed}/${index}`).digest();
  return hash.readUInt32LE(0) / 2 ** 32;
}

const without = (event: RunEvent) => ({ ...event, trainMs: 0, evalMs: 0, logMs: 0 });

async function curve(race: string, recipe: string): Promise<unknown[]> {
  const events = await new RunFolder(race, recipe, 0).readEvents();
  return events.filter(({ type }) => type !== 'resumed').map(without);
}

/** Whether a race's first run has begun. */
const begun = async (race: string, recipe: string) =>
  (await new RunFolder(join(folder, race), recipe, 0).readManifest()) !== null;

const weights = async (race: string, recipe: string) => (await new RunFolder(race, recipe, 0).readResult())?.weights;

describe('a race', () => {
  it('ends with one JSON document, runs that describe themselves and not the user, and a report', async () => {
    const { status, stdout, stderr } = await bench(
      ...SMALL,
      '--recipe',
      'ghl,localOnly',
      '--seeds',
      '2',
      '--out',
      'race',
      '--json',
    );
    expect(stderr).toContain('ghl 0: epoch 1/1, step 20/20');
    expect(status).toBe(0);
    const document = JSON.parse(stdout);
    for (const recipe of ['ghl', 'localOnly']) {
      const { mean, sd, seeds } = document.recipes[recipe].testAccuracy;
      expect(seeds).toHaveLength(2);
      expect(mean).toBeCloseTo((seeds[0] + seeds[1]) / 2, 12);
      expect(sd).toBeCloseTo(Math.abs(seeds[0] - seeds[1]) / Math.SQRT2, 12);
    }
    expect(document.report).toBe(join(folder, 'race', 'report.html'));
    expect(await readFile(document.report, 'utf8')).toContain('<svg');

    expect((await readdir(join(folder, 'race', 'ghl', '1'))).sort()).toEqual([
      'checkpoint.bin',
      'done.json',
      'events.jsonl',
      'manifest.json',
    ]);
    const manifest = await readFile(join(folder, 'race', 'ghl', '1', 'manifest.json'), 'utf8');
    const record = JSON.parse(manifest);
    expect(record).toMatchObject({
      recipe: 'ghl',
      seed: 1,
      spec: { conv1: { name: 'chain' } },
      plan: { dataset: { name: 'glyphs', checksum: expect.stringMatching(/^[0-9a-f]{64}$/) } },
      backend: { name: 'wasm' },
      environment: { versions: { node: process.versions.node, tfjs: '4.22.0' }, cpu: expect.any(String) },
    });
    const shared = manifest + (await readFile(join(folder, 'race', 'race.json'), 'utf8'));
    for (const secret of [folder, root, homedir(), ...(hostname().length > 3 ? [hostname()] : [])]) {
      expect(shared).not.toContain(`${secret}/`);
    }
    expect(shared).not.toContain(`"${userInfo().username}"`);

    // The report is a function of the runs; a folder that is taken is not written to.
    const again = await bench('report', 'race', '--json');
    expect(JSON.parse(again.stdout)).toEqual(document);
    expect(await bench(...SMALL, '--out', 'race')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('RACE_EXISTS'),
    });
    const table = await bench('run', '--resume', 'race');
    expect(table).toMatchObject({ status: 0, stdout: expect.stringContaining('localOnly') });

    // An inspection reads the checkpoints, and its section stays in the report.
    const inspection = await bench('inspect', 'race', '--recipe', 'ghl', '--images', '30', '--json');
    expect(inspection.status).toBe(0);
    const [run] = JSON.parse(inspection.stdout).runs;
    expect(run).toMatchObject({ recipe: 'ghl', seed: 0, trainImages: 30, testImages: 30 });
    expect(run.layers.map(({ layer }: { layer: string }) => layer)).toContain('classifier');
    await bench('report', 'race');
    expect(await readFile(document.report, 'utf8')).toContain('Inside the layers');
    expect(await bench('inspect', 'race', '--seed', '9')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('NO_FINISHED_RUN'),
    });
  });

  it('resumes after kill -9 at random moments, to the same curve and the same weights', async ({ onTestFailed }) => {
    onTestFailed(() => void process.stderr.write(`repeat the moments of the kills with GHL_KILL_SEED=${killSeed}\n`));
    // A recipe of one phase, and one of two phases in parallel.
    const recipes = ['ghl', 'hpcaFastHebb'];
    const race = [...SMALL, '--recipe', recipes.join(), '--seeds', '1', '--epochs', '2', '--train-size', '320'];
    expect(await bench(...race, '--out', 'straight')).toMatchObject({ status: 0 });
    const first = begin([...race, '--out', 'killed']);
    while (!(await begun('killed', 'ghl'))) await setTimeout(50);
    await setTimeout(1000 * uniform(0));
    first.child.kill('SIGKILL');
    await first.end;
    let resumptions = 0;
    for (let left = 1; left > 0; resumptions++) {
      const next = begin(['run', '--resume', 'killed']);
      const killed = resumptions < 2;
      // It loads, and then is somewhere between two checkpoints.
      if (killed) {
        await setTimeout(1000 + 1200 * uniform(1 + resumptions));
        next.child.kill('SIGKILL');
      }
      const { status, stderr } = await next.end;
      if (status === 0) left = 0;
      else expect(killed, stderr).toBe(true);
    }
    for (const recipe of recipes) {
      expect(await curve(join(folder, 'killed'), recipe)).toEqual(await curve(join(folder, 'straight'), recipe));
      expect(await weights(join(folder, 'killed'), recipe)).toBe(await weights(join(folder, 'straight'), recipe));
    }
  }, 120_000);

  it('resumes after Ctrl-C, with the command of the message', async () => {
    const { child, end } = begin([...SMALL, '--recipe', 'backprop', '--seeds', '1', '--out', 'a race', '--json']);
    while (!(await begun('a race', 'backprop'))) await setTimeout(50);
    child.kill('SIGINT');
    const { status, stdout, stderr } = await end;
    expect(stderr).toContain('help: resume with `bench run --resume "a race"`');
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'INTERRUPTED' } });
    expect(status).toBe(130);
    expect(await bench('run', '--resume', 'a race')).toMatchObject({ status: 0 });
  });

  it('continues without a recipe that diverges, and reports and resumes without it', async () => {
    const words = [...DIVERGING, '--recipe', 'ghl', '--seeds', '1', '--out', 'race', '--json'];
    const { status, stdout, stderr } = await bench(...words);
    expect([status, stderr]).toEqual([1, expect.stringContaining('One run failed.\nNON_FINITE_STEP: Step 3: ')]);
    expect(stderr).toContain('help: likely cause: ');
    const document = JSON.parse(stdout);
    expect(document.recipes['oja+raw'].testAccuracy).toEqual({ n: 0, mean: null, sd: null, seeds: [null] });
    expect(document.recipes.ghl.testAccuracy).toMatchObject({ n: 1, mean: expect.any(Number) });
    expect(document.incomplete).toMatchObject([
      {
        recipe: 'oja+raw',
        seed: 0,
        state: 'failed',
        code: 'NON_FINITE_STEP',
        message: /Step 3: .*/.exec(stderr)?.[0],
      },
    ]);
    // It did write numbers that are not finite.
    const run = new RunFolder(join(folder, 'race'), 'oja+raw', 0);
    expect(await readFile(join(run.path, 'events.jsonl'), 'utf8')).toContain('"NaN"');
    expect(await run.readEvents()).not.toEqual([]);

    expect(JSON.parse((await bench('report', 'race', '--json')).stdout)).toEqual(document);
    const report = await bench('report', 'race');
    expect(report).toMatchObject({ status: 0, stdout: expect.stringContaining('oja+raw 0: failed, NON_FINITE_STEP') });
    const resumed = await bench('run', '--resume', 'race', '--json');
    expect(resumed).toMatchObject({ status: 1, stderr: expect.stringContaining('ghl 0: is finished already') });
    expect(JSON.parse(resumed.stdout)).toEqual(document);
  });

  it('is reported and exits with 1 if every run diverges', async () => {
    const { status, stdout, stderr } = await bench(...DIVERGING, '--seeds', '2', '--out', 'race');
    expect([status, stderr]).toEqual([1, expect.stringContaining('2 runs failed.\nNON_FINITE_STEP: ')]);
    expect(stdout).toMatch(/│ oja\+raw │ +– │/);
    expect(stdout).toMatch(/oja\+raw 0: failed, NON_FINITE_STEP\noja\+raw 1: failed, NON_FINITE_STEP\nreport: /);
    expect(await readFile(join(folder, 'race', 'report.html'), 'utf8')).toContain('NON_FINITE_STEP');
  });

  it('continues when the process of one run is killed, and can be resumed', async () => {
    const { end } = begin([...SMALL, '--recipe', 'ghl,backprop', '--seeds', '1', '--out', 'race', '--json']);
    while (!(await begun('race', 'ghl'))) await setTimeout(20);
    const owner = await readFile(join(folder, 'race', 'ghl', '0', 'lock', 'owner.json'), 'utf8');
    process.kill(JSON.parse(owner).pid, 'SIGKILL');
    const { status, stdout, stderr } = await end;
    expect([status, stderr]).toEqual([
      1,
      expect.stringContaining('RUN_DIED: The process of ghl, seed 0, ended with SIG'),
    ]);
    const document = JSON.parse(stdout);
    expect(document.recipes.backprop.testAccuracy.n).toBe(1);
    expect(document.incomplete).toMatchObject([{ recipe: 'ghl', seed: 0, state: 'failed', code: 'RUN_DIED' }]);
    expect(JSON.parse((await bench('report', 'race', '--json')).stdout)).toEqual(document);
    expect(await bench('run', '--resume', 'race')).toMatchObject({ status: 0 });
  });

  it('is reported without a run whose files are damaged', async () => {
    const race = [...SMALL, '--recipe', 'ghl,backprop', '--seeds', '1', '--out', 'race'];
    expect(await bench(...race)).toMatchObject({ status: 0 });
    for (const [file, text] of [
      ['events.jsonl', '{"type":"dance"}\n'],
      ['done.json', '{"schemaVersion":1}'],
      ['manifest.json', 'x'],
    ] as const) {
      const path = join(folder, 'race', 'ghl', '0', file);
      const whole = await readFile(path);
      await writeFile(path, text);
      for (const words of [
        ['report', 'race'],
        ['run', '--resume', 'race'],
      ]) {
        const { status, stdout, stderr } = await bench(...words, '--json');
        expect([status, stderr]).toEqual([1, expect.stringMatching(/One run failed.\nCORRUPT_RUN: /)]);
        const { recipes, incomplete } = JSON.parse(stdout);
        expect([recipes.ghl.testAccuracy.n, recipes.backprop.testAccuracy.n]).toEqual([0, 1]);
        expect(incomplete).toMatchObject([{ recipe: 'ghl', seed: 0, state: 'failed', code: 'CORRUPT_RUN' }]);
      }
      await writeFile(path, whole);
    }
  });

  it('is locked by one process at a time', async () => {
    const race = [...SMALL, '--recipe', 'ghl', '--seeds', '1', '--out', 'race'];
    expect(await bench(...race)).toMatchObject({ status: 0 });
    const { release } = await lockFolder(join(folder, 'race'));
    const { status, stderr } = await bench('run', '--resume', 'race');
    expect([status, stderr]).toEqual([
      1,
      expect.stringContaining(`number ${process.pid} on this machine.\nhelp: wait`),
    ]);
    await release();
    expect(await bench('run', '--resume', 'race')).toMatchObject({ status: 0 });
    expect(await readdir(join(folder, 'race'))).not.toContain('lock');
  });
});

describe('speed', () => {
  it('prints one JSON document, whose figures follow from its times', async () => {
    const words = 'speed --network fasthebb-small --batch 4 --threads 1 --steps 3 --rule oja --profile --json';
    const { status, stdout } = await bench(...words.split(' '));
    expect(status).toBe(0);
    const document = JSON.parse(stdout);
    expect(document).toMatchObject({
      network: 'fasthebb-small',
      dataset: 'glyphs',
      batch: 4,
      backend: 'wasm',
      threads: 1,
    });
    expect(Object.keys(document.recipes)).toEqual(['ghl', 'backprop', 'oja']);
    const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[1] as number;
    for (const recipe of Object.values<RecipeSpeed>(document.recipes)) {
      expect(recipe.ms).toHaveLength(3);
      expect(recipe.msPerStep).toBe(median(recipe.ms));
      expect(recipe.msSpread).toBeCloseTo(median(recipe.ms.map((ms) => Math.abs(ms - recipe.msPerStep))), 10);
      expect(recipe.imagesPerSecond).toBeCloseTo(4000 / recipe.msPerStep, 6);
      expect(recipe.effectiveGflops).toBeCloseTo(recipe.gflopPerImage * recipe.imagesPerSecond, 6);
      expect(recipe.ofGemmPeak).toBeCloseTo(recipe.effectiveGflops / document.gemmPeakGflops, 10);
      expect(recipe.peakRssMiB).toBeGreaterThan(50);
      expect(recipe.leakedTensors).toBe(0);
      expect(recipe.profile).toContainEqual(expect.objectContaining({ layer: 'conv2', pass: 'forward', calls: 1 }));
    }
    const { ghl, backprop } = document.recipes;
    expect(document.ghlToBackprop).toBe(median(ghl.ms.map((ms: number, i: number) => ms / backprop.ms[i])));
  });

  it('is a table, without a ratio if there is nothing to compare', async () => {
    const words = 'speed --network fasthebb-small --batch 2 --recipe ghl --steps 1';
    const { status, stdout } = await bench(...words.split(' '));
    expect(status).toBe(0);
    expect(stdout).toMatch(/│ ghl +│ +\d/);
    expect(stdout).toMatch(/GEMM peak \d+\.\d GFLOP\/s/);
    expect(stdout).not.toContain('GHL/BP');
  });

  it('prints one table of all backends, with those that did not run', async () => {
    const words = 'speed --backend all --network fasthebb-small --batch 2 --steps 1';
    const { stdout: json } = await bench(...words.split(' '), '--json');
    const { backends } = JSON.parse(json);
    expect(Object.keys(backends)).toEqual(['wasm', 'webgpu', 'node-gpu']);
    expect(backends.wasm.recipes.ghl.imagesPerSecond).toBeGreaterThan(0);
    const { status, stdout } = await bench(...words.split(' '));
    expect(status).toBe(0);
    expect(stdout).toMatch(/│ wasm +│ ghl +│ +\d+\.\d │ +\d+\.\d ± \d+\.\d │ +\d\.\d+ │ +\d+ │/);
    for (const [name, result] of Object.entries<{ reason?: string }>(backends)) {
      if (result.reason !== undefined) expect(stdout).toContain(`${name} did not run: ${result.reason}\n  help: `);
    }
    const { status: refused, stderr } = await bench(...words.split(' '), '--threads', '1');
    expect([refused, stderr]).toEqual([2, expect.stringContaining('BAD_ARGUMENTS: --threads does not go with')]);
  });
});

describe('doctor', () => {
  it('reports the device of each backend, or the reason and the remedy', async () => {
    const { status, stdout } = await bench('doctor', '--json');
    expect(status).toBe(0);
    const { backends } = JSON.parse(stdout);
    expect(Object.keys(backends)).toEqual(['wasm', 'webgpu', 'node-gpu', 'cpu']);
    expect(backends.wasm).toMatchObject({ supported: true, reason: null, driver: expect.stringContaining('V8') });
    expect(backends.wasm.threads).toBeGreaterThan(0);
    for (const { supported, reason, help } of Object.values<BackendReport>(backends)) {
      expect([reason, help].every((text) => (text === null) === supported && text !== '')).toBe(true);
    }
    const { stdout: text } = await bench('doctor');
    expect(text).toMatch(/│ wasm +│ yes/);
    for (const [name, { reason, help }] of Object.entries<BackendReport>(backends)) {
      if (reason !== null) expect(text).toContain(`${name}: ${reason}\n  help: ${help}\n`);
    }
  });
});

describe('a full disk', () => {
  it.skipIf(process.platform === 'win32')('costs nothing that was finished', async () => {
    const race = [...SMALL, '--recipe', 'ghl', '--seeds', '1'];
    expect(await bench(...race, '--out', 'straight')).toMatchObject({ status: 0 });
    const { size } = await stat(join(folder, 'straight', 'ghl', '0', 'checkpoint.bin'));
    // No file may grow beyond half of a checkpoint; Node gets an error, as on a full disk.
    const limited = [
      'bash',
      '-c',
      `ulimit -f ${Math.floor(size / 2 / 1024)}; exec "$@"`,
      'bash',
      process.execPath,
      bin,
    ];
    const { status, stderr } = await begin([...race, '--out', 'full'], limited).end;
    expect(stderr).toMatch(/DISK_FULL: .*checkpoint\.bin/);
    expect(stderr).toContain('help: free disk space');
    expect(status).toBe(1);
    expect(await bench('run', '--resume', 'full')).toMatchObject({ status: 0 });
    expect(await curve(join(folder, 'full'), 'ghl')).toEqual(await curve(join(folder, 'straight'), 'ghl'));
  });
});

describe('resuming', () => {
  beforeEach(async () => {
    const { status } = await bench(...SMALL, '--recipe', 'backprop', '--seeds', '1', '--out', 'race');
    expect(status).toBe(0);
    await rm(join(folder, 'race', 'backprop', '0', 'done.json'));
  }, 60_000);

  /** The changes behind the bench's back. */
  type Plan = { dataset: { checksum: string }; code: string };
  type Manifest = { spec: Record<string, unknown>; backend: { numerics: { variant: string } } };

  const change = async (file: string, edit: (json: Plan & Manifest) => void) => {
    const json = JSON.parse(await readFile(join(folder, 'race', file), 'utf8'));
    edit(json);
    await writeFile(join(folder, 'race', file), JSON.stringify(json));
  };

  it('is rejected with another option, code, spec or data', async () => {
    const refused = async (says: string, ...words: string[]) => {
      const { status, stdout, stderr } = await bench('run', '--resume', 'race', ...words);
      expect(stderr).toMatch(/RESUME_MISMATCH: .*\nhelp: /);
      expect(stderr).toContain(says);
      expect(stderr).not.toMatch(/^\s+at /m);
      expect(status).toBe(1);
      return stdout;
    };
    await refused('epochs is 3; the race began with 1', '--epochs', '3');
    await refused('recipe', '--recipe', 'ghl');
    await cp(join(folder, 'race'), join(folder, 'whole'), { recursive: true });
    const restore = async () => {
      await rm(join(folder, 'race'), { recursive: true });
      await cp(join(folder, 'whole'), join(folder, 'race'), { recursive: true });
    };
    await change('backprop/0/manifest.json', (manifest) => {
      manifest.spec['*'] = { name: 'gradientDescent', args: [] };
    });
    await refused('the spec of');
    await restore();
    await change('race.json', (plan) => {
      plan.dataset.checksum = '0'.repeat(64);
    });
    await refused('the images');
    await restore();
    await change('race.json', (plan) => {
      plan.code = '0'.repeat(64);
    });
    await refused('The code is version');
    await restore();
    expect(await bench('run', '--resume', 'race', '--epochs', '1')).toMatchObject({ status: 0 });
  });

  it('on another backend needs --inexact, and reports the backend that resumed', async () => {
    const { status, stderr } = await bench('run', '--resume', 'race', '--backend', 'cpu');
    expect([status, stderr]).toEqual([1, expect.stringMatching(/RESUME_INEXACT: .*cpu.*wasm.*\nhelp: .*--inexact/)]);
    const { stdout } = await bench('run', '--resume', 'race', '--backend', 'cpu', '--inexact', '--json');
    // Nothing was left to compute.
    expect(JSON.parse(stdout)).toMatchObject({ backend: 'wasm', recipes: { backprop: { backends: [['wasm']] } } });
    const events = await new RunFolder(join(folder, 'race'), 'backprop', 0).readEvents();
    expect(events.find(({ type }) => type === 'resumed')).toMatchObject({ backend: 'cpu' });
  });

  it('on another backend before the first checkpoint starts again there, and reports it', async () => {
    const run = new RunFolder(join(folder, 'race'), 'backprop', 0);
    await rm(join(run.path, 'checkpoint.bin'));
    const { stdout } = await bench('run', '--resume', 'race', '--backend', 'cpu', '--inexact', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ backend: 'cpu', backends: ['cpu'] });
    expect(await run.readManifest()).toMatchObject({ backend: { name: 'cpu', threads: 1 }, plan: { backend: 'wasm' } });
    expect(await readFile(join(folder, 'race', 'report.html'), 'utf8')).toMatch(/ · cpu on /);
  }, 180_000);

  it('without the former kernels needs --inexact, and reports the new ones', async () => {
    await change('backprop/0/manifest.json', ({ backend }) => {
      backend.numerics.variant = 'relaxed-7x7';
    });
    const { status, stderr } = await bench('run', '--resume', 'race');
    expect([status, stderr]).toEqual([1, expect.stringMatching(/RESUME_INEXACT: .*relaxed-7x7.*\nhelp: .*--inexact/)]);
    expect(await bench('run', '--resume', 'race', '--inexact')).toMatchObject({ status: 0 });
    const events = await new RunFolder(join(folder, 'race'), 'backprop', 0).readEvents();
    expect(events.find(({ type }) => type === 'resumed')).toMatchObject({
      backend: 'wasm',
      numerics: { variant: expect.stringMatching(/^(?!relaxed-7x7)/) },
    });
  });

  it('explains the remedy if its report cannot be written', async () => {
    await mkdir(join(folder, 'race', 'report.html.draft'));
    const { status, stderr } = await bench('report', 'race');
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(/^WRITE_FAILED: .*report\.html.*\nhelp: .*a copy of it/),
    ]);
  });
});

describe('bad input', () => {
  it.each([
    [['lst'], 2, 'UNKNOWN_COMMAND', "did you mean 'list'"],
    [['run', '--network', 'fasthebb-smal'], 2, 'UNKNOWN_NETWORK', "did you mean 'fasthebb-small'"],
    [['run', '--recipe', 'ghl,backprob'], 2, 'UNKNOWN_RECIPE', "did you mean 'backprop'"],
    [['run', '--dataset', 'cifar11'], 2, 'UNKNOWN_DATASET', "did you mean 'cifar10'"],
    [['run', '--backend', 'wsm'], 2, 'UNKNOWN_BACKEND', "did you mean 'wasm'"],
    [['run', '--rule', 'haebb'], 2, 'UNKNOWN_RULE', "did you mean 'hebb'"],
    [['run', '--rule', 'swta', '--modulator', 'sgn'], 2, 'UNKNOWN_MODULATOR', "did you mean 'sign'"],
    [['run', '--modulator', 'sign'], 2, 'NO_RULE', '--rule swta'],
    [['run', '--rule', 'constant', '--modulator', 'scalar'], 2, 'SENSELESS_PAIR', '--modulator sign'],
    [['run', '--dataset', 'glyphs', '--data', '.'], 2, 'NO_FOLDER', 'leave out --data'],
    [['run', '--data', 'nowhere'], 1, 'DATA_NOT_FOUND', 'help: '],
    [['run', '--train-size', '999999999', '--dataset', 'cifar10', '--data', '.'], 1, 'DATA_NOT_FOUND', 'help: '],
    [['run', '--resume', 'nowhere'], 2, 'NO_RACE', 'help: '],
    [['run', '--inexact'], 2, 'BAD_ARGUMENTS', '--resume DIR --inexact'],
    [['report', '.'], 2, 'NO_RACE', 'help: '],
    [['speed', '--network', 'fasthebb-smal'], 2, 'UNKNOWN_NETWORK', "did you mean 'fasthebb-small'"],
    [['speed', '--recipe', 'ghl,backprob'], 2, 'UNKNOWN_RECIPE', "did you mean 'backprop'"],
    [['speed', '--against', 'torch'], 2, 'UNKNOWN_OPPONENT', "did you mean 'pytorch'"],
    [['speed', '--backend', 'cpu', '--threads', '2'], 2, 'TOO_MANY_THREADS', 'give 1'],
  ])('%j exits with %i: %s', async (words, expected, code, help) => {
    const { status, stdout, stderr } = await bench(...words, '--json');
    expect(status).toBe(expected);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code } });
    expect(stderr).toMatch(new RegExp(`^${code}: .*\\nhelp: `, 'm'));
    expect(stderr).toContain(help);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  it('is rejected in a data file before a race begins', async () => {
    await mkdir(join(folder, 'data'));
    for (const file of ['data_batch_1', 'data_batch_2', 'data_batch_3', 'data_batch_4', 'data_batch_5', 'test_batch']) {
      await writeFile(join(folder, 'data', `${file}.bin`), new Uint8Array(3073 * 2 - (file === 'test_batch' ? 5 : 0)));
    }
    const { status, stderr } = await bench('run', '--data', 'data', '--out', 'race');
    expect(stderr).toMatch(/^DATA_TRUNCATED: .*test_batch\.bin/m);
    expect(status).toBe(1);
    expect(await readdir(folder)).toEqual(['data']);
  });
});

it('lists every name that it accepts', async () => {
  const { status, stdout } = await bench('list', '--json');
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    networks: expect.arrayContaining(['deephebb', 'fasthebb', 'deephebb-small', 'fasthebb-small']),
    recipes: Object.keys(recipes),
    rules: expect.arrayContaining(['oja', 'swta', 'bcm', 'hpca']),
    modulators: expect.arrayContaining(['sign', 'gate', 'scalar']),
    datasets: expect.arrayContaining(['glyphs', 'cifar10', 'cifar100', 'mnist', 'fashion-mnist']),
    backends: ['wasm', 'webgpu', 'node-gpu', 'cpu'],
  });
});

it('prints its help as a JSON document', async () => {
  const { status, stdout } = await bench('run', '--help', '--json');
  expect(status).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ help: expect.stringContaining('--resume') });
});
