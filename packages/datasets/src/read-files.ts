/** Finds a dataset's files in a folder or in the download cache, and reads them. Node only. */
import { createWriteStream, existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { constants, gunzipSync } from 'node:zlib';
import { DataError } from '@ghl/core';
import envPaths from 'env-paths';
import { extract } from 'tar';
import { openPromise } from 'yauzl';
import { download } from './download.js';
import type { FileBytes, FileOptions } from './files.js';
import type { FileSource } from './published.js';

/**
 * Reads `source.files` from `folder`, else from `GHL_DATA`, else from the cache, which is filled first if need be.
 *
 * @throws DataError `DATA_NOT_FOUND`, `DATA_INCOMPLETE` where some of the files are there, `DATA_UNREADABLE`,
 * `DATA_TRUNCATED`, `DATA_CORRUPT`; from the download `DOWNLOAD_FAILED`, `CHECKSUM_MISMATCH`, `CACHE_UNWRITABLE`.
 */
export async function readFiles(source: FileSource, options: FileOptions): Promise<FileBytes[]> {
  const named = options.folder ?? (process.env.GHL_DATA || undefined);
  const paths = named === undefined ? await cached(source, options) : find(source, resolve(named));
  return Promise.all(paths.map(read));
}

/** Paths of all files in `folder`, or in the folder inside it that bears the dataset's name. */
function find(source: FileSource, folder: string): string[] {
  const inner = join(folder, source.folder);
  const names = source.files.map(({ name }) => name);
  const here = [inner, folder].find((place) => names.some((file) => present(place, file)));
  const missing = names.filter((file) => here === undefined || !present(here, file));
  if (here === undefined || missing.length > 0) {
    const place = here ?? (existsSync(inner) ? inner : folder);
    throw new DataError(
      here === undefined ? 'DATA_NOT_FOUND' : 'DATA_INCOMPLETE',
      existsSync(place) ? `${place} has no ${missing.join(', no ')}.` : `There is no folder ${place}.`,
      `${source.name} is looked for in ${inner} and in ${folder}, as ${names.join(', ')} ` +
        '(or with .gz after the name). Name no folder, and leave GHL_DATA unset, to have it downloaded.',
    );
  }
  return names.map((file) => present(here, file)!);
}

function present(folder: string, file: string): string | undefined {
  return [join(folder, file), join(folder, `${file}.gz`)].find((path) => existsSync(path));
}

/** Paths of all files in the per-user cache, downloaded if they are not there. */
async function cached(source: FileSource, { mirror, onProgress }: FileOptions): Promise<string[]> {
  const cache = process.env.GHL_CACHE || envPaths('ghl', { suffix: '' }).cache;
  const folder = join(cache, source.folder);
  if (!source.files.every(({ name }) => present(folder, name))) {
    for (const { url, md5, archive } of source.downloads) {
      const name = basename(url);
      const from = mirror === undefined ? url : `${mirror.replace(/\/$/, '')}/${name}`;
      const to = join(archive ? cache : folder, name);
      if (!existsSync(to)) await download(from, md5, to, onProgress);
      if (archive) await unpack(to, folder);
    }
  }
  return find(source, cache);
}

/** Unpacks an archive's one folder as `folder`, which appears only once it is whole. */
async function unpack(archive: string, folder: string): Promise<void> {
  const part = `${folder}.part`;
  try {
    await rm(part, { recursive: true, force: true });
    await mkdir(part, { recursive: true });
    if (archive.endsWith('.zip')) await unzip(archive, part);
    else await extract({ file: archive, cwd: part, strip: 1, strict: true });
    await rm(folder, { recursive: true, force: true });
    await rename(part, folder);
    await rm(archive);
  } catch (cause) {
    throw new DataError(
      'CACHE_UNWRITABLE',
      `${archive} could not be unpacked to ${folder}: ${String(cause)}.`,
      'free some space there, or name another folder in the environment variable GHL_CACHE.',
      cause,
    );
  }
}

/** Extracts the files of a zip archive, without their folders. yauzl rejects names that lead out of the archive. */
async function unzip(archive: string, folder: string): Promise<void> {
  const zip = await openPromise(archive);
  for await (const entry of zip.eachEntry()) {
    if (entry.fileName.endsWith('/')) continue;
    const to = createWriteStream(join(folder, basename(entry.fileName)));
    await pipeline(await zip.openReadStreamPromise(entry), to);
  }
}

async function read(path: string): Promise<FileBytes> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new DataError(
      'DATA_UNREADABLE',
      `${path} could not be read: ${String(cause)}.`,
      'it has to be a file that you may read.',
      cause,
    );
  }
  return path.endsWith('.gz') ? gunzip(path, bytes) : { path, bytes };
}

function gunzip(path: string, bytes: Uint8Array): FileBytes {
  try {
    return { path, bytes: gunzipSync(bytes), gzip: bytes };
  } catch (cause) {
    const help = 'fetch the file again, and compare its checksum with the official one.';
    if ((cause as NodeJS.ErrnoException).code !== 'Z_BUF_ERROR') {
      throw new DataError('DATA_CORRUPT', `${path} is not a valid gzip file: ${String(cause)}.`, help, cause);
    }
    // The parser gets the bytes before the end, because only it knows the expected number.
    const partial = gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH });
    const message = `${path} has ${bytes.length} bytes and ends before its gzip stream does.`;
    return { path, bytes: partial, cut: new DataError('DATA_TRUNCATED', message, help, cause) };
  }
}
