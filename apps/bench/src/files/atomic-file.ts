/**
 * Files that survive a kill, a power cut and a full disk: a new version is written next to the old one, synchronized,
 * and renamed over it, so that one of the two is complete at every instant. Then the folder is synchronized; otherwise
 * a power cut might restore the old version.
 */
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { GhlError, StateError } from '@ghl/core';

/**
 * Replaces the file at `path` by `data`, or leaves it unchanged.
 *
 * @param help The remedy if the file cannot be written.
 * @throws StateError `DISK_FULL`, `NOT_WRITABLE`, `WRITE_FAILED`.
 */
export async function replaceFile(path: string, data: string | Uint8Array, help?: string): Promise<void> {
  const draft = `${path}.draft`;
  const write = async () => {
    await mkdir(dirname(path), { recursive: true });
    try {
      const file = await open(draft, 'w');
      try {
        // writeFile continues after a short write; a single write() on a full disk would truncate the file without an
        // error.
        await file.writeFile(data);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(draft, path);
      await syncFolder(dirname(path));
    } catch (error) {
      await rm(draft, { force: true }).catch(() => {});
      throw error;
    }
  };
  await onDisk(path, write, help);
}

/** Windows cannot open a folder, and keeps its entries in a journal. */
async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (process.platform !== 'win32' || !['EPERM', 'EISDIR'].includes(code)) throw error;
  }
}

const FULL = ['ENOSPC', 'EDQUOT', 'EFBIG'];
const FORBIDDEN = ['EACCES', 'EPERM', 'EROFS'];

/** Runs a write to `path`. Its failure gets a code and a help line. */
export async function onDisk<T>(
  path: string,
  write: () => Promise<T>,
  help = 'give a writable folder: --out DIR.',
): Promise<T> {
  try {
    return await write();
  } catch (cause) {
    if (cause instanceof GhlError) throw cause;
    const { code = '', message } = cause as NodeJS.ErrnoException;
    if (FULL.includes(code)) {
      throw new StateError(
        'DISK_FULL',
        `${path} could not be written: ${message}.`,
        'free disk space, then resume with `bench run --resume DIR`: the last checkpoint is intact.',
        cause,
      );
    }
    throw new StateError(
      FORBIDDEN.includes(code) ? 'NOT_WRITABLE' : 'WRITE_FAILED',
      `${path}: ${message}.`,
      help,
      cause,
    );
  }
}
