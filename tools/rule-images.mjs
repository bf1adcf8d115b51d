/**
 * Draws what each local rule learns from patches of glyphs, for the pages of docs/guide/rules:
 *
 *     npm run build && node tools/rule-images.mjs [rule …]
 *
 * A dense layer of 16 units reads patches of 7 × 7 grey pixels. Each patch has mean 0 and norm 1. The rule alone trains
 * the layer. An image in docs/guide/images shows the weights of the units, each stretched from black to white.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generator } from '@ghl/conformance/testing';
import { chain, linear, local, maxAbs, scaleBy, unitStep } from '@ghl/core';
import { glyphs } from '@ghl/datasets';
import { kernelImages, montage } from '@ghl/evaluation';
import { plasticOptimizer } from '@ghl/learner';
import { factories } from '@ghl/recipes';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { PNG } from 'pngjs';

const folder = join(import.meta.dirname, '../docs/guide/images');
const side = 7;
const units = 16;
const batch = 100;
const enlarged = 8;

const rule = (name, ...options) => factories[name](...options);
const descend = (part, step, steps) => chain(local(part), scaleBy(linear(step, 0, steps)));

/** For each rule: the number of steps, the scale of the first weights if it is not 1, and the product of the rule. */
export const products = {
  hebb: { steps: 2000, product: () => chain(local(rule('hebb')), scaleBy(1e-3)) },
  oja: { steps: 2000, product: (steps) => descend(rule('oja'), 5e-3, steps) },
  hpca: { steps: 4000, product: (steps) => descend(rule('hpca'), 0.5, steps) },
  subspace: { steps: 4000, product: (steps) => descend(rule('subspace'), 0.5, steps) },
  bcm: { steps: 4000, product: () => chain(local(rule('bcm', { rate: 0.5 })), scaleBy(0.2)) },
  hwtaBcm: { steps: 2000, product: (steps) => descend(maxAbs(rule('hwtaBcm')), 0.05, steps) },
  hwtaBcmOwn: { steps: 2000, product: (steps) => descend(maxAbs(rule('hwtaBcmOwn')), 0.05, steps) },
  krotov: { steps: 2000, product: (steps) => descend(maxAbs(rule('krotov')), 0.05, steps) },
  hah: { steps: 2000, product: (steps) => descend(rule('hah'), 2, steps) },
  swta: { steps: 2000, product: (steps) => descend(maxAbs(rule('swta', { temperature: 0.1 })), 0.05, steps) },
  softHebb: { steps: 2000, radius: 5, product: () => chain(local(maxAbs(rule('softHebb'))), unitStep(0.02)) },
  wta: { steps: 2000, product: (steps) => descend(maxAbs(rule('wta')), 0.05, steps) },
  fastSwta: { steps: 2000, product: (steps) => descend(rule('fastSwta'), 0.5, steps) },
};

/** Patches with some contrast, as rows of a matrix: mean 0, norm 1. */
async function patches(count) {
  const { train, shape } = await glyphs({ trainSize: 300, validationSize: 0, testSize: 1 });
  const [height, width] = shape;
  const images = [];
  await train.batches({ batchSize: 50, shuffle: false }).forEachAsync(({ xs }) => {
    images.push(...tf.mean(xs, 3).arraySync());
    tf.dispose(xs);
  });
  const draw = generator(1);
  const below = (n) => Math.floor(((draw() + 1) / 2) * n);
  const rows = [];
  while (rows.length < count) {
    const image = images[below(images.length)];
    const [top, left] = [below(height - side + 1), below(width - side + 1)];
    const pixels = Array.from({ length: side * side }, (_, i) => image[top + Math.floor(i / side)][left + (i % side)]);
    const mean = pixels.reduce((sum, pixel) => sum + pixel, 0) / pixels.length;
    const norm = Math.hypot(...pixels.map((pixel) => pixel - mean));
    if (norm > 0.2 * side) rows.push(pixels.map((pixel) => (pixel - mean) / norm));
  }
  return rows;
}

/** The weights [49, 16] that a product learns. */
function learn(rows, { steps, radius = 1, product }) {
  const layer = tfl.layers.dense({ name: 'units', units, useBias: false, inputShape: [side * side] });
  const model = tfl.sequential({ layers: [layer] });
  const draw = generator(2);
  const initial = Array.from({ length: side * side }, () => Array.from({ length: units }, () => (draw() * radius) / 4));
  layer.setWeights([tf.tensor2d(initial)]);
  const optimizer = plasticOptimizer(model, { units: product(steps) });
  for (let step = 0; step < steps; step++) {
    const first = (step * batch) % rows.length;
    const x = tf.tensor2d(rows.slice(first, first + batch));
    optimizer.minimize(() => {
      model.predict(x);
    });
    x.dispose();
  }
  return layer.getWeights()[0].dataSync();
}

/** Writes columns of numbers as square tiles. */
function writeTiles(name, values, count) {
  const { width, height, data } = montage(kernelImages(values, [side, side, 1, count]).map(enlarge), {
    columns: 8,
    gap: 4,
  });
  const png = new PNG({ width, height });
  png.data.set(data);
  writeFileSync(join(folder, `${name}.png`), PNG.sync.write(png, { colorType: 4 }));
}

/** Every pixel as a square of pixels. */
function enlarge({ width, height, data }) {
  const large = new Uint8ClampedArray(data.length * enlarged ** 2);
  for (let row = 0; row < height * enlarged; row++) {
    for (let column = 0; column < width * enlarged; column++) {
      const at = 4 * (Math.floor(row / enlarged) * width + Math.floor(column / enlarged));
      large.set(data.subarray(at, at + 4), 4 * (row * width * enlarged + column));
    }
  }
  return { width: width * enlarged, height: height * enlarged, data: large };
}

async function main(names) {
  const rows = await patches(20_000);
  const examples = tf.tidy(() => tf.transpose(tf.tensor2d(rows.slice(0, units))).dataSync());
  writeTiles('patches', examples, units);
  for (const name of names.length > 0 ? names : Object.keys(products)) {
    writeTiles(name, learn(rows, products[name]), units);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv.slice(2));
