/** A download that can be broken off and resumed, and that is believed only if its checksum is right. Node only. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { setTimeout } from 'node:timers/promises';
import { DataError } from '@ghl/core';
import type { DownloadProgress } from './files.js';

/** Consecutive attempts without a byte after which the download fails. */
const FRUITLESS = 3;

/**
 * Downloads `url` to `path`. The bytes are written to `path.part`. The next attempt, in this process or another,
 * continues it with an HTTP range request. A server that does not support these sends everything, and the file starts
 * again.
 *
 * @param md5 Checksum that the file must have, in hex.
 * @param wait Milliseconds to wait after an attempt without a byte; twice that after the second one.
 * @throws DataError `DOWNLOAD_FAILED`, `CHECKSUM_MISMATCH`, `CACHE_UNWRITABLE`.
 */
export async function download(
  url: string,
  md5: string,
  path: string,
  onProgress?: (progress: DownloadProgress) => void,
  wait = 1000,
): Promise<void> {
  const part = `${path}.part`;
  await onDisk(part, () => mkdir(dirname(path), { recursive: true }));
  for (;;) {
    const continued = await fetchInto(part, url, onProgress, wait);
    const actual = await onDisk(part, () => md5Of(part));
    if (actual === md5) break;
    await onDisk(part, () => rm(part));
    // The earlier part may belong to another version of the file. A file in one piece is simply wrong.
    if (!continued) {
      throw new DataError(
        'CHECKSUM_MISMATCH',
        `${url} has the MD5 ${actual}, not ${md5}.`,
        'the server holds another file, or something on the way changed it; try another mirror, or a folder of files.',
      );
    }
  }
  await onDisk(path, () => rename(part, path));
}

/** Fetches what `part` still lacks. Returns whether the last answer continued an earlier one. */
async function fetchInto(
  part: string,
  url: string,
  onProgress: ((progress: DownloadProgress) => void) | undefined,
  wait: number,
): Promise<boolean> {
  const file = await onDisk(part, async () => {
    await (await open(part, 'a')).close();
    return open(part, 'r+');
  });
  try {
    for (let fruitless = 0; ; ) {
      const have = (await file.stat()).size;
      try {
        return await append(file, part, url, have, onProgress);
      } catch (cause) {
        if (cause instanceof DataError) throw cause;
        const { size } = await file.stat();
        fruitless = size > have ? 0 : fruitless + 1;
        if (fruitless === FRUITLESS) {
          throw new DataError(
            'DOWNLOAD_FAILED',
            `${url} broke off after ${size} bytes: ${reason(cause)}.`,
            'check the network and run it again: it resumes from there. Or give a folder that has the files.',
            cause,
          );
        }
        await setTimeout(wait * fruitless);
      }
    }
  } finally {
    await file.close();
  }
}

/** One request for the bytes after the first `have`. Returns whether the response began there, and not at 0. */
async function append(
  file: FileHandle,
  part: string,
  url: string,
  have: number,
  onProgress?: (progress: DownloadProgress) => void,
): Promise<boolean> {
  const range: Record<string, string> = have > 0 ? { range: `bytes=${have}-` } : {};
  const response = await fetch(url, { headers: { 'accept-encoding': 'identity', ...range } });
  if (have > 0 && response.status === 416) {
    await response.body?.cancel();
    return true; // the server has no more bytes: the checksum decides
  }
  if (response.status >= 500) throw new Error(`the server answered ${response.status}`);
  if (!response.ok || response.body === null) {
    throw new DataError(
      'DOWNLOAD_FAILED',
      `${url}: the server answered ${response.status} ${response.statusText}.`,
      'the file has moved: give a folder that has the files, or another server as mirror.',
    );
  }
  // If a server sends another range than the requested one, the checksum differs.
  const continues = have > 0 && response.status === 206;
  if (!continues) await onDisk(part, () => file.truncate(0));
  const total = continues
    ? /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1]
    : response.headers.get('content-length');
  const length = total == null ? undefined : Number(total);
  let received = continues ? have : 0;
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    await onDisk(part, async () => {
      const { bytesWritten } = await file.write(chunk, 0, chunk.length, received);
      if (bytesWritten < chunk.length) throw new Error('no space left on the device');
    });
    received += chunk.length;
    onProgress?.({ file: basename(url), received, total: length });
  }
  return continues;
}

async function md5Of(path: string): Promise<string> {
  const hash = createHash('md5');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

async function onDisk<T>(path: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    throw new DataError(
      'CACHE_UNWRITABLE',
      `${path}: ${String(cause)}.`,
      'free some space there, or name another folder in the environment variable GHL_CACHE.',
      cause,
    );
  }
}

/** `fetch` hides why it failed in the cause of its error. */
function reason(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message} (${cause.message || (cause as NodeJS.ErrnoException).code})` : message;
}
