/**
 * Times the convolution gradients, the stock kernels, and the stock matrix product of the same size:
 *
 *     npx tsc -b packages/backend-webgpu && node packages/backend-webgpu/bench/gradients.mjs [rounds]
 *
 * from the root of the repository. It uses the software GPU of the tests, at batch 2, or with `GHL_TEST_GPU=hardware`
 * the GPU of the machine, at batch 64. The shapes are those of DeepHebb's second and third convolution. All kernels run
 * in each round, and quotients are taken within a round, so that other load on the machine affects both.
 */
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-webgpu';
import { runnerImport } from 'vite';

const hardware = process.env.GHL_TEST_GPU === 'hardware';
const rounds = Number(process.argv[2] ?? (hardware ? 30 : 7));
if (!hardware) await runnerImport('./tools/vitest/software-gpu.ts', { configFile: false, logLevel: 'error' });

const [filter, input] = ['Conv2DBackpropFilter', 'Conv2DBackpropInput'];
const stock = Object.fromEntries([filter, input, 'BatchMatMul'].map((name) => [name, tf.getKernel(name, 'webgpu')]));
const { activate, deactivate } = await import('@ghl/backend-webgpu');
const { device, driver } = await activate();
const backend = tf.backend();
const both = 'GhlConv2DBackpropFilter';
const ours = Object.fromEntries([filter, input, both].map((name) => [name, tf.getKernel(name, 'webgpu')]));

/** The time of a function on the GPU, in milliseconds. */
async function time(run) {
  await backend.queue.onSubmittedWorkDone();
  const start = performance.now();
  const outputs = [run()].flat();
  backend.ensureCommandEncoderReady();
  backend.endComputePassEncoder();
  backend.submitQueue();
  await backend.queue.onSubmittedWorkDone();
  const elapsed = performance.now() - start;
  for (const { dataId } of outputs) backend.disposeData(dataId);
  return elapsed;
}

function spread(values, digits) {
  const sorted = [...values].sort((a, b) => a - b);
  const [least, median, most] = [0, sorted.length >> 1, sorted.length - 1].map((i) => sorted[i].toFixed(digits));
  return `${median} (${least}–${most})`;
}

const lines = [`${device}, ${driver}; ${rounds} rounds; median (least–most)`];
for (const [name, size, channels, filters] of [
  ['conv2', 16, 96, 384],
  ['conv3', 8, 384, 1536],
]) {
  const batch = hardware ? 64 : 2;
  const positions = batch * size * size;
  const fan = 9 * channels;
  const gflop = (2 * positions * fan * filters) / 1e9;
  const random = (shape) => tf.randomNormal(shape);
  const x = random([batch, size, size, channels]);
  const [dy0, dy1] = [random([batch, size, size, filters]), random([batch, size, size, filters])];
  const weights = random([3, 3, channels, filters]);
  const [a, b] = [random([1, fan, positions]), random([1, positions, filters])];
  const attrs = { strides: [1, 1], pad: 'same', dataFormat: 'NHWC', filterShape: weights.shape, inputShape: x.shape };
  const call =
    ({ kernelFunc }, inputs, attributes = attrs) =>
    () =>
      kernelFunc({ inputs, attrs: attributes, backend });
  const runs = {
    'filter gradient': [gflop, call(ours[filter], { x, dy: dy0 })],
    'of two cotangents': [2 * gflop, call(ours[both], { x, dy0, dy1 })],
    'stock filter gradient': [gflop, call(stock[filter], { x, dy: dy0 })],
    'input gradient': [gflop, call(ours[input], { dy: dy0, filter: weights })],
    'stock input gradient': [gflop, call(stock[input], { dy: dy0, filter: weights })],
    'stock matMul': [gflop, call(stock.BatchMatMul, { a, b }, { transposeA: false, transposeB: false })],
  };
  const rates = Object.fromEntries(Object.keys(runs).map((key) => [key, []]));
  for (let round = -1; round < rounds; round++) {
    for (const [key, [work, run]] of Object.entries(runs)) {
      const rate = work / ((await time(run)) / 1000);
      if (round >= 0) rates[key].push(rate); // the first compiles
    }
  }
  lines.push('', `${name}: ${size}×${size}×${channels} → ${filters}, 3×3, batch ${batch}, ${gflop.toFixed(2)} GFLOP`);
  for (const [key, all] of Object.entries(rates)) lines.push(`  ${key.padEnd(24)} ${spread(all, 2)} GFLOP/s`);
  for (const [over, under] of [
    ['filter gradient', 'stock filter gradient'],
    ['of two cotangents', 'stock filter gradient'],
    ['filter gradient', 'stock matMul'],
    ['of two cotangents', 'stock matMul'],
    ['input gradient', 'stock input gradient'],
  ]) {
    const quotients = rates[over].map((rate, i) => rate / rates[under][i]);
    lines.push(`  ${`${over} ÷ ${under}`.padEnd(46)} ${spread(quotients, 2)}`);
  }
  tf.dispose([x, dy0, dy1, weights, a, b]);
}
process.stdout.write(`${lines.join('\n')}\n`);
await deactivate();
