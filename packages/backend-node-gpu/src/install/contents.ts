/**
 * The list of the files of an unpacked library, written last. A library without its list, or with a missing or
 * truncated file, is unpacked again.
 */
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

const list = 'contents.json';

/** Writes the list: the size of each file by its path. */
export async function listContents(folder: string): Promise<void> {
  const contents: Record<string, number> = {};
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) continue;
    const path = join(entry.parentPath, entry.name);
    contents[relative(folder, path)] = (await stat(path)).size;
  }
  await writeFile(join(folder, list), JSON.stringify(contents));
}

/** Whether a folder has its list, and every file on the list in its original size. */
export async function isWhole(folder: string): Promise<boolean> {
  try {
    const contents = JSON.parse(await readFile(join(folder, list), 'utf8')) as Record<string, number>;
    const sizes = await Promise.all(Object.keys(contents).map(async (path) => (await stat(join(folder, path))).size));
    return Object.values(contents).every((bytes, i) => bytes === sizes[i]);
  } catch {
    return false;
  }
}
