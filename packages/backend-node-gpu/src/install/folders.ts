/** Folders that are written to: made, and tried. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rmdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

/** As `mkdir` with `recursive`, which never comes back where the system allows no folder, as in /proc. */
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

/** Writes to a folder, and leaves nothing there: what its mode says need not be so, as on a disk that is read-only. */
export async function tryFolder(folder: string): Promise<void> {
  await rmdir(await mkdtemp(join(folder, '.ghl-')));
}
