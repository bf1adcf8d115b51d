/** A rule, a network and a recipe from outside the repository, which use the published packages only. */
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type PackedProject, packedProject } from './packed-project.js';

/** The source of the rule: hard winner-take-all, Δw_k = Σₚ [k wins at p] · (xₚ − w_k). */
const source = `/** The instar rule: the most active unit moves its weights towards the input. */
import { type LocalRule } from '@ghl/core';
import { specOf } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';

/** Hard winner-take-all: gate onehot(argmax y), reconstruction 1, scope own. */
export function instar(): LocalRule<Record<string, never>> {
  return {
    spec: specOf('instar'),
    init: () => ({}),
    gate: ({ post: y, units }, state) => ({
      gate: tf.oneHot(tf.argMax(y, 1), units.fanOut, 1, 0, 'float32') as tf.Tensor2D,
      reconstruction: 1,
      scope: 'own',
      state,
    }),
  };
}
`;

const manifest = {
  name: 'ghl-rule-instar',
  version: '1.0.0',
  type: 'module',
  exports: { types: './dist/index.d.ts', default: './dist/index.js' },
  peerDependencies: { '@ghl/core': '*', '@tensorflow/tfjs-core': '4.22.0' },
};

/** Runs every case on a rule and prints the ids of those that fail, and how many there were. */
const conformance = (module: string) => `
import { failures, localRuleCases } from '@ghl/conformance';
import '@tensorflow/tfjs-backend-cpu';
import { instar } from '${module}';

const winner = (y) => y.map((each) => Number(each === Math.max(...y)));
const cases = localRuleCases(instar, {
  reference: { gate: ({ post }) => ({ gate: post.map(winner), reconstruction: 1, scope: 'own' }) },
  reduction: 'sum',
  equivariant: true,
  plugins: { instar },
});
const failed = await failures(cases);
console.log(JSON.stringify({
  ran: cases.map(({ id }) => id),
  failed: failed.map(({ id, error }) => ({ id, code: error.code, message: error.message })),
}));
`;

const training = `
import { chain, gradientDescent, maxAbs, scaleBy, threeFactor } from '@ghl/core';
import { plasticOptimizer, register } from '@ghl/learner';
import { sign } from '@ghl/modulator-sign';
import { factories } from '@ghl/recipes';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { instar } from 'ghl-rule-instar';

const model = tfl.sequential({
  layers: [
    tfl.layers.conv2d({ name: 'conv', filters: 4, kernelSize: 3, activation: 'relu', inputShape: [6, 6, 1] }),
    tfl.layers.flatten(),
    tfl.layers.dense({ units: 2, activation: 'softmax' }),
  ],
});
model.compile({
  optimizer: plasticOptimizer(model, {
    'conv/kernel': chain(threeFactor(maxAbs(instar()), sign()), scaleBy(0.02)),
    '*': chain(gradientDescent(), scaleBy(0.1)),
  }),
  loss: 'categoricalCrossentropy',
});
const images = tf.randomNormal([8, 6, 6, 1], 0, 1, 'float32', 1);
const labels = tf.oneHot([0, 1, 0, 1, 0, 1, 0, 1], 2);
const predicted = (each) => Array.from(each.predict(images).dataSync());
const kernel = (each) => Array.from(each.getLayer('conv').getWeights()[0].dataSync());
const train = (each) => each.fit(images, labels, { epochs: 3, batchSize: 4, shuffle: false, verbose: 0 });

const drawn = kernel(model);
await train(model);
const trained = kernel(model);
let saved;
await model.save(tf.io.withSaveHandler(async (artifacts) => {
  saved = artifacts;
  return { modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON(artifacts) };
}), { includeOptimizer: true });

register({ ...factories, instar });
const loaded = await tfl.loadLayersModel(tf.io.fromMemory(saved));
const both = () => ({ kept: predicted(model), loaded: predicted(loaded), step: loaded.optimizer.step });
const atLoading = both();
await train(model);
await train(loaded);
const moved = Math.max(...trained.map((weight, i) => Math.abs(weight - drawn[i])));
console.log(JSON.stringify({ moved, atLoading, later: both() }));
`;

