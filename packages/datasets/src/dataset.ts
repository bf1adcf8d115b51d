/** The description of a dataset, from which lists and comparisons derive. */
import type { FileOptions } from './files.js';
import type { ImageSet, SetOptions } from './image-set.js';
import type { EmnistSplit } from './published.js';

/** Options of every dataset. Each dataset rejects those that it does not have. */
export interface DatasetOptions extends SetOptions, FileOptions {
  /** Test images of a generated dataset. */
  readonly testSize?: number;
  /** The part of EMNIST. */
  readonly split?: EmnistSplit;
}

/** A dataset by name, with everything that a comparison needs to know about it. */
export interface Dataset {
  /** The name on the command line, which is also {@link ImageSet.name} and the name of the dataset's file. */
  readonly id: string;
  /**
   * Loads the dataset.
   *
   * @throws as {@link cifar10}.
   */
  readonly load: (options?: DatasetOptions) => Promise<ImageSet>;
  /** Names of the classes, by label. */
  readonly classes: readonly string[];
  /** The validation accuracy to which a comparison measures the time, between 0 and 1. */
  readonly target: number;
  /** Usual name of the folder of its files; absent for a generated dataset, which has none. */
  readonly folder?: string;
}
