/** Images as the files hold them: bytes and labels, parsed from CIFAR's binary records and from MNIST's idx format. */
import { ConfigurationError, DataError } from '@ghl/core';

/** Labelled images as bytes. */
export interface Records {
  /** Pixels, images one after another, each [height, width, channels] row-major. */
  readonly pixels: Uint8Array;
  /** Class index of each image. */
  readonly labels: Uint8Array;
}

const SIDE = 32;
const PLANE = SIDE * SIDE;
const PIXELS = 3 * PLANE;

const CORRUPT =
  'the file is damaged or of another format: fetch it again, and compare its checksum with the official one.';

/**
 * Parses CIFAR-10's binary version: records of 3,073 bytes, a label (0–9), then the red, the green and the blue plane
 * of 32 × 32, row-major. Source: https://www.cs.toronto.edu/~kriz/cifar.html
 *
 * @param bytes A whole file, of any number of records.
 * @param file What to call it in errors.
 * @returns Pixels as [n, 32, 32, 3].
 * @throws DataError `DATA_TRUNCATED`, `DATA_CORRUPT`, `WRONG_DATASET` for records of the other CIFAR.
 * @throws ConfigurationError `BAD_VALUE` if `bytes` is not a Uint8Array.
 */
export function parseCifar10(bytes: Uint8Array, file = 'CIFAR-10 records'): Records {
  return parseCifar(bytes, file, [10]);
}

/**
 * Parses CIFAR-100's binary version: records of 3,074 bytes, a coarse label (0–19), a fine label (0–99), then the
 * planes as in CIFAR-10. Source: https://www.cs.toronto.edu/~kriz/cifar.html
 *
 * @param bytes A whole file, of any number of records.
 * @param file What to call it in errors.
 * @param labels Which label is the class. Default `'fine'`.
 * @returns Pixels as [n, 32, 32, 3].
 * @throws DataError `DATA_TRUNCATED`, `DATA_CORRUPT`, `WRONG_DATASET` for records of the other CIFAR.
 * @throws ConfigurationError `BAD_VALUE` if `bytes` is not a Uint8Array.
 */
export function parseCifar100(
  bytes: Uint8Array,
  file = 'CIFAR-100 records',
  labels: 'fine' | 'coarse' = 'fine',
): Records {
  return parseCifar(bytes, file, [20, 100], labels === 'coarse' ? 0 : 1);
}

/**
 * @param classes How many values each label byte may take.
 * @param chosen The index of the label byte that is the class. Default: the last.
 */
function parseCifar(bytes: Uint8Array, file: string, classes: readonly number[], chosen = classes.length - 1): Records {
  checkBytes(bytes, file);
  const size = classes.length + PIXELS;
  const count = Math.floor(bytes.length / size);
  const [set, other] = classes.length === 1 ? ['CIFAR-10', 'CIFAR-100'] : ['CIFAR-100', 'CIFAR-10'];
  if (bytes.length % size !== 0 && bytes.length % (3 - classes.length + PIXELS) === 0) {
    throw new DataError(
      'WRONG_DATASET',
      `${file} has ${bytes.length} bytes, as records of ${other} have.`,
      `pass the files of ${set}, in its binary version.`,
    );
  }
  if (count === 0 || bytes.length % size !== 0) {
    throw truncated(file, bytes.length, Math.max(1, Math.ceil(bytes.length / size)) * size, `whole records of ${size}`);
  }
  const pixels = new Uint8Array(count * PIXELS);
  const labels = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const record = i * size;
    for (const [at, known] of classes.entries()) checkLabel(bytes[record + at]!, known, file, i);
    labels[i] = bytes[record + chosen]!;
    let to = i * PIXELS;
    for (let red = record + classes.length, end = red + PLANE; red < end; red++) {
      pixels[to++] = bytes[red]!;
      pixels[to++] = bytes[red + PLANE]!;
      pixels[to++] = bytes[red + 2 * PLANE]!;
    }
  }
  return { pixels, labels };
}

/** Names of the two inputs of {@link parseIdx} in errors. */
export interface IdxNames {
  /** The file of images. */
  readonly images?: string;
  /** The file of labels. */
  readonly labels?: string;
}

