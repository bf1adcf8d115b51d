/**
 * A rehearsal of two releases. It publishes every package to a registry on loopback. A new project installs the
 * packages from there with an empty cache and the commands of the README, and runs the README's example. Other
 * packages come from npm's registry. Without it, the tests are skipped with the reason.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { fromMarkdown } from 'mdast-util-from-markdown';
import ts from 'typescript';
import { build, preview } from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fromPage } from '../../tools/doc-examples/extract.js';
import { startChromium, unpackedChromium } from '../../tools/vitest/chromium.js';
import { nodeBinary, nodeVersions } from './node-binary.js';

const run = promisify(execFile);
const root = resolve('.');

/** The README's commands, its example, and the output of the example. */
const readme = await readFile('README.md', 'utf8');
const commandsOf = (text: string) =>
  fromMarkdown(text).children.flatMap((node) =>
    node.type === 'code' && node.lang === 'sh'
      ? node.value.split('\n').filter((line) => /^npm i(nstall)? /.test(line))
      : [],
  );
const [example] = fromPage(readme, 'README.md');
const printed = [...example!.code.matchAll(/^\/\/ => (.*)$/gm)].map(([, text]) => `${text}\n`).join('');

let folder: string;
let address: string;
let workspace: string;
let registry: ChildProcess;
let env: NodeJS.ProcessEnv;
let missing: string | undefined;

const npm = async (cwd: string, ...args: string[]) => (await run('npm', args, { cwd, env, maxBuffer: 2 ** 26 })).stdout;

/** The package.json of each package of the workspace, by name. */
async function manifests(): Promise<Map<string, Record<string, unknown>>> {
  const versions = new Map();
  for (const parent of ['packages', 'apps']) {
    for (const name of await readdir(join(workspace, parent))) {
      const text = await readFile(join(workspace, parent, name, 'package.json'), 'utf8');
      versions.set(`@ghl/${name}`, JSON.parse(text));
    }
  }
  return versions;
}

/** Makes a new project, runs commands of npm in it, and writes the README's example to a file. */
async function project(name: string, commands: readonly string[]): Promise<string> {
  const place = join(folder, name);
  await mkdir(place);
  await writeFile(join(place, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  for (const command of commands) await npm(place, ...command.split(' ').slice(1), '--no-audit', '--no-fund');
  const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext };
  await writeFile(join(place, 'main.js'), ts.transpileModule(example!.code, { compilerOptions }).outputText);
  return place;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ghl-release-'));
  const config = async (key: string) => (await run('npm', ['config', 'get', key])).stdout.trim();
  const uplink = await config('registry');
  const cafile = await config('cafile');
  missing = await run('npm', ['ping', '--fetch-retries=1']).then(
    () => undefined,
    (error: Error) => `npm does not reach its registry: ${error.message.match(/(?<=npm error ).*/g)?.slice(0, 4)}`,
  );
  if (missing !== undefined) return;

  // The workspace of a clone, with the build.
  workspace = join(folder, 'workspace');
  const excluded = /(^|\/)(node_modules|\.git|\.cache|\.nx)$/;
  for (const path of ['package.json', 'package-lock.json', 'LICENSE', '.changeset', 'packages', 'apps']) {
    await cp(path, join(workspace, path), {
      recursive: true,
      filter: (source) => !excluded.test(relative(root, resolve(source))),
    });
  }
  await symlink(join(root, 'node_modules'), join(workspace, 'node_modules'), 'dir');

  const trust = process.env.NODE_EXTRA_CA_CERTS ?? (cafile === 'null' || cafile === '' ? undefined : cafile);
  registry = spawn(process.execPath, ['tests/matrix/registry.mjs', uplink, join(folder, 'registry')], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...(trust && { NODE_EXTRA_CA_CERTS: trust }) },
  });
  let output = '';
  while (!/^\d+$/m.test(output)) output += String((await once(registry.stdout!, 'data'))[0]);
  const host = `127.0.0.1:${/^\d+$/m.exec(output)![0]}/`;
  address = `http://${host}`;
  await writeFile(join(folder, 'npmrc'), `registry=${address}\n//${host}:_authToken=anyone\n`);
  env = {
    ...Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^npm_config_/i.test(key))),
    npm_config_userconfig: join(folder, 'npmrc'),
    npm_config_cache: join(folder, 'cache'),
    npm_config_update_notifier: 'false',
    NODE_OPTIONS: '',
  };
});
afterAll(async () => {
  registry?.stdin?.end();
  await rm(folder, { recursive: true, force: true });
});

/** Only a workflow with trusted publishing can make the provenance. */
const publish = () => npm(workspace, 'publish', '--workspaces', '--provenance=false');

