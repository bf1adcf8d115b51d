/**
 * Checks the data that `fit`, `evaluate`, `fitDataset` and `evaluateDataset` receive. tfjs checks them before it calls
 * the optimizer, so only overrides of the methods of tfjs can add codes to its errors, cast labels to the dtype of the
 * loss, and refuse weights of examples, which tfjs ignores.
 */
import { ConfigurationError, DataError, GhlError, UnsupportedError } from '@ghl/core';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { lossName } from './labels.js';

/** One tensor, or several by index or name. */
type Data = tf.Tensor | readonly tf.Tensor[] | { readonly [name: string]: tf.Tensor } | null | undefined;

interface Iterator {
  next(): Promise<{ readonly value: unknown; readonly done: boolean }>;
}

interface Dataset {
  iterator(): Promise<Iterator>;
}

/** The members of a model that this module overrides or reads. */
interface ModelInternals {
  readonly optimizer: tf.Optimizer;
  readonly loss: unknown;
  readonly inputs: readonly tfl.SymbolicTensor[];
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly feedInputNames: readonly string[];
  readonly feedInputShapes: readonly tfl.Shape[];
  readonly feedOutputNames: readonly string[];
  readonly feedOutputShapes: readonly tfl.Shape[];
  standardizeUserDataXY(x: Data, y: Data, ...rest: unknown[]): [xs: tf.Tensor[], ys: tf.Tensor[]];
  fit(x: Data, y: Data, args?: object): Promise<unknown>;
  evaluate(x: Data, y: Data, args?: object): unknown;
  fitDataset(dataset: Dataset, args?: object): Promise<unknown>;
  evaluateDataset(dataset: Dataset | Iterator, args?: object): Promise<unknown>;
}

const optimizers = new WeakSet<tf.Optimizer>();
let patched = false;

/**
 * Makes the models that this optimizer trains refuse wrong data with a code: DataError `LABEL_SHAPE`, `INPUT_SHAPE`,
 * `LABEL_MISSING` and `INPUT_MISSING`, ConfigurationError `CLASS_WEIGHT`, UnsupportedError `SAMPLE_WEIGHT`. Casts
 * labels to float32 for the losses of tfjs.
 */
export function codeDataErrors(optimizer: tf.Optimizer): void {
  optimizers.add(optimizer);
  if (patched) return;
  patched = true;
  const prototype = tfl.LayersModel.prototype as unknown as ModelInternals;
  const { standardizeUserDataXY, fit, evaluate, fitDataset, evaluateDataset } = prototype;
  const isOurs = ({ optimizer }: ModelInternals) => optimizer != null && optimizers.has(optimizer);

  prototype.standardizeUserDataXY = function (x, y, ...rest) {
    if (!isOurs(this)) return standardizeUserDataXY.call(this, x, y, ...rest);
    checkNames('INPUT', this.feedInputNames, x);
    checkNames('LABEL', this.feedOutputNames, y);
    try {
      const [xs, ys] = standardizeUserDataXY.call(this, x, y, ...rest);
      return [xs, floatLabels(this, ys, tensorsOf(y))];
    } catch (error) {
      throw misfit(this, x, y, error as Error);
    }
  };
  prototype.fit = async function (x, y, args) {
    if (!isOurs(this)) return fit.call(this, x, y, args);
    refuseWeights(args);
    return fit.call(this, x, y, args).catch(throwCoded);
  };
  prototype.evaluate = function (x, y, args) {
    if (isOurs(this)) refuseWeights(args);
    return evaluate.call(this, x, y, args);
  };
  prototype.fitDataset = async function (dataset, args) {
    if (!isOurs(this)) return fitDataset.call(this, dataset, args);
    refuseWeights(args);
    return fitDataset.call(this, withChecks(this, dataset), args).catch(throwCoded);
  };
  prototype.evaluateDataset = async function (dataset, args) {
    return evaluateDataset.call(this, isOurs(this) ? withChecks(this, dataset) : dataset, args);
  };
}

