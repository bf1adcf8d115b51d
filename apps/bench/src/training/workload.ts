/** What is trained: a dataset and a network by name. */
import { ConfigurationError, DataError } from '@ghl/core';
import { unknownName } from '@ghl/core/plugin';
import type { ImageSet } from '@ghl/datasets';
import { type DownloadProgress, dataset, datasets } from '@ghl/datasets/node';
import { type NetworkBuilder, networks } from '@ghl/models';
import type { LayersModel } from '@tensorflow/tfjs-layers';

/** Names of the networks. */
export const networkNames: readonly string[] = Object.keys(networks);

/** Names of the datasets. */
export const datasetNames: readonly string[] = Object.keys(datasets);

/** The dataset that needs no file. */
const GENERATED = 'glyphs';

/** What a folder says of a dataset that is not, or not wholly, in it, so that another may be. */
const ELSEWHERE = ['DATA_NOT_FOUND', 'DATA_INCOMPLETE', 'WRONG_DATASET', 'CHECKSUM_MISMATCH'];

/** Which images. */
export interface DataChoice {
  /** A name; default: what lies in `folder`, else glyphs. */
  readonly name?: string;
  readonly folder?: string;
  readonly trainSize?: number;
  readonly validationSize?: number;
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/**
 * Loads images. Without a name, the first dataset whose files lie in the folder: CIFAR-10, CIFAR-100, MNIST, and the
 * rest.
 *
 * @throws ConfigurationError `UNKNOWN_DATASET`, `NO_FOLDER` for a folder to generated images; DataError
 * `DATA_NOT_FOUND` and others of `@ghl/datasets`, such as `DATA_INCOMPLETE` where part of one dataset lies there, or
 * `CHECKSUM_MISMATCH` where files only have the names of one.
 */
export async function loadData({ name, folder, trainSize, validationSize, onProgress }: DataChoice): Promise<ImageSet> {
  // A tenth of all images would take longer to evaluate than a small part of them to train on.
  const heldOut = validationSize ?? (trainSize === undefined ? undefined : Math.min(5000, Math.ceil(trainSize / 4)));
  const sizes = {
    ...(trainSize !== undefined && { trainSize }),
    ...(heldOut !== undefined && { validationSize: heldOut }),
  };
  if (name === GENERATED && folder !== undefined) {
    throw new ConfigurationError(
      'NO_FOLDER',
      `${GENERATED} are generated: there is nothing to read in ${folder}.`,
      'leave out --data, or name a dataset that comes as files.',
    );
  }
  const fromFiles = { ...sizes, ...(folder !== undefined && { folder }), ...(onProgress && { onProgress }) };
  if (name !== undefined) return dataset(name, name === GENERATED ? sizes : fromFiles);
  if (folder === undefined) return dataset(GENERATED, sizes);
  const candidates = datasetNames.filter((each) => each !== GENERATED);
  let nearly: DataError | undefined;
  for (const candidate of candidates) {
    try {
      return await dataset(candidate, fromFiles);
    } catch (error) {
      if (!(error instanceof DataError && ELSEWHERE.includes(error.code))) throw error;
      if (error.code !== 'DATA_NOT_FOUND') nearly ??= error;
    }
  }
  if (nearly !== undefined) throw nearly;
  throw new DataError(
    'DATA_NOT_FOUND',
    `${folder} holds none of ${candidates.join(', ')}.`,
    'give the folder with the files of one, or the folder above it; --dataset NAME says what is missing.',
  );
}

/**
 * Builds a network for images of a dataset.
 *
 * @throws ConfigurationError `UNKNOWN_NETWORK`, or what the builder refuses.
 */
export function buildNetwork(name: string, data: Pick<ImageSet, 'shape' | 'classes'>, seed: number): LayersModel {
  return find(name)({ inputShape: data.shape, classes: data.classes.length, seed });
}

/** @throws ConfigurationError `UNKNOWN_NETWORK`. */
export function checkNetwork(name: string): void {
  find(name);
}

function find(name: string): NetworkBuilder {
  const found = Object.hasOwn(networks, name) ? networks[name as keyof typeof networks] : undefined;
  if (found === undefined) throw unknownName('network', name, networkNames);
  return found;
}
