/** The packages of a user: packed, installed outside the repository, imported, required, type-checked. */
import { readFile } from 'node:fs/promises';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type PackedProject, packages, packedProject } from './packed-project.js';

const all = await packages();
const names = [...all.keys()];
let project: PackedProject;

beforeAll(async () => {
  project = await packedProject();
});
afterAll(() => project?.remove());

describe.each(names)('%s', (name) => {
  it('contains the files of package.json, and no tests', async () => {
    const file = await readFile(project.tarballs.get(name) as string);
    const tarball = new Uint8Array(file).buffer;
    const { messages, pkg } = await publint({ pack: { tarball }, level: 'suggestion', strict: true });
    expect(messages.map((message) => formatMessage(message, pkg as Record<string, unknown>))).toEqual([]);
    const installed = await project.node(
      '-p',
      `JSON.stringify(require('node:fs').readdirSync('node_modules/${name}', { recursive: true }))`,
    );
    const files = JSON.parse(installed) as string[];
    expect(files).toEqual(expect.arrayContaining(['LICENSE', 'README.md']));
    expect(files.filter((path) => /\.test|tsbuildinfo/.test(path))).toEqual([]);
  });

  it('has the exports of its source, with import and with require()', async () => {
    const folder = all.get(name) as string;
    const { exports } = JSON.parse(await readFile(`${folder}/package.json`, 'utf8')) as {
      exports: Record<string, Record<string, string>>;
    };
    for (const [path, { '@ghl/source': source }] of Object.entries(exports)) {
      if (source === undefined) continue;
      const entry = `${name}${path.slice(1)}`;
      const exported = Object.keys(await import(`${folder}/${source}`)).sort();
      const print = 'console.log(JSON.stringify(Object.keys(module).sort()))';
      const imported = await project.node(
        '--input-type=module',
        '-e',
        `const module = await import('${entry}'); ${print}`,
      );
      const required = await project.node(
        '--input-type=commonjs',
        '-e',
        `{ const module = require('${entry}'); ${print} }`,
      );
      expect(exported).not.toEqual([]);
      expect(JSON.parse(imported)).toEqual(exported);
      expect(JSON.parse(required).filter((key: string) => key !== '__esModule')).toEqual(exported);
    }
  });
});

describe('a consumer', () => {
  it('finds the kernels of the WebAssembly backend', async () => {
    const script = "console.log((await (await import('@ghl/backend-wasm')).activate()).name)";
    expect(await project.node('--input-type=module', '-e', script)).toBe('wasm\n');
  });

  it('gets the requirements of WebGPU in Node from isSupported()', async () => {
    const script = "console.log(JSON.stringify(await (await import('@ghl/backend-webgpu')).isSupported()))";
    const support = JSON.parse(await project.node('--input-type=module', '-e', script));
    expect(support).toMatchObject({ supported: false, help: 'npm install webgpu@0.6.2' });
  });

  const consumer = [
    ...names.map((name, i) => `import * as p${i} from '${name}';`),
    "import { chain, scaleBy, threeFactor } from '@ghl/core';",
    "import { sign } from '@ghl/modulator-sign';",
    "import { swta } from '@ghl/rule-swta';",
    `export const all: object[] = [${names.map((_, i) => `p${i}`).join(', ')}];`,
    'export const ghl = chain(threeFactor(swta(), sign()), scaleBy(1));',
    // If the compiler did not find the types, all would be `any`, and this line would have no error.
    '// @ts-expect-error: a temperature is a number or a schedule',
    "export const wrong = swta({ temperature: 'hot' });",
  ].join('\n');

  it.each([
    ['node16', 'node16'],
    ['nodenext', 'nodenext'],
    ['preserve', 'bundler'],
  ])('type-checks with module %s, resolution %s', async (module, resolution) => {
    await project.write({ 'consumer.ts': consumer });
    const flags = ['--strict', '--noEmit', '--target', 'es2022', '--module', module, '--moduleResolution', resolution];
    const messages = await project.tsc(...flags, '--types', 'node', 'consumer.ts');
    // The WebGPU types of TensorFlow.js 4.22 conflict with those of a current DOM library.
    const foreign = /^(node_modules\/@(tensorflow|webgpu)\/|.*\/typescript\/lib\/lib\.dom)/;
    expect(messages.filter((message) => !foreign.test(message))).toEqual([]);
  });
});
