/** The common shape of every package: `package.json`, `tsconfig.json`, README. What it asks stands in CONTRIBUTING.md. */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { fromMarkdown } from 'mdast-util-from-markdown';
import ts from 'typescript';

/** The sections that every package's README has, in this order. */
export const sections = [
  'What is this?',
  'When should I use this?',
  'Install',
  'Use',
  'API',
  'Compatibility',
  'License',
];

const entryPoint = { '@ghl/source': './src/index.ts', types: './dist/index.d.ts', default: './dist/index.js' };
const files = [
  'dist',
  'src',
  '!dist/*.tsbuildinfo',
  '!src/**/*.test.ts',
  '!src/**/*.test-d.ts',
  '!src/**/*.fixture.ts',
];

type Versions = Record<string, string>;

interface Manifest {
  name?: string;
  version?: string;
  private?: boolean;
  description?: string;
  license?: string;
  type?: string;
  sideEffects?: boolean;
  keywords?: string[];
  engines?: Versions;
  exports?: Record<string, unknown>;
  bin?: Versions;
  files?: string[];
  scripts?: Versions;
  dependencies?: Versions;
  peerDependencies?: Versions;
  devDependencies?: Versions;
}

interface Config {
  extends?: string;
  include?: unknown;
  exclude?: unknown;
  compilerOptions?: Record<string, unknown>;
  references?: { path: string }[];
}

const readJson = async <T>(path: string): Promise<T> => JSON.parse(await readFile(path, 'utf8')) as T;

const ours = (versions: Versions = {}): string[] => Object.keys(versions).filter((name) => name.startsWith('@ghl/'));

const list = (names: Iterable<string>): string => [...names].sort().join(', ') || 'none';

/** The `@ghl/*` packages that the source, without its tests, imports. */
async function imported(folder: string): Promise<Set<string>> {
  const names = new Set<string>();
  for (const file of await readdir(join(folder, 'src'), { recursive: true })) {
    if (!file.endsWith('.ts') || /\.test(-d)?\.ts$/.test(file)) continue;
    for (const { fileName } of ts.preProcessFile(await readFile(join(folder, 'src', file), 'utf8')).importedFiles) {
      const name = /^@ghl\/[^/]+/.exec(fileName)?.[0];
      if (name !== undefined) names.add(name);
    }
  }
  return names;
}

