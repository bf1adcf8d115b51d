/** The publication of the packages: workflows, changesets, the citation, the bill of materials. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}
interface Job {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly environment?: unknown;
  readonly strategy?: { readonly matrix: { readonly node: readonly string[] } };
  readonly steps: readonly Step[];
}
interface Workflow {
  readonly permissions?: unknown;
  readonly jobs: Readonly<Record<string, Job>>;
}

const folder = '.github/workflows';
const texts = new Map<string, string>();
for (const file of await readdir(folder)) texts.set(file, await readFile(join(folder, file), 'utf8'));
const workflow = (file: string): Workflow => parse(texts.get(file)!);
const root = JSON.parse(await readFile('package.json', 'utf8'));

/** The permissions that a job may have in addition to reading the code. */
const granted: Readonly<Record<string, readonly string[]>> = {
  'release.yml version': ['contents', 'pull-requests'],
  'release.yml publish': ['id-token'],
  'release.yml github': ['contents'],
  'site.yml deploy': ['pages', 'id-token'],
};

/** The problems of a workflow, one line each. */
function flaws(file: string, text: string): string[] {
  const { permissions, jobs } = parse(text) as Workflow;
  const wrong: string[] = [];
  if (!['{}', '{"contents":"read"}'].includes(JSON.stringify(permissions))) wrong.push('permissions are not least');
  if (/\bsecrets\b|TOKEN(?!: \$\{\{ github\.token \}\})/.test(text)) wrong.push('uses a stored secret');
  for (const line of text.match(/^.*\buses:.*$/gm) ?? []) {
    if (!/ uses: [\w-]+\/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(line)) wrong.push(`not pinned: ${line.trim()}`);
  }
  for (const [name, job] of Object.entries(jobs)) {
    const writes = Object.entries(job.permissions ?? {}).flatMap(([scope, level]) => (level === 'read' ? [] : scope));
    const extra = writes.filter((scope) => !granted[`${file} ${name}`]?.includes(scope));
    if (extra.length > 0 || typeof job.permissions === 'string') wrong.push(`${name} may ${job.permissions}`);
    for (const { uses = '', with: options = {}, run = '' } of job.steps) {
      if (uses.startsWith('actions/checkout@') && options['persist-credentials'] !== false)
        wrong.push(`${name} leaves its token in the clone`);
      for (const [, script] of run.matchAll(/\bnpm run (?:--silent )?([\w:-]+)/g)) {
        if (!(script! in root.scripts)) wrong.push(`${name} runs ${script}, which is not a script`);
      }
      // Text from outside must not become part of a command.
      if (run.includes('${{')) wrong.push(`${name} puts an expression into a command`);
    }
  }
  return wrong;
}

describe.each([...texts.keys()])('%s', (file) => {
  const text = texts.get(file)!;

  it('pins its actions, has the least permissions, and stores no secret', () => {
    expect(flaws(file, text)).toEqual([]);
  });

  it.each([
    ['an action by its tag', (before: string) => before.replace(/@[0-9a-f]{40}/, '@v7')],
    ['an action by a short commit', (before: string) => before.replace(/(@[0-9a-f]{7})[0-9a-f]{33}/, '$1')],
    ['an action without its version', (before: string) => before.replace(/ # v[\d.]+$/m, '')],
    ['no permissions', (before: string) => before.replace(/^permissions:.*\n( .*\n)*/m, '')],
    ['all permissions', (before: string) => before.replace(/^permissions:.*\n( .*\n)*/m, 'permissions: write-all\n')],
    [
      'a token',
      (before: string) => `${before}      - run: npm publish\n        env: { NPM_TOKEN: '\${{ secrets.T }}' }\n`,
    ],
  ])('would be found with %s', (_title, change) => {
    expect(change(text)).not.toBe(text);
    expect(flaws(file, change(text))).not.toEqual([]);
  });
});

it('every action is pinned to one commit', () => {
  const pins = [...texts.values()].flatMap((text) => text.match(/[\w-]+\/[\w./-]+@[0-9a-f]{40}/g) ?? []);
  const actions = new Set(pins.map((pin) => pin.split('@')[0]));
  expect(new Set(pins).size).toBe(actions.size);
});

it('runs the tests that admit a change, on the recommended Node versions first and on the oldest', () => {
  const { test } = workflow('test.yml').jobs;
  const nodes = test!.strategy!.matrix.node;
  expect(nodes).toEqual(['24', '26', '22', root.engines.node.replace('>=', '')]);
  expect(test!.steps.at(-1)!.run).toBe('.ci/run');
});

it('publishes the release in a job that has no other permission', () => {
  const { publish } = workflow('release.yml').jobs;
  expect(publish!.permissions).toEqual({ contents: 'read', 'id-token': 'write' });
  expect(publish!.environment).toBe('npm');
  expect(publish!.steps.at(-1)!.run).toBe('npx changeset publish --no-git-tag');
});

it('finds existing packages and kinds of change in every changeset', async () => {
  for (const file of await readdir('.changeset')) {
    if (!file.endsWith('.md')) continue;
    const text = await readFile(join('.changeset', file), 'utf8');
    const [, named] =
      /^---\n((?:(?:'@ghl\/[\w-]+'|"@ghl\/[\w-]+"): (?:major|minor|patch)\n)+)---\n\n\S/.exec(text) ?? [];
    expect(named, file).toBeDefined();
    for (const [, name] of named!.matchAll(/@ghl\/([\w-]+)/g)) {
      expect(existsSync(`packages/${name}`) || existsSync(`apps/${name}`), `${file}: ${name}`).toBe(true);
    }
  }
});

it('cites the paper and this repository in CITATION.cff', async () => {
  const citation = parse(await readFile('CITATION.cff', 'utf8'));
  expect(citation).toMatchObject({
    'cff-version': '1.2.0',
    license: root.license,
    'repository-code': root.homepage,
    message: expect.any(String),
    title: expect.any(String),
    authors: [expect.anything()],
    'preferred-citation': { title: 'Hebbian Learning with Global Direction', year: 2026 },
  });
  const { authors, identifiers } = citation['preferred-citation'];
  const names = authors.map((author: Record<string, string>) => author['family-names']);
  expect(names).toEqual(['Hua', 'Zhao', 'Leng', 'Cheng', 'Ma', 'Guo']);
  expect(identifiers[0].value).toBe('arXiv:2601.21367');
});

it('lists every package and its dependencies in the bill of materials, and marks the tools of the repository', async () => {
  const { stdout } = await promisify(execFile)('npm', ['run', '--silent', 'sbom'], { maxBuffer: 2 ** 26 });
  const { bomFormat, components } = JSON.parse(stdout) as {
    bomFormat: string;
    components: { purl: string; properties: { name: string }[] }[];
  };
  expect(bomFormat).toBe('CycloneDX');
  const used = new Set<string>();
  const tools = new Set<string>();
  for (const { purl, properties } of components) {
    const isTool = properties.some(({ name }) => name === 'cdx:npm:package:development');
    (isTool ? tools : used).add(/^pkg:npm\/(.+)@/.exec(purl)![1]!.replace('%40', '@'));
  }
  for (const parent of ['packages', 'apps']) {
    for (const name of await readdir(parent)) {
      expect(used).toContain(`@ghl/${name}`);
      const { dependencies = {} } = JSON.parse(await readFile(join(parent, name, 'package.json'), 'utf8'));
      for (const dependency of Object.keys(dependencies)) expect(used).toContain(dependency);
    }
  }
  expect(tools).toContain('vitest');
  expect(used).not.toContain('vitest');
});
