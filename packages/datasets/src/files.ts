/** Datasets that come as files: which files, from where; reading them is Node's part, in `read-files.ts`. */
import { checkOptions, type DataError, UnsupportedError } from '@ghl/core';
import { type ImageSet, type ImageSource, imageSet, SET_OPTIONS, type SetOptions } from './image-set.js';

/** How far a download has come. */
export interface DownloadProgress {
  /** Name of the file that is being downloaded. */
  readonly file: string;
  /** Bytes received, those of an earlier attempt included. */
  readonly received: number;
  /** Bytes in all, where the server says so. */
  readonly total: number | undefined;
}

/** Options of the datasets that come as files. */
export interface FileOptions extends SetOptions {
  /**
   * Where the files lie: in this folder, or in the one inside it that bears the dataset's usual name. Default: the
   * environment variable `GHL_DATA`; without it, a per-user cache (`GHL_CACHE` names another), filled by a download.
   */
  readonly folder?: string;
  /** Base URL of a server that has the archives under their official names. Default: the official servers. */
  readonly mirror?: string;
  /** Called as a download advances. */
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/** A file to download, with the checksum that its authors publish. */
export interface Download {
  /** Where its authors, or the mirror that common libraries use, keep it. */
  readonly url: string;
  /** MD5, in hex. */
  readonly md5: string;
  /** Whether it is a .tar.gz whose one folder holds the dataset's files; else it is one of them. */
  readonly archive: boolean;
}

/** A dataset as files. */
export interface FileSource {
  readonly name: string;
  /** Usual name of its folder. */
  readonly folder: string;
  /** Its files; each may also be there gzipped, with `.gz` after its name. */
  readonly files: readonly string[];
  readonly downloads: readonly Download[];
}

/** A file that has been read. */
export interface FileBytes {
  readonly path: string;
  /** Contents, decompressed. */
  readonly bytes: Uint8Array;
  /** The error to throw if a parser finds these bytes whole all the same: the gzip stream around them ended early. */
  readonly cut?: DataError;
}

/** Reads a dataset's files, in the order of `source.files`, and makes a set of what `parse` finds in them. */
export async function loadFiles(
  source: FileSource,
  options: FileOptions,
  parse: (files: readonly FileBytes[]) => Omit<ImageSource, 'name'>,
): Promise<ImageSet> {
  checkOptions(source.name, options, [...SET_OPTIONS, 'folder', 'mirror', 'onProgress']);
  if (typeof process === 'undefined' || process.versions?.node === undefined) {
    throw new UnsupportedError('NO_FILE_SYSTEM', `${source.name} is read from files, which a browser does not have.`, {
      help: 'fetch the bytes yourself, then imageSet() on what parseCifar10(), parseCifar100() or parseIdx() make of them.',
    });
  }
  const { readFiles } = await import('./read-files.js');
  const files = await readFiles(source, options);
  const parsed = parse(files);
  const cut = files.find((file) => file.cut)?.cut;
  if (cut) throw cut;
  const { trainSize, validationSize, seed, normalise } = options;
  return imageSet({ name: source.name, ...parsed }, { trainSize, validationSize, seed, normalise });
}
