/** Datasets that consist of files: their options, and the construction of a set. Node only. */
import { createHash } from 'node:crypto';
import { ConfigurationError, DataError } from '@ghl/core';
import { checkBoolean, checkOptions } from '@ghl/core/plugin';
import { type ImageSet, type ImageSource, imageSet, SET_OPTIONS, type SetOptions } from './image-set.js';
import { type FileSource, PUBLISHED } from './published.js';
import { readFiles } from './read-files.js';
import { type WhitenOptions, whitenedBy } from './zca.js';

/** The progress of a download. */
export interface DownloadProgress {
  /** The name of the file. */
  readonly file: string;
  /** Bytes received, including those of earlier attempts. */
  readonly received: number;
  /** Bytes in total, if the server states it. */
  readonly total: number | undefined;
}

/** Options of the datasets that consist of files. */
export interface FileOptions extends SetOptions, WhitenOptions {
  /**
   * The folder of the files, or the folder that contains it under the usual name of the dataset. Default: the
   * environment variable `GHL_DATA`. Without it, a per-user cache (`GHL_CACHE` names another), filled by a download.
   */
  readonly folder?: string;
  /**
   * Whether to reject files that are not those that the authors published, by their SHA-256 (CIFAR-100 and EMNIST: by
   * their size; KMNIST: by its gzip files). Default true. False reads any files of the same format: a part of the set,
   * or other images.
   */
  readonly verify?: boolean;
  /** Base URL of a server that has the archives under their official names. Default: the official servers. */
  readonly mirror?: string;
  /** Called as a download advances. */
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/** A file that has been read. */
export interface FileBytes {
  readonly path: string;
  /** Contents, decompressed. */
  readonly bytes: Uint8Array;
  /** Contents before decompression, of a gzip file. */
  readonly gzip?: Uint8Array;
  /** The error of a gzip stream that ended early. It is thrown if a parser accepts these bytes nevertheless. */
  readonly cut?: DataError;
}

/**
 * Reads the files of a dataset, in the order of `source.files`, and builds a set from the result of `parse`.
 *
 * @param known Datasets whose files are recognised in place of those of `source`.
 */
export async function loadFiles(
  source: FileSource,
  options: FileOptions,
  parse: (files: readonly FileBytes[]) => Omit<ImageSource, 'name'>,
  known: readonly FileSource[] = PUBLISHED,
): Promise<ImageSet> {
  checkOptions(source.name, options, [...SET_OPTIONS, 'whiten', 'folder', 'verify', 'mirror', 'onProgress']);
  for (const name of ['folder', 'mirror'] as const) {
    if (options[name] === undefined || typeof options[name] === 'string') continue;
    throw new ConfigurationError('BAD_VALUE', `${name} is ${String(options[name])}.`, 'pass a string.');
  }
  const { verify = true, trainSize, validationSize, seed, normalise, scale } = options;
  checkBoolean('verify', verify);
  const files = await readFiles(source, options);
  const checksums = verify ? files.map(({ bytes }) => sha256Of(bytes)) : null;
  if (checksums !== null) refuseOthers(source, files, checksums, known);
  // A parser describes the damage of a file; a checksum shows only that there is some.
  const parsed = parse(files);
  const cut = files.find((file) => file.cut)?.cut;
  if (cut) throw cut;
  if (checksums !== null) refuseUnpublished(source, files, checksums);
  const set = imageSet({ name: source.name, ...parsed }, { trainSize, validationSize, seed, normalise, scale });
  return whitenedBy(set, options);
}

function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Throws if a file is known as another one: of another dataset, or of another part of this one. */
function refuseOthers(
  source: FileSource,
  files: readonly FileBytes[],
  checksums: readonly string[],
  known: readonly FileSource[],
): void {
  for (const [i, { path }] of files.entries()) {
    const { name, sha256 } = source.files[i]!;
    if (checksums[i] === sha256) continue;
    for (const other of known) {
      const same = other.files.find((file) => file.sha256 === checksums[i]);
      if (same === undefined) continue;
      throw new DataError(
        'WRONG_DATASET',
        `${path} is ${other.name}'s ${same.name}, not ${source.name}'s ${name}.`,
        `pass the folder of ${source.name}, or the one that holds a folder ${source.folder}.`,
      );
    }
  }
}

/** Throws if a file is not the published one. */
function refuseUnpublished(source: FileSource, files: readonly FileBytes[], checksums: readonly string[]): void {
  const help =
    'it is damaged, or of another dataset in this format: fetch it again. To read other files on purpose, such as a part of the ' +
    'set, pass verify: false.';
  for (const [i, { path, bytes, gzip }] of files.entries()) {
    const { name, bytes: size, sha256, gzipSha256 } = source.files[i]!;
    const published = `${source.name}'s ${name} has`;
    if (bytes.length !== size) {
      const code = bytes.length < size ? 'DATA_TRUNCATED' : 'DATA_CORRUPT';
      throw new DataError(code, `${path} has ${bytes.length} bytes; ${published} ${size}.`, help);
    }
    const known = sha256 ?? (gzip && gzipSha256);
    const actual = sha256 === undefined && gzip !== undefined ? sha256Of(gzip) : checksums[i];
    if (known !== undefined && actual !== known) {
      throw new DataError('CHECKSUM_MISMATCH', `${path} has the SHA-256 ${actual}; ${published} ${known}.`, help);
    }
  }
}