function throwCoded(cause: Error): never {
  if (cause instanceof GhlError || !/classWeight/.test(cause.message)) throw cause;
  throw new ConfigurationError(
    'CLASS_WEIGHT',
    `TensorFlow.js says: ${cause.message}`,
    'give a weight for each class, { 0: 1, 1: 2 }; for several outputs, one such record for each by name.',
    cause,
  );
}

/** Rejects options that tfjs ignores or does not implement. */
function refuseWeights(args: object | undefined): void {
  const name = Object.entries(args ?? {}).find(([key, value]) => isWeights(key) && value != null)?.[0];
  if (name !== undefined) throw sampleWeight(`The option '${name}' is`);
  const { validationData } = (args ?? {}) as { validationData?: unknown };
  if (Array.isArray(validationData) && validationData.length > 2) throw sampleWeight('The third of validationData is');
}

const isWeights = (name: string) => /^((sample|example).?)?weights?$/i.test(name);

function sampleWeight(what: string): UnsupportedError {
  return new UnsupportedError(
    'SAMPLE_WEIGHT',
    `${what} a weight for each example, which TensorFlow.js ignores.`,
    'use classWeight; or multiply the losses of the examples by their weights in a loop of minimize().',
  );
}

/** Wraps a dataset or iterator so that it checks each element. */
function withChecks<T extends Dataset | Iterator>(model: ModelInternals, source: T): T {
  const { next, iterator } = (source ?? {}) as Partial<Dataset & Iterator>;
  if (next !== undefined) {
    const value = async () => {
      const result = await next.call(source);
      return result.value == null ? result : { ...result, value: checkElement(model, result.value) };
    };
    return Object.create(source, { next: { value } });
  }
  if (iterator === undefined) return source;
  return Object.create(source, { iterator: { value: async () => withChecks(model, await iterator.call(source)) } });
}

function checkElement(model: ModelInternals, element: unknown): unknown {
  try {
    const weights = Object.keys(Object(element)).find(isWeights);
    if (weights !== undefined) throw sampleWeight(`'${weights}' of the dataset is`);
    const { xs, ys } = element as { xs?: Data; ys?: Data };
    if (xs == null) throw missing('INPUT', 'xs', Object(element));
    if (ys == null) throw missing('LABEL', 'ys', Object(element));
    const inputs = inOrder('INPUT', model.inputNames, xs);
    const labels = inOrder('LABEL', model.outputNames, ys);
    inputs.forEach(({ shape }, i) => {
      const expected = (model.inputs[i] as tfl.SymbolicTensor).shape;
      const fits = expected.length === shape.length && expected.every((size, j) => size === null || size === shape[j]);
      if (!fits) throw wrongShape('INPUT', model.inputNames[i] as string, shape, bracketed(expected));
    });
    const examples = inputs[0]?.shape[0];
    const check = (kind: Kind, names: readonly string[], tensors: readonly tf.Tensor[]) => {
      const i = tensors.findIndex(({ shape }) => shape[0] !== examples);
      if (i < 0) return;
      throw wrongShape(kind, names[i] as string, tensors[i]!.shape, `${examples} examples as '${model.inputNames[0]}'`);
    };
    check('INPUT', model.inputNames, inputs);
    check('LABEL', model.outputNames, labels);
    return { xs: inputs, ys: floatLabels(model, labels, inputs) };
  } catch (error) {
    tf.dispose(element as tf.TensorContainer); // as tfjs does after a step
    throw error;
  }
}

type Kind = 'INPUT' | 'LABEL';

/**
 * Returns the tensors in the order of their names.
 *
 * @throws DataError `INPUT_MISSING` and `INPUT_SHAPE`, `LABEL_MISSING` and `LABEL_SHAPE`.
 */
function inOrder(kind: Kind, names: readonly string[], data: Data): tf.Tensor[] {
  checkNames(kind, names, data);
  const tensors = isRecord(data) ? names.map((name) => data[name] as tf.Tensor) : tensorsOf(data);
  if (tensors.length === names.length && tensors.every(isTensor)) return tensors;
  const shapes = tensors.map((tensor) => (isTensor(tensor) ? bracketed(tensor.shape) : String(tensor))).join(', ');
  throw new DataError(
    kind === 'INPUT' ? 'INPUT_SHAPE' : 'LABEL_SHAPE',
    `For ${names.join(', ')} the dataset gives ${shapes || 'nothing'}.`,
    `give ${names.length} tensors, each a batch of examples.`,
  );
}

