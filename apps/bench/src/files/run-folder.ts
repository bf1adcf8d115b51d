/** The folder of one run, `DIR/<recipe>/<seed>/`, with a file per record. */
import { type FileHandle, mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { StateError } from '@ghl/core';
import { type AppendLog, RunRecord, type RunStorage } from '@ghl/race';
import { onDisk, replaceFile } from './atomic-file.js';

/** The records of one run as files. */
export class RunFolder extends RunRecord {
  readonly path: string;

  constructor(race: string, recipe: string, seed: number) {
    const path = join(race, recipe, String(seed));
    super(new FolderStorage(path));
    this.path = path;
  }
}

class FolderStorage implements RunStorage {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  locate(name: string): string {
    return join(this.#path, name);
  }

  async read(name: string): Promise<Uint8Array | null> {
    return readIfExists(this.locate(name));
  }

  write(name: string, bytes: Uint8Array): Promise<void> {
    return replaceFile(this.locate(name), bytes);
  }

  remove(name: string): Promise<void> {
    return rm(this.locate(name), { force: true });
  }

  open(name: string): Promise<AppendLog> {
    const path = this.locate(name);
    return onDisk(path, async () => {
      await mkdir(this.#path, { recursive: true });
      const file = await open(path, 'a+');
      return new FileLog(path, file, (await file.stat()).size);
    });
  }
}

class FileLog implements AppendLog {
  readonly #path: string;
  readonly #file: FileHandle;
  #length: number;

  constructor(path: string, file: FileHandle, length: number) {
    this.#path = path;
    this.#file = file;
    this.#length = length;
  }

  get length(): number {
    return this.#length;
  }

  async append(bytes: Uint8Array): Promise<void> {
    await onDisk(this.#path, () => this.#file.appendFile(bytes));
    this.#length += bytes.length;
  }

  async read(position: number, into: Uint8Array): Promise<void> {
    for (let at = 0; at < into.length; ) {
      const { bytesRead } = await this.#file.read(into, at, into.length - at, position + at);
      if (bytesRead === 0) throw cutShort(this.#path, position + at);
      at += bytesRead;
    }
  }

  async truncate(length: number): Promise<void> {
    await onDisk(this.#path, () => this.#file.truncate(length));
    this.#length = length;
  }

  sync(): Promise<void> {
    return onDisk(this.#path, () => this.#file.sync());
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

function cutShort(path: string, length: number): StateError {
  return new StateError(
    'CORRUPT_RUN',
    `${path} ends after ${length} bytes, before the bytes that were written.`,
    'it was changed from outside; delete it, then resume with `bench run --resume DIR`.',
  );
}

/** The bytes of a file; null if it does not exist. */
export async function readIfExists(path: string): Promise<Uint8Array | null> {
  try {
    return await readFile(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
