/** Models, numbers and optimizers for the tests of the learner. */
import * as tf from '@tensorflow/tfjs-core';
import type * as tfl from '@tensorflow/tfjs-layers';
import { onTestFinished } from 'vitest';
import { disposeOf } from './tfjs/tfjs-optimizer.js';

/** Disposes of a value at the end of the test. */
export function own<T extends { dispose(): unknown }>(it: T): T {
  onTestFinished(() => {
    it.dispose();
  });
  return it;
}

/** Normal random numbers by seed, disposed of at the end of the test. */
export const random = (shape: number[], seed: number) => own(tf.randomNormal(shape, 0, 1, 'float32', seed));

/** All weights of a model, or of one of its layers. */
export const values = (of: { getWeights(): tf.Tensor[] }) =>
  of.getWeights().map((weight) => Array.from(weight.dataSync()));

/** The variable that holds a weight of a layer. */
export const variableOf = (model: tfl.LayersModel, layer: string, weight = 0) =>
  model.getLayer(layer).weights[weight]?.read() as tf.Variable;

/** The output of a model in training mode. */
export const forward = (model: tfl.LayersModel, x: tf.Tensor | tf.Tensor[]) =>
  model.apply(x, { training: true }) as tf.Tensor;

/** A forward pass that returns the mean square of the output of a model in training mode. */
export const lossOf = (model: tfl.LayersModel, x: tf.Tensor) => () =>
  tf.tidy(() => tf.mean(tf.square(forward(model, x))) as tf.Scalar);

/** Two models with the same weights. */
export function twins(make: () => tfl.LayersModel): [tfl.LayersModel, tfl.LayersModel] {
  const [one, other] = [make(), make()];
  other.setWeights(one.getWeights());
  return [one, other];
}

/** Every optimizer of `tf.train`, with options that change its state. */
export const tfOptimizers: readonly [name: string, make: () => tf.Optimizer][] = [
  ['sgd', () => tf.train.sgd(0.05)],
  ['momentum', () => tf.train.momentum(0.05, 0.8)],
  ['momentum, nesterov', () => tf.train.momentum(0.05, 0.8, true)],
  ['rmsprop', () => tf.train.rmsprop(0.01, 0.8, 0.3, 1e-6)],
  ['rmsprop, centered', () => tf.train.rmsprop(0.01, 0.8, 0.3, 1e-14, true)],
  ['adam', () => tf.train.adam(0.03, 0.8, 0.95, 1e-6)],
  ['adamax', () => tf.train.adamax(0.03, 0.8, 0.95, 1e-6, 0.1)],
  ['adadelta', () => tf.train.adadelta(0.5, 0.8, 1e-4)],
  ['adagrad', () => tf.train.adagrad(0.05, 0.2)],
];

/** Disposes of a tfjs optimizer at the end of the test, including the tensors that tfjs leaks. */
export function ownTf<T extends tf.Optimizer>(optimizer: T): T {
  onTestFinished(() => disposeOf(optimizer));
  return optimizer;
}

/** Saves a model with its optimizer as `model.save` does, through JSON. */
export async function saved(model: tfl.LayersModel): Promise<tf.io.ModelArtifacts> {
  let artifacts: tf.io.ModelArtifacts = {};
  const handler = tf.io.withSaveHandler(async ({ weightData, ...rest }) => {
    artifacts = { ...JSON.parse(JSON.stringify(rest)), weightData: (weightData as ArrayBuffer).slice(0) };
    return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
  });
  await model.save(handler, { includeOptimizer: true });
  return artifacts;
}
