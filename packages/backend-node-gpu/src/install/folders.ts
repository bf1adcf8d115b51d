/** Creates folders, and checks that they are writable. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rmdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

/**
 * Creates a folder and its parents. `mkdir` with `recursive` never returns where the system allows no folder: /proc.
 */
export async function makeFolder(folder: string): Promise<void> {
  const parent = dirname(resolve(folder));
  try {
    await mkdir(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(folder)).isDirectory()) return;
    if (code !== 'ENOENT' || existsSync(parent)) throw error;
    await makeFolder(parent);
    await mkdir(folder);
  }
}

/** Throws unless a folder is writable. It tries, since the mode is not reliable: a disk may be read-only. */
export async function tryFolder(folder: string): Promise<void> {
  await rmdir(await mkdtemp(join(folder, '.ghl-')));
}
