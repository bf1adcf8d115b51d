/**
 * Type-checks and runs every example of the documentation. The output of an example must match its `// =>` comments, in
 * order, if it has any. It runs on the CPU backend unless it activates another one.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { format } from 'node:util';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import ts from 'typescript';
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { allExamples } from './extract.js';

const root = resolve('.');
// In the repository, so that imports of packages resolve; ignored by git.
const folder = join(root, '.cache', 'doc-examples');

const examples = (await allExamples(root)).map((example) => ({
  ...example,
  file: join(folder, `${example.at.replace(/\W+/g, '-')}.ts`),
}));

/** Messages of the compiler, by file. */
let mistakes: Map<string, string[]>;

beforeAll(async () => {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const { file, code } of examples) await writeFile(file, `${code}\nexport {};\n`);
  const { config } = ts.readConfigFile(join(root, 'tsconfig.check.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [] }, ts.sys, root);
  const program = ts.createProgram(
    examples.map(({ file }) => file),
    options,
  );
  mistakes = new Map(
    examples.map(({ file }) => {
      const source = program.getSourceFile(file);
      const diagnostics = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)];
      const lines = diagnostics.map(({ messageText, start = 0 }) => {
        const line = (source?.getLineAndCharacterOfPosition(start).line ?? 0) + 1;
        return `line ${line}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
      });
      return [file, lines];
    }),
  );
});

describe('type-checks', () => {
  it.each(examples)('$at', ({ file }) => expect(mistakes.get(file)).toEqual([]));
});

// The examples share one process with a registered backend; a reader's program begins without one.
describe('brings a backend', () => {
  it.each(examples.filter(({ run }) => run))('$at', ({ code }) => {
    expect(code).toMatch(/'@(tensorflow\/tfjs-|ghl\/)backend-\w+'/);
  });
});

describe('runs', () => {
  beforeEach(async () => {
    await tf.setBackend('cpu');
  });
  afterEach(() => {
    vi.restoreAllMocks();
    tf.disposeVariables();
  });

  it.each(examples.filter(({ run }) => run))('$at', async ({ file, code }) => {
    const logged: string[] = [];
    vi.spyOn(console, 'log').mockImplementation((...values) => void logged.push(format(...values)));
    vi.spyOn(console, 'warn').mockImplementation(() => {});
    await import(/* @vite-ignore */ file);
    const promised = [...code.matchAll(/\/\/ => (.*)$/gm)].map(([, text]) => text);
    if (promised.length > 0) expect(logged).toEqual(promised);
  });
});
