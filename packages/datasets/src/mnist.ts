/**
 * MNIST (LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document recognition", 1998) and
 * Fashion-MNIST (Xiao, Rasul and Vollgraf, arXiv:1708.07747), which has the same format and the same file names.
 */
import { DataError } from '@ghl/core';
import { type FileOptions, type FileSource, loadFiles } from './files.js';
import type { ImageSet } from './image-set.js';
import { parseIdx, type Records } from './records.js';

const FILES = [
  'train-images-idx3-ubyte',
  'train-labels-idx1-ubyte',
  't10k-images-idx3-ubyte',
  't10k-labels-idx1-ubyte',
] as const;

interface Idx extends FileSource {
  readonly classes: readonly string[];
  /** The first test labels: both sets have files of the same names, and one would pass for the other. */
  readonly firstTestLabels: readonly number[];
}

const MNIST: Idx = {
  name: 'mnist',
  folder: 'mnist',
  files: FILES,
  downloads: from('https://ossci-datasets.s3.amazonaws.com/mnist', [
    'f68b3c2dcbeaaa9fbdd348bbdeb94873',
    'd53e105ee54ea40749a09fcbcd1e9432',
    '9fb629c4189551a2d022fa330f9573f3',
    'ec29112dd5afa0611ce80d1b7f02629c',
  ]),
  classes: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
  firstTestLabels: [7, 2, 1, 0, 4, 1, 4, 9, 5, 9, 0, 6, 9, 0, 1, 5],
};

const FASHION_MNIST: Idx = {
  name: 'fashion-mnist',
  folder: 'fashion-mnist',
  files: FILES,
  downloads: from('http://fashion-mnist.s3-website.eu-central-1.amazonaws.com', [
    '8d4fb7e6c68d591d4c3dfef9ec88bf0d',
    '25c81989df183df01b3e8a0aad5dffbe',
    'bef4ecab320f06d8554ea6380940ec79',
    'bb300cfdad3c16e7a12a480ee83cd310',
  ]),
  classes: ['T-shirt/top', 'trouser', 'pullover', 'dress', 'coat', 'sandal', 'shirt', 'sneaker', 'bag', 'ankle boot'],
  firstTestLabels: [9, 2, 1, 1, 6, 1, 4, 6, 5, 7, 4, 5, 7, 3, 4, 1],
};

/**
 * MNIST: 60,000 training and 10,000 test images of 28 × 28 × 1, the ten digits. Reads `train-images-idx3-ubyte`,
 * `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`, gzipped or not, from `folder` or
 * `folder/mnist`. Node only.
 *
 * @throws DataError `WRONG_DATASET` if the files are Fashion-MNIST's, `DATA_NOT_FOUND`, `DATA_INCOMPLETE`, `DATA_UNREADABLE`,
 * `DATA_TRUNCATED`, `DATA_CORRUPT`, `TRAIN_SIZE`, `VALIDATION_SIZE`; from a download `DOWNLOAD_FAILED`,
 * `CHECKSUM_MISMATCH`, `CACHE_UNWRITABLE`.
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @throws UnsupportedError `NO_FILE_SYSTEM` in a browser.
 */
export function mnist(options: FileOptions = {}): Promise<ImageSet> {
  return load(MNIST, FASHION_MNIST, options);
}

/**
 * Fashion-MNIST: 60,000 training and 10,000 test images of 28 × 28 × 1, ten kinds of clothing. Reads the files that
 * {@link mnist} reads, from `folder` or `folder/fashion-mnist`. Node only.
 *
 * @throws as {@link mnist}; DataError `WRONG_DATASET` if the files are MNIST's.
 */
export function fashionMnist(options: FileOptions = {}): Promise<ImageSet> {
  return load(FASHION_MNIST, MNIST, options);
}

function load(source: Idx, other: Idx, options: FileOptions): Promise<ImageSet> {
  return loadFiles(source, options, (files) => {
    const records = (at: number): Records => {
      const [images, labels] = [files[at]!, files[at + 1]!];
      return parseIdx(images.bytes, labels.bytes, { images: images.path, labels: labels.path });
    };
    const [train, test] = [records(0), records(2)];
    if (other.firstTestLabels.every((label, i) => test.labels[i] === label)) {
      throw new DataError('WRONG_DATASET', `${files[3]!.path} is ${other.name}'s, not ${source.name}'s.`, {
        help: `give the folder of ${source.name}, or the one that holds a folder ${source.folder}.`,
      });
    }
    return { classes: source.classes, shape: [28, 28, 1], train: [train], test: [test] };
  });
}

function from(server: string, checksums: readonly [string, string, string, string]): FileSource['downloads'] {
  return FILES.map((file, i) => ({ url: `${server}/${file}.gz`, md5: checksums[i]!, archive: false }));
}