/**
 * Parses MNIST's idx format, decompressed: images are the big-endian numbers 0x00000803, n, 28, 28 and then the bytes
 * of the n images, row-major; labels are 0x00000801, n and then n bytes of 0–9. Source: LeCun, Cortes and Burges, "The
 * MNIST database of handwritten digits".
 *
 * @returns Pixels as [n, 28, 28, 1].
 * @throws DataError `DATA_TRUNCATED`, `DATA_CORRUPT`.
 * @throws ConfigurationError `BAD_VALUE` if `images` or `labels` is not a Uint8Array.
 */
export function parseIdx(images: Uint8Array, labels: Uint8Array, names: IdxNames = {}): Records {
  return parseIdxClasses(images, labels, names, 10);
}

/**
 * {@link parseIdx} for any number of classes, whose labels count from `first` in the file, and from 0 in the result.
 */
export function parseIdxClasses(
  images: Uint8Array,
  labels: Uint8Array,
  names: IdxNames,
  count: number,
  first = 0,
): Records {
  const imageFile = names.images ?? 'idx images';
  const labelFile = names.labels ?? 'idx labels';
  const pixels = idxBody(images, imageFile, 0x803);
  const classes = idxBody(labels, labelFile, 0x801);
  const [size, height, width] = pixels.shape as [number, number, number];
  if (height !== 28 || width !== 28) {
    throw new DataError('DATA_CORRUPT', `${imageFile} holds images of ${height} × ${width}, not 28 × 28.`, CORRUPT);
  }
  if (classes.shape[0] !== size) {
    throw new DataError(
      'DATA_CORRUPT',
      `${imageFile} holds ${size} images, ${labelFile} ${classes.shape[0]} labels.`,
      'take both files from the same release of the dataset.',
    );
  }
  for (const [i, label] of classes.body.entries()) checkLabel(label, count, labelFile, i, first);
  return { pixels: pixels.body, labels: first === 0 ? classes.body : classes.body.map((label) => label - first) };
}

function idxBody(bytes: Uint8Array, file: string, magic: number): { shape: number[]; body: Uint8Array } {
  checkBytes(bytes, file);
  const axes = magic & 0xff;
  const header = 4 * (1 + axes);
  if (bytes.length < header) throw truncated(file, bytes.length, header, 'its header');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0) !== magic) {
    throw new DataError(
      'DATA_CORRUPT',
      `${file} begins with ${hex(view.getUint32(0))}, not with ${hex(magic)}.`,
      CORRUPT,
    );
  }
  const shape = Array.from({ length: axes }, (_, axis) => view.getUint32(4 * (axis + 1)));
  const expected = header + shape.reduce((product, side) => product * side, 1);
  if (bytes.length < expected) throw truncated(file, bytes.length, expected, `its ${shape.join(' × ')} entries`);
  if (bytes.length > expected || shape[0] === 0) {
    throw new DataError(
      'DATA_CORRUPT',
      `${file} has ${bytes.length} bytes; its header says ${shape.join(' × ')} entries.`,
      CORRUPT,
    );
  }
  return { shape, body: bytes.subarray(header) };
}

/** Arrays of another kind would be read as bytes that they are not. */
function checkBytes(bytes: Uint8Array, file: string): void {
  const kind = Object.prototype.toString.call(bytes).slice(8, -1);
  if (kind === 'Uint8Array') return;
  throw new ConfigurationError(
    'BAD_VALUE',
    `${file} is a value of the kind ${kind}, not a Uint8Array.`,
    'of an ArrayBuffer, pass new Uint8Array(buffer).',
  );
}

function checkLabel(label: number, classes: number, file: string, record: number, first = 0): void {
  if (label >= first && label < first + classes) return;
  throw new DataError(
    'DATA_CORRUPT',
    `${file} has the label ${label} in record ${record}; labels are ${first} to ${first + classes - 1}.`,
    CORRUPT,
  );
}

/** The error for a file of `actual` bytes where `expected` are needed for `what`. */
function truncated(file: string, actual: number, expected: number, what: string): DataError {
  return new DataError(
    'DATA_TRUNCATED',
    `${file} has ${actual} bytes where ${what} need ${expected}.`,
    'the file was cut short, by a copy or a download that did not finish: fetch it again.',
  );
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