/** A network, a recipe and a training from elsewhere, with published packages only. */
const recipe = `
import { ghl, product } from '@ghl/recipes';
import { plasticOptimizer } from '@ghl/learner';
import { sign } from '@ghl/modulator-sign';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { instar } from 'ghl-rule-instar';

const kernelInitializer = tfl.initializers.glorotUniform({ seed: 1 });
const network = {
  build: () =>
    tfl.sequential({
      layers: [
        tfl.layers.dense({ name: 'hidden', units: 6, activation: 'relu', inputShape: [4], kernelInitializer }),
        tfl.layers.dense({ name: 'out', units: 2, activation: 'softmax', kernelInitializer }),
      ],
    }),
  constants: { temperatures: { hidden: 0.5 }, step: 0.05, decay: 0, restStep: 0.2 },
};
const instarSign = product({ rule: instar(), modulator: sign() });
const x = tf.randomNormal([16, 4], 0, 1, 'float32', 1);
const y = tf.oneHot(tf.cast(tf.greater(tf.slice(x, [0, 0], [16, 1]).flatten(), 0), 'int32'), 2);
const losses = {};
for (const [name, assign] of Object.entries({ ghl, instarSign })) {
  const model = network.build();
  const optimizer = plasticOptimizer(model, assign({ ...network.constants, steps: 40 }));
  model.compile({ optimizer, loss: 'categoricalCrossentropy' });
  losses[name] = (await model.fit(x, y, { epochs: 40, verbose: 0 })).history.loss;
}
console.log(JSON.stringify(losses));
`;

let project: PackedProject;

/** Compiles a source as the stranger's package of that name, and installs it as npm does a folder. */
async function install(name: string, code: string): Promise<void> {
  await project.write({
    [`${name}/package.json`]: JSON.stringify({ ...manifest, name }),
    [`${name}/src/index.ts`]: code,
  });
  const flags = ['--strict', '--skipLibCheck', '--declaration', '--target', 'es2022', '--module', 'nodenext'];
  const paths = ['--rootDir', `${name}/src`, '--outDir', `${name}/dist`, `${name}/src/index.ts`];
  expect(await project.tsc(...flags, ...paths)).toEqual([]);
  await symlink(join(project.folder, name), join(project.folder, 'node_modules', name), 'dir');
}

async function print(script: string) {
  await project.write({ 'script.mjs': script });
  return JSON.parse(await project.node('script.mjs'));
}

beforeAll(async () => {
  project = await packedProject();
  await install('ghl-rule-instar', source);
});
afterAll(() => project?.remove());

it('is written in under 40 lines', () => {
  expect(source.trimEnd().split('\n').length).toBeLessThan(40);
});

it('passes every case of a local rule', async () => {
  const { ran, failed } = await print(conformance('ghl-rule-instar'));
  expect(failed).toEqual([]);
  expect(ran).toEqual(expect.arrayContaining(['reference', 'batch-additivity', 'equivariance', 'resume', 'spec']));
});

it('fails the case `reference` alone, if its author forgets the decay', async () => {
  const forgetful = source.replace("scope: 'own'", "scope: 'none'");
  expect(forgetful).not.toBe(source);
  await install('ghl-rule-forgetful', forgetful);
  const { failed } = await print(conformance('ghl-rule-forgetful'));
  expect(failed).toEqual([
    { id: 'reference', code: 'MISMATCH', message: expect.stringMatching(/^ΔW at step 0 of dense/) },
  ]);
});

it('trains under a third factor, and resumes after it is saved with its optimizer and loaded', async () => {
  const { moved, atLoading, later } = await print(training);
  expect(moved).toBeGreaterThan(0.02);
  expect(atLoading.loaded).toEqual(atLoading.kept);
  expect(atLoading.step).toBe(6);
  expect(later.loaded).toEqual(later.kept);
  expect(later.loaded).not.toEqual(atLoading.loaded);
  expect(later.step).toBe(12);
});

it('trains a network from elsewhere by a recipe, and by a recipe with a rule from elsewhere', async () => {
  const losses = (await print(recipe)) as Record<string, number[]>;
  expect(Object.keys(losses)).toEqual(['ghl', 'instarSign']);
  for (const each of Object.values(losses)) expect(each.at(-1)).toBeLessThan((each[0] as number) / 2);
});
