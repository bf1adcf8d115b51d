/** A power cut while a file is replaced, on a disk that keeps only synchronized data. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { replaceFile } from './atomic-file.js';

/**
 * A model of the disk. It gets contents when their file is synchronized, and names when their folder is. Other data may
 * be on it or not.
 */
const disk = vi.hoisted(() => ({
  /** File by name, as last forced. */
  names: new Map<string, object>(),
  contents: new Map<object, string>(),
  /** Names as the system has them now. */
  now: new Map<string, object>(),
  /** The possible contents of `path` after a power cut, one list per operation. */
  after: [] as (string | undefined)[][],
  watched: '',
}));

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const cut = () => {
    const versions = [disk.names, disk.now].map((names) => names.get(disk.watched));
    disk.after.push(versions.map((file) => (file === undefined ? undefined : (disk.contents.get(file) ?? 'garbage'))));
  };
  return {
    ...real,
    async open(path: string, flags: string): Promise<FileHandle> {
      const handle = await real.open(path, flags);
      const isFolder = (await handle.stat()).isDirectory();
      const file = {};
      if (flags === 'w') disk.now.set(path, file);
      const { sync } = handle;
      handle.sync = async () => {
        await sync.call(handle);
        if (isFolder) disk.names = new Map(disk.now);
        else disk.contents.set(file, readFileSync(path, 'utf8'));
        cut();
      };
      return handle;
    },
    async rename(from: string, to: string): Promise<void> {
      await real.rename(from, to);
      disk.now.set(to, disk.now.get(from) as object);
      disk.now.delete(from);
      cut();
    },
  };
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bench-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

it('keeps the old or the new file in a power cut, and the new one after its replacement', async () => {
  const path = join(folder, 'file');
  disk.watched = path;
  let before: string | undefined;
  for (const text of ['first', 'second', 'third']) {
    disk.after = [];
    await replaceFile(path, text);
    expect(disk.after.length).toBeGreaterThan(1);
    for (const content of disk.after) for (const each of content) expect([before, text]).toContain(each);
    expect(disk.after.at(-1)).toEqual([text, text]);
    expect(readFileSync(path, 'utf8')).toBe(text);
    before = text;
  }
});
