/**
 * The common shape of every package: `package.json`, LICENSE, `tsconfig.json`, README. CONTRIBUTING.md describes it.
 */
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
  homepage?: string;
  repository?: Versions;
  bugs?: string;
  type?: string;
  sideEffects?: boolean;
  keywords?: string[];
  engines?: Versions;
  exports?: Record<string, unknown>;
  bin?: Versions;
  files?: string[];
  publishConfig?: Record<string, unknown>;
  scripts?: Versions;
  dependencies?: Versions;
  peerDependencies?: Versions;
  peerDependenciesMeta?: Record<string, { optional?: boolean }>;
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

/** The packages that the source, without its tests, imports. */
async function imported(folder: string): Promise<Set<string>> {
  const names = new Set<string>();
  for (const file of await readdir(join(folder, 'src'), { recursive: true })) {
    if (!file.endsWith('.ts') || /\.(test(-d)?|fixture)\.ts$/.test(file)) continue;
    for (const { fileName } of ts.preProcessFile(await readFile(join(folder, 'src', file), 'utf8')).importedFiles) {
      const name = /^(?!node:)(@[^/]+\/)?[^./@][^/]*/.exec(fileName)?.[0];
      if (name !== undefined) names.add(name);
    }
  }
  return names;
}

const caret = /^\^\d+\.\d+\.\d+(-[\w.]+)?$/;
const exact = /^\d+\.\d+\.\d+(-[\w.]+)?$/;

/** The data with which {@link checkManifest} compares a `package.json`. */
export interface Surroundings {
  readonly root: Manifest;
  /** The `package.json` of every package, by its name. */
  readonly manifests: ReadonlyMap<string | undefined, Manifest>;
  /** The packages that the source imports. */
  readonly imports: ReadonlySet<string>;
  /** The files of the package's folder `bin`. */
  readonly bins: readonly string[];
  /** Whether it has kernels to compile before TypeScript. */
  readonly hasAssembly: boolean;
}

/** The problems of the `package.json` of the package in the folder `path`. */
export function checkManifest(path: string, manifest: Manifest, surroundings: Surroundings): string[] {
  const { root, manifests, imports, bins, hasAssembly } = surroundings;
  const wrong: string[] = [];
  const isApp = path.startsWith('apps/');
  const must = (field: keyof Manifest, expected: unknown): void => {
    const actual = manifest[field];
    if (!isDeepStrictEqual(actual, expected)) {
      wrong.push(`"${field}" is ${JSON.stringify(actual)}, not ${JSON.stringify(expected)}`);
    }
  };
  must('name', `@ghl/${path.split('/').at(-1)}`);
  must('license', 'MIT');
  must('homepage', `${root.homepage}/tree/main/${path}#readme`);
  must('repository', { ...root.repository, directory: path });
  must('bugs', root.bugs);
  must('type', 'module');
  must('engines', root.engines);
  must('private', undefined);
  must('publishConfig', { access: 'public', provenance: true });
  must('files', [...files, ...(manifest.files ?? []).filter((pattern) => !files.includes(pattern))]);
  must('scripts', { ...manifest.scripts, build: hasAssembly ? 'node assembly/build.mjs && tsc -b' : 'tsc -b' });
  if (!/^[A-Z].*\.$/.test(manifest.description ?? '')) wrong.push('"description" is not a sentence');
  if (!exact.test(manifest.version ?? '')) wrong.push(`"version" is ${manifest.version}`);
  if (!manifest.keywords?.includes('three-factor-learning')) wrong.push('"keywords" lack "three-factor-learning"');
  must(
    'bin',
    bins.length > 0 ? Object.fromEntries(bins.map((file) => [file.replace('.mjs', ''), `bin/${file}`])) : undefined,
  );
  if (bins.length > 0 && !manifest.files?.includes('bin')) wrong.push('"files" lack "bin"');
  if (!isApp) {
    must('sideEffects', false);
    must('exports', { ...manifest.exports, '.': entryPoint });
  }
  const [declared, used] = [ours(manifest.dependencies), [...imports].filter((name) => name.startsWith('@ghl/'))];
  if (list(declared) !== list(used)) wrong.push(`depends on ${list(declared)}, but its source imports ${list(used)}`);
  const provided = { ...manifest.dependencies, ...manifest.peerDependencies };
  const missing = [...imports].filter((name) => !(name in provided));
  if (missing.length > 0) wrong.push(`does not declare ${list(missing)}, which its source imports`);
  for (const name of declared) {
    const { peerDependencies = {}, peerDependenciesMeta = {} } = manifests.get(name) ?? {};
    const peers = Object.keys(peerDependencies).filter((peer) => !peerDependenciesMeta[peer]?.optional);
    const absent = peers.filter((peer) => !(peer in provided));
    if (absent.length > 0) wrong.push(`does not provide ${list(absent)}, a peer of ${name}`);
  }
  for (const name of Object.keys(manifest.peerDependencies ?? {})) {
    // npm installs a peer unless it is optional. Native code must not be built or downloaded without a request.
    const isNative = /^(@tensorflow\/tfjs-node|webgpu$)/.test(name);
    if (isNative && !manifest.peerDependenciesMeta?.[name]?.optional) wrong.push(`peer ${name} is not optional`);
  }
  for (const kind of ['dependencies', 'peerDependencies', 'devDependencies'] as const) {
    for (const [name, version] of Object.entries(manifest[kind] ?? {})) {
      const is = `${kind}: ${name} is ${version}`;
      if (name.startsWith('@tensorflow/')) {
        // Two copies of TensorFlow.js have two engines, so the user installs the one copy.
        if (version !== '4.22.0') wrong.push(`${is}, not 4.22.0`);
        if (kind === 'dependencies' && !isApp) wrong.push(`dependencies: ${name} must be a peer`);
      } else if (name.startsWith('@ghl/')) {
        if (kind === 'peerDependencies') wrong.push(`peerDependencies: ${name} must be a dependency`);
        else if (version !== `^${manifest.version}`) wrong.push(`${is}, not ^${manifest.version}`);
      } else if (kind === 'dependencies' && !caret.test(version)) {
        wrong.push(`${is}, not a caret range such as ^1.2.3`);
      } else if (kind === 'peerDependencies' && !exact.test(version)) {
        wrong.push(`${is}, not one exact version`);
      } else if (!exact.test(version) && !caret.test(version)) {
        wrong.push(`${is}, neither one exact version nor a caret range`);
      }
    }
  }
  return wrong;
}