describe('the first release', () => {
  let first: string;

  it('publishes every package', async (context) => {
    if (missing !== undefined) return context.skip(missing);
    await publish();
    const local = await manifests();
    expect(local.size).toBeGreaterThan(16);
    for (const [name, { version, license, homepage, repository, dependencies }] of local) {
      const published = await (await fetch(`${address}${name.replace('/', '%2f')}`)).json();
      expect(published['dist-tags']).toEqual({ latest: version });
      const metadata = { version, license, homepage, repository, dependencies };
      expect(published.versions[version as string]).toMatchObject(metadata);
    }
  });

  it("installs with the README's commands", async (context) => {
    if (missing !== undefined) return context.skip(missing);
    const commands = commandsOf(readme);
    expect(commands.length).toBeGreaterThan(1);
    first = await project('first', commands);
    for (const name of await readdir(join(first, 'node_modules/@ghl'))) {
      const files = await readdir(join(first, 'node_modules/@ghl', name));
      expect(files).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'dist', 'package.json']));
    }
  });

  it.for(nodeVersions)("runs the README's example in Node %s", async (version, context) => {
    if (missing !== undefined) return context.skip(missing);
    const cache = resolve('node_modules/.cache/matrix');
    const binary = await nodeBinary(version, cache).catch((error: Error) => context.skip(error.message));
    expect((await run(binary, ['main.js'], { cwd: first, env })).stdout).toBe(printed);
  });

  it("runs the README's example in a page, bundled by the instructions of the backend's README", async (context) => {
    await unpackedChromium().catch((error: Error) => context.skip(error.message));
    if (missing !== undefined) return context.skip(missing);
    const backend = fromPage(await readFile('packages/backend-wasm/README.md', 'utf8'), '');
    await writeFile(join(first, 'activate.js'), backend.find(({ code }) => code.includes('.wasm?url'))!.code);
    await writeFile(join(first, 'page.js'), "import './activate.js';\nimport './main.js';\n");
    await writeFile(join(first, 'index.html'), '<!doctype html><script type="module" src="page.js"></script>');
    const page = { root: first, configFile: false, logLevel: 'error', build: { target: 'es2022' } } as const;
    await build(page);
    const server = await preview({ ...page, preview: { port: 0 } });
    const browser = await startChromium();
    try {
      const tab = await browser.newPage();
      const logged = new Promise<string>((resolve, reject) => {
        tab.on('pageerror', reject);
        tab.on('console', (message) => message.type() === 'log' && resolve(message.text()));
      });
      await tab.goto(server.resolvedUrls?.local[0] as string);
      expect(`${await logged}\n`).toBe(printed);
    } finally {
      await browser.close();
      await server.close();
    }
  });

  it("installs the bench with its README's command, and runs it", async (context) => {
    if (missing !== undefined) return context.skip(missing);
    const place = await project('bench', commandsOf(await readFile('apps/bench/README.md', 'utf8')));
    const race = [
      'run',
      '--recipe',
      'ghl',
      '--seeds',
      '1',
      '--epochs',
      '1',
      '--train-size',
      '64',
      '--out',
      'race',
      '--json',
    ];
    const { stdout } = await run('npx', ['--no-install', 'bench', ...race], { cwd: place, env });
    expect(JSON.parse(stdout)).toMatchObject({ recipes: { ghl: { testAccuracy: { seeds: [expect.any(Number)] } } } });
    expect(await readdir(join(place, 'race'))).toContain('report.html');
  });
});

describe('the second release', () => {
  it('gives all packages the next version, and installs', async (context) => {
    if (missing !== undefined) return context.skip(missing);
    const before = (await manifests()).get('@ghl/core')!.version as string;
    const [major, minor] = before.split('.').map(Number) as [number, number];
    const next = `${major}.${minor + 1}.0`;
    await writeFile(join(workspace, '.changeset/rehearsal.md'), "---\n'@ghl/core': minor\n---\n\nA change.\n");
    // Changesets reads the commit of a change from Git.
    const git = ['-c', 'user.name=GHL', '-c', 'user.email=ghl@localhost'];
    await run('git', ['init', '-q'], { cwd: workspace });
    await run('git', [...git, 'add', '.changeset'], { cwd: workspace });
    await run('git', [...git, 'commit', '-qm', 'First release'], { cwd: workspace });
    await run(process.execPath, [join(root, 'node_modules/@changesets/cli/bin.js'), 'version'], { cwd: workspace });
    for (const [name, { version, dependencies = {} }] of await manifests()) {
      expect(version, name).toBe(next);
      for (const [other, range] of Object.entries(dependencies as Record<string, string>)) {
        if (other.startsWith('@ghl/')) expect(range, `${name}: ${other}`).toBe(`^${next}`);
      }
    }
    await publish();

    const place = await project('second', commandsOf(readme));
    const tree = JSON.parse(await npm(place, 'ls', '--all', '--json')) as { problems?: string[] };
    expect(tree.problems).toBeUndefined();
    for (const name of await readdir(join(place, 'node_modules/@ghl'))) {
      const { version } = JSON.parse(await readFile(join(place, 'node_modules/@ghl', name, 'package.json'), 'utf8'));
      expect(version, name).toBe(next);
    }
    expect((await run(process.execPath, ['main.js'], { cwd: place, env })).stdout).toBe(printed);
  });
});