/**
 * Rejects a record without a tensor for each name.
 *
 * @throws DataError `INPUT_MISSING`, `LABEL_MISSING`.
 */
function checkNames(kind: Kind, names: readonly string[], data: Data): void {
  if (!isRecord(data)) return;
  const absent = names.find((name) => data[name] == null);
  if (absent !== undefined) throw missing(kind, absent, data);
}

function missing(kind: Kind, name: string, data: object): DataError {
  const what = kind === 'INPUT' ? 'input' : 'labels';
  const names = Object.keys(data).join(', ') || 'none';
  return new DataError(
    kind === 'INPUT' ? 'INPUT_MISSING' : 'LABEL_MISSING',
    `The ${what} '${name}' is missing. Given: ${names}.`,
    `give a record with the model's ${kind === 'INPUT' ? 'inputNames' : 'outputNames'}. In a dataset, put it in { xs, ys }.`,
  );
}

function wrongShape(kind: Kind, name: string, shape: readonly number[], expected: string): DataError {
  const what = kind === 'INPUT' ? `The input '${name}' has` : `The labels of '${name}' have`;
  return new DataError(
    kind === 'INPUT' ? 'INPUT_SHAPE' : 'LABEL_SHAPE',
    `${what} the shape ${bracketed(shape)}.`,
    `give ${expected}.`,
  );
}

/** Casts labels to float32 for losses of tfjs. Disposes of the originals, except those in `kept`. */
function floatLabels(model: ModelInternals, labels: tf.Tensor[], kept: readonly tf.Tensor[]): tf.Tensor[] {
  const floats = labels.map((tensor, i) =>
    lossName(model, i) !== undefined && ['int32', 'bool'].includes(tensor.dtype) ? tf.cast(tensor, 'float32') : tensor,
  );
  tf.dispose(labels.filter((tensor) => !floats.includes(tensor) && !kept.includes(tensor)));
  return floats;
}

function isRecord(data: unknown): data is { readonly [name: string]: tf.Tensor } {
  return data instanceof Object && !Array.isArray(data) && !('shape' in data);
}

function tensorsOf(data: Data): tf.Tensor[] {
  if (data == null) return [];
  return data instanceof Object && !('shape' in data) ? Object.values(data) : [data as tf.Tensor];
}

/** The instanceof of tfjs reads a property, so it throws for null. */
const isTensor = (value: unknown): value is tf.Tensor => value != null && value instanceof tf.Tensor;

const bracketed = (shape: readonly (number | null)[]) => `[${shape.map(String)}]`;

function misfit(model: ModelInternals, x: Data, y: Data, cause: Error): DataError {
  const { feedInputNames, feedInputShapes, feedOutputNames, feedOutputShapes } = model;
  const named = (names: readonly string[], shapes: readonly tfl.Shape[]) =>
    names.map((name, i) => `'${name}' ${bracketed(shapes[i] ?? [])}`).join(', ');
  const shapesOf = (data: Data) =>
    tensorsOf(data)
      .map((tensor) => bracketed(tensor?.shape ?? []))
      .join(', ') || '[]';
  const ofLabels = y == null || /target/i.test(cause.message);
  const inputs = named(feedInputNames, feedInputShapes);
  const outputs = named(feedOutputNames, feedOutputShapes);
  return new DataError(
    ofLabels ? 'LABEL_SHAPE' : 'INPUT_SHAPE',
    ofLabels
      ? `For the model's ${outputs} there are labels of shape ${shapesOf(y)}.`
      : `For the model's ${inputs} there are inputs of shape ${shapesOf(x)}.`,
    `the model takes ${inputs} and gives ${outputs}; TensorFlow.js says: ${cause.message}`,
    cause,
  );
}
