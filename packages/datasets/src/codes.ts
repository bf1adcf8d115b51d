/** The codes of the errors that only this package throws. */
import type { ConfigurationError, DataError } from '@ghl/core';

declare module '@ghl/core' {
  interface ErrorCodes {
    /**
     * A downloaded data set cannot be written to the cache.
     *
     * @remarks Free disk space, or set `GHL_CACHE` to another folder.
     */
    readonly CACHE_UNWRITABLE: DataError;
    /**
     * A data file has a wrong header, size or label.
     *
     * @remarks Fetch the file again; for your own data, fix the labels and shapes.
     */
    readonly DATA_CORRUPT: DataError;
    /**
     * A folder has only some of the files of a data set.
     *
     * @remarks Add the missing files, or omit the folder to download the data set.
     */
    readonly DATA_INCOMPLETE: DataError;
    /**
     * A data file is shorter than its contents need.
     *
     * @remarks Fetch the file again.
     */
    readonly DATA_TRUNCATED: DataError;
    /**
     * A data file exists but cannot be read.
     *
     * @remarks Check that it is a file, and that you may read it.
     */
    readonly DATA_UNREADABLE: DataError;
    /**
     * `trainSize` exceeds the number of training images.
     *
     * @remarks Lower `trainSize` or `validationSize`.
     */
    readonly TRAIN_SIZE: DataError;
    /**
     * The name of a data set is unknown.
     *
     * @remarks Use one of the names that the message lists.
     */
    readonly UNKNOWN_DATASET: ConfigurationError;
    /**
     * `validationSize` leaves no images to train on.
     *
     * @remarks Lower it: validation is held out of the training images.
     */
    readonly VALIDATION_SIZE: DataError;
    /**
     * A file is known as another file of a data set, or has the records of the other CIFAR.
     *
     * @remarks Pass the folder of the data set that you named.
     */
    readonly WRONG_DATASET: DataError;
  }
}