function checkManifest(
  folder: string,
  manifest: Manifest,
  root: Manifest,
  isApp: boolean,
  hasAssembly: boolean,
): string[] {
  const wrong: string[] = [];
  const must = (field: keyof Manifest, expected: unknown): void => {
    const actual = manifest[field];
    if (!isDeepStrictEqual(actual, expected)) {
      wrong.push(`"${field}" is ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`);
    }
  };
  must('name', `@ghl/${folder.split('/').at(-1)}`);
  must('license', 'MIT');
  must('type', 'module');
  must('engines', root.engines);
  must('scripts', { ...manifest.scripts, build: hasAssembly ? 'node assembly/build.mjs && tsc -b' : 'tsc -b' });
  if (!/^[A-Z].*\.$/.test(manifest.description ?? '')) wrong.push('"description" is not a sentence');
  if (!/^\d+\.\d+\.\d+/.test(manifest.version ?? '')) wrong.push(`"version" is ${manifest.version}`);
  if (isApp) {
    must('private', true);
  } else {
    must('private', undefined);
    must('sideEffects', false);
    must('exports', { ...manifest.exports, '.': entryPoint });
    must('files', [...files, ...(manifest.files ?? []).filter((pattern) => !files.includes(pattern))]);
    if (!manifest.keywords?.includes('three-factor-learning')) wrong.push('"keywords" lack "three-factor-learning"');
  }
  for (const [name, path] of Object.entries(manifest.bin ?? {})) {
    if (path.replace(/^\.\//, '') !== `bin/${name}.mjs`) wrong.push(`bin "${name}" is ${path}, not bin/${name}.mjs`);
    if (!existsSync(join(folder, path))) wrong.push(`bin "${name}": there is no ${path}`);
  }
  for (const kind of ['dependencies', 'peerDependencies', 'devDependencies'] as const) {
    for (const [name, version] of Object.entries(manifest[kind] ?? {})) {
      if (!/^\d+\.\d+\.\d+/.test(version)) wrong.push(`${kind}: ${name} is ${version}, not one exact version`);
      if (!name.startsWith('@tensorflow/')) continue;
      if (version !== '4.22.0') wrong.push(`${kind}: ${name} is ${version}, not 4.22.0`);
      // Two copies of TensorFlow.js have two engines: who installs a package brings the one copy.
      if (kind === 'dependencies' && !isApp) wrong.push(`dependencies: ${name} must be a peer`);
    }
  }
  for (const name of ours(manifest.peerDependencies)) wrong.push(`peerDependencies: ${name} must be a dependency`);
  return wrong;
}

function checkReadme(name: string, text: string): string[] {
  const wrong: string[] = [];
  const nodes = fromMarkdown(text).children;
  const source = (node: (typeof nodes)[number]): string =>
    text.slice(node.position?.start.offset, node.position?.end.offset).trim();
  if (nodes[0]?.type !== 'heading' || source(nodes[0]) !== `# ${name}`) wrong.push(`does not open with "# ${name}"`);
  const headings = nodes.filter((node) => node.type === 'heading' && node.depth === 2);
  const found = headings.map((node) => source(node).replace(/^## /, ''));
  if (!isDeepStrictEqual(found, sections))
    wrong.push(`has the sections ${found.join(' | ')}, not ${sections.join(' | ')}`);
  const opening = nodes.slice(1, nodes.indexOf(headings[0] as (typeof nodes)[number]));
  if (opening.length === 0) wrong.push('says nothing before its first section');
  if (/^@ghl\/(rule|modulator)-/.test(name) && !opening.some((node) => node.type === 'code')) {
    wrong.push('does not open with its equation, as a code block');
  }
  if (!text.includes(`npm install ${name}`)) wrong.push(`does not say "npm install ${name}"`);
  return wrong;
}

/** What departs from the common shape in the workspace at `root`: one line each, `file: what is wrong`. */
export async function checkPackages(root: string): Promise<string[]> {
  const wrong: string[] = [];
  const rootManifest = await readJson<Manifest>(join(root, 'package.json'));
  const versions = new Set<string | undefined>();
  const expectedReferences: string[] = [];
  for (const parent of ['packages', 'apps']) {
    if (!existsSync(join(root, parent))) continue;
    for (const entry of await readdir(join(root, parent), { withFileTypes: true })) {
      const path = `${parent}/${entry.name}`;
      const folder = join(root, path);
      if (!entry.isDirectory() || !existsSync(join(folder, 'package.json'))) continue;
      const report = (file: string, lines: string[]): void => {
        wrong.push(...lines.map((line) => `${path}/${file}: ${line}`));
      };
      const manifest = await readJson<Manifest>(join(folder, 'package.json'));
      report(
        'package.json',
        checkManifest(folder, manifest, rootManifest, parent === 'apps', existsSync(join(folder, 'assembly'))),
      );
      versions.add(manifest.version);
      expectedReferences.push(path);

      const declared = ours(manifest.dependencies);
      const used = await imported(folder);
      if (list(declared) !== list(used)) {
        report('package.json', [`depends on ${list(declared)}, but its source imports ${list(used)}`]);
      }
      for (const kind of ['dependencies', 'devDependencies'] as const) {
        for (const name of ours(manifest[kind])) {
          const version = manifest[kind]?.[name];
          if (version !== manifest.version)
            report('package.json', [`${kind}: ${name} is ${version}, not ${manifest.version}`]);
        }
      }

      const config = await readJson<Config>(join(folder, 'tsconfig.json'));
      if (config.extends !== '../../tsconfig.base.json')
        report('tsconfig.json', ['does not extend ../../tsconfig.base.json']);
      for (const key of ['include', 'exclude', 'files']) if (key in config) report('tsconfig.json', [`sets "${key}"`]);
      const references = (config.references ?? []).map((reference) =>
        reference.path.replace(/^(\.\.\/)+(packages\/)?/, '@ghl/'),
      );
      if (list(references) !== list(used)) {
        report('tsconfig.json', [`references ${list(references)}, but the source imports ${list(used)}`]);
      }

      const readme = join(folder, 'README.md');
      if (!existsSync(readme)) report('README.md', ['is missing']);
      else if (parent === 'packages')
        report('README.md', checkReadme(`@ghl/${entry.name}`, await readFile(readme, 'utf8')));
    }
  }
  if (versions.size > 1) wrong.push(`packages: versions differ: ${[...versions].join(', ')}`);
  const { references = [] } = await readJson<Config>(join(root, 'tsconfig.json'));
  const listed = list(references.map((reference) => reference.path));
  if (listed !== list(expectedReferences)) {
    wrong.push(`tsconfig.json: references ${listed}, but the workspaces are ${list(expectedReferences)}`);
  }
  return wrong;
}