function checkReadme(name: string, text: string): string[] {
  const wrong: string[] = [];
  const nodes = fromMarkdown(text).children;
  const source = (node: (typeof nodes)[number]): string =>
    text.slice(node.position?.start.offset, node.position?.end.offset).trim();
  if (nodes[0]?.type !== 'heading' || source(nodes[0]) !== `# ${name}`) wrong.push(`does not open with "# ${name}"`);
  const headings = nodes.filter((node) => node.type === 'heading' && node.depth === 2);
  const titles = headings.map((node) => source(node).replace(/^## /, ''));
  if (!isDeepStrictEqual(titles, sections))
    wrong.push(`has the sections ${titles.join(' | ')}, not ${sections.join(' | ')}`);
  const opening = nodes.slice(1, nodes.indexOf(headings[0] as (typeof nodes)[number]));
  if (opening.length === 0) wrong.push('has no text before its first section');
  if (/^@ghl\/(rule|modulator)-/.test(name) && !opening.some((node) => node.type === 'code')) {
    wrong.push('does not open with its equation, as a code block');
  }
  if (!text.includes(`npm install ${name}`)) wrong.push(`does not say "npm install ${name}"`);
  return wrong;
}

/** The packages of the workspace at `root`, by their paths, with the data to check each `package.json`. */
export async function surroundingsOf(root: string): Promise<Map<string, Surroundings & { manifest: Manifest }>> {
  const rootManifest = await readJson<Manifest>(join(root, 'package.json'));
  const paths: string[] = [];
  for (const parent of ['packages', 'apps']) {
    if (!existsSync(join(root, parent))) continue;
    const names = await readdir(join(root, parent));
    paths.push(
      ...names.map((name) => `${parent}/${name}`).filter((path) => existsSync(join(root, path, 'package.json'))),
    );
  }
  const read = await Promise.all(paths.map((path) => readJson<Manifest>(join(root, path, 'package.json'))));
  const manifests = new Map(read.map((manifest) => [manifest.name, manifest]));
  const packages = new Map<string, Surroundings & { manifest: Manifest }>();
  for (const [i, path] of paths.entries()) {
    const folder = join(root, path);
    packages.set(path, {
      manifest: read[i] as Manifest,
      root: rootManifest,
      manifests,
      imports: await imported(folder),
      bins: existsSync(join(folder, 'bin')) ? await readdir(join(folder, 'bin')) : [],
      hasAssembly: existsSync(join(folder, 'assembly')),
    });
  }
  return packages;
}

/** The deviations from the common shape in the workspace at `root`, one line each: `file: problem`. */
export async function checkPackages(root: string): Promise<string[]> {
  const wrong: string[] = [];
  const packages = await surroundingsOf(root);
  const versions = new Set<string | undefined>();
  for (const [path, { manifest, ...surroundings }] of packages) {
    const folder = join(root, path);
    const report = (file: string, lines: string[]): void => {
      wrong.push(...lines.map((line) => `${path}/${file}: ${line}`));
    };
    report('package.json', checkManifest(path, manifest, surroundings));
    versions.add(manifest.version);

    const config = await readJson<Config>(join(folder, 'tsconfig.json'));
    if (config.extends !== '../../tsconfig.base.json')
      report('tsconfig.json', ['does not extend ../../tsconfig.base.json']);
    for (const key of ['include', 'exclude', 'files']) if (key in config) report('tsconfig.json', [`sets "${key}"`]);
    const references = (config.references ?? []).map((reference) =>
      reference.path.replace(/^(\.\.\/)+(packages\/)?/, '@ghl/'),
    );
    const used = [...surroundings.imports].filter((name) => name.startsWith('@ghl/'));
    if (list(references) !== list(used)) {
      report('tsconfig.json', [`references ${list(references)}, but the source imports ${list(used)}`]);
    }

    // npm packs only the licence in the package's folder.
    const license = await readFile(join(folder, 'LICENSE'), 'utf8').catch(() => undefined);
    if (license !== (await readFile(join(root, 'LICENSE'), 'utf8'))) report('LICENSE', ['is not a copy of the root']);

    const readme = join(folder, 'README.md');
    if (!existsSync(readme)) report('README.md', ['is missing']);
    else report('README.md', checkReadme(`@ghl/${path.split('/')[1]}`, await readFile(readme, 'utf8')));
  }
  if (versions.size > 1) wrong.push(`packages: versions differ: ${[...versions].join(', ')}`);
  const { references = [] } = await readJson<Config>(join(root, 'tsconfig.json'));
  const listed = list(references.map((reference) => reference.path));
  if (listed !== list(packages.keys())) {
    wrong.push(`tsconfig.json: references ${listed}, but the workspaces are ${list(packages.keys())}`);
  }
  return wrong;
}
