/** The images of a dataset, by its name or from a folder. */
import { ConfigurationError, DataError, type Json } from '@ghl/core';
import { unknownName } from '@ghl/core/plugin';
import type { ImageSet } from '@ghl/datasets';
import { type Dataset, type DownloadProgress, dataset, datasets } from '@ghl/datasets/node';

/** Names of the datasets. */
export const datasetNames: readonly string[] = Object.keys(datasets);

/** The dataset if neither a name nor a folder is given. */
const DEFAULT = 'glyphs';

const isGenerated = ({ folder }: Dataset) => folder === undefined;

/** Errors of a folder without, or with only a part of, one dataset: it may hold another. */
const ELSEWHERE = ['DATA_NOT_FOUND', 'DATA_INCOMPLETE', 'WRONG_DATASET', 'CHECKSUM_MISMATCH'];

/** The selection of images. */
export interface DataChoice {
  /** A name; default: the dataset in `folder`, else glyphs. */
  readonly name?: string;
  readonly folder?: string;
  readonly trainSize?: number;
  readonly validationSize?: number;
  /** Further options of the dataset, such as its normalisation. */
  readonly options?: Readonly<Record<string, Json>>;
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/**
 * Loads images. Without a name, they are of the first dataset whose files are in the folder.
 *
 * @throws ConfigurationError `UNKNOWN_DATASET`, `NO_FOLDER` for generated images with a folder; DataError
 * `DATA_NOT_FOUND` and others of `@ghl/datasets`, such as `DATA_INCOMPLETE` if part of one dataset is there, or
 * `CHECKSUM_MISMATCH` if the files only have its names.
 */
export async function loadData(choice: DataChoice): Promise<ImageSet> {
  const { name, folder, trainSize, validationSize, options, onProgress } = choice;
  // To evaluate a tenth of all images would take longer than to train on a small part of them.
  const heldOut = validationSize ?? (trainSize === undefined ? undefined : Math.min(5000, Math.ceil(trainSize / 4)));
  const sizes = {
    ...options,
    ...(trainSize !== undefined && { trainSize }),
    ...(heldOut !== undefined && { validationSize: heldOut }),
  };
  const needsNoFile = Object.values(datasets).some((each) => each.id === name && isGenerated(each));
  if (needsNoFile && folder !== undefined) {
    throw new ConfigurationError(
      'NO_FOLDER',
      `${name} are generated: there is nothing to read in ${folder}.`,
      'leave out --data, or name a dataset that comes as files.',
    );
  }
  const fromFiles = { ...sizes, ...(folder !== undefined && { folder }), ...(onProgress && { onProgress }) };
  if (name !== undefined) return dataset(name, needsNoFile ? sizes : fromFiles);
  if (folder === undefined) return dataset(DEFAULT, sizes);
  const candidates = Object.values(datasets)
    .filter((each) => !isGenerated(each))
    .map(({ id }) => id);
  let incomplete: DataError | undefined;
  for (const candidate of candidates) {
    try {
      return await dataset(candidate, fromFiles);
    } catch (error) {
      if (!(error instanceof DataError && ELSEWHERE.includes(error.code))) throw error;
      if (error.code !== 'DATA_NOT_FOUND') incomplete ??= error;
    }
  }
  if (incomplete !== undefined) throw incomplete;
  throw new DataError(
    'DATA_NOT_FOUND',
    `${folder} holds none of ${candidates.join(', ')}.`,
    'give the folder with the files of one, or the folder above it; --dataset NAME lists the missing files.',
  );
}

/** The validation accuracy to which a race on a dataset measures the time. */
export function targetOf(name: string): number {
  if (!Object.hasOwn(datasets, name)) throw unknownName('dataset', name, datasetNames);
  return datasets[name as keyof typeof datasets].target;
}
