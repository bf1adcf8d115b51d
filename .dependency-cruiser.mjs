/**
 * The package graph. Its arrows point down only. `npm run graph` checks it.
 *
 * Each line: the packages (a regular expression of folder names), and those whose names their source may import.
 */
const graph = [
  ['core', []],
  ['(rule|modulator|backend)-[^/]+', ['core']],
  ['conformance', ['core']],
  ['learner', ['core']],
  ['datasets', ['core']],
  ['models', ['core']],
  ['evaluation', ['core']],
  ['recipes', ['core', 'rule-[^/]+', 'modulator-[^/]+', 'learner']],
  ['race', ['core', 'learner', 'models', 'datasets', 'recipes']],
];

/** The folders of the bench, from the top: a file imports only from its own folder and those below. */
const benchFolders = ['commands', 'report', 'processes', 'speed', 'files', 'options', 'platform'];

const tests = '\\.(test(-d)?|fixture)\\.ts$';

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    ...graph.map(([packages, below]) => ({
      name: `${packages.replace('[^/]+', '*')}-knows-only-what-is-below`,
      comment: `imports ${below.length === 0 ? 'no other package' : `only ${below.join(', ')}`}.`.replaceAll(
        '[^/]+',
        '*',
      ),
      severity: 'error',
      from: { path: `^packages/${packages}/`, pathNot: tests },
      to: { path: '^(packages|apps)/', pathNot: `^packages/(${[packages, ...below].join('|')})/` },
    })),
    {
      name: 'plugin-knows-no-plugin',
      comment: 'A rule, a modulator or a backend imports no other one.',
      severity: 'error',
      from: { path: '^packages/((?:rule|modulator|backend)-[^/]+)/', pathNot: tests },
      to: { path: '^packages/(rule|modulator|backend)-', pathNot: '^packages/$1/' },
    },
    {
      name: 'by-the-front-door',
      comment: "A package is imported by its name: another one's inner files are its own.",
      severity: 'error',
      from: { path: '^((?:packages|apps)/[^/]+)/' },
      to: {
        path: '^(packages|apps|tools|tests)/',
        pathNot: '^($1/|packages/[^/]+/src/((backend|engine|testing)/index|index|node|plugin)\\.ts$|tools/vitest/)',
      },
    },
    {
      name: 'by-its-name',
      comment: 'A path from one package into another is broken once the packages are installed.',
      severity: 'error',
      from: { path: '^((?:packages|apps)/[^/]+)/', pathNot: tests },
      to: { dependencyTypes: ['local'], pathNot: '^$1/' },
    },
    {
      name: 'race-knows-no-host',
      comment: 'A race and an evaluation run in Node and in browsers: they import no module of Node.',
      severity: 'error',
      from: { path: '^packages/(race|evaluation)/', pathNot: tests },
      to: { dependencyTypes: ['core'] },
    },
    ...benchFolders.map((folder, i) => ({
      name: `bench-${folder}-knows-only-what-is-below`,
      severity: 'error',
      from: { path: `^apps/bench/src/${folder}/`, pathNot: tests },
      to: { path: '^apps/bench/src/', pathNot: `^apps/bench/src/(${benchFolders.slice(i).join('|')})/` },
    })),
    {
      name: 'nobody-imports-an-app',
      severity: 'error',
      from: { pathNot: '^apps/' },
      to: { path: '^apps/' },
    },
    {
      name: 'source-imports-no-test',
      severity: 'error',
      from: { path: '^(packages|apps)/', pathNot: tests },
      to: { path: tests },
    },
    {
      name: 'no-cycle',
      comment: 'Files that import each other; types alone may.',
      severity: 'error',
      from: { path: '^(packages|apps)/' },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'declared',
      comment: 'The package.json of a package declares its imports.',
      severity: 'error',
      from: { path: '^(packages|apps)/' },
      // An optional peer counts as 'npm-no-pkg' too, for its entry in peerDependenciesMeta.
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['npm-peer'] },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: { path: '^(packages|apps)/' },
      to: { couldNotResolve: true },
    },
    {
      name: 'source-imports-no-dev-dependency',
      severity: 'error',
      from: { path: '^(packages|apps)/[^/]+/(src|bin)/', pathNot: tests },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['npm', 'npm-peer', 'type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    // AssemblyScript is compiled as one module, in which kernels and the table of their tasks name each other.
    exclude: { path: '/(dist|assembly)/' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      conditionNames: ['@ghl/source', 'import', 'node', 'default'],
      exportsFields: ['exports'],
    },
  },
};
