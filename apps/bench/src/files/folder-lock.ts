/**
 * Prevents two processes from writing to one folder, on one machine or on several that share a disk. The lock is a
 * folder `lock` inside it, which exactly one `mkdir` can create, also over NFS. Its holder renews the time stamp, so
 * that the lock of a dead process expires. `owner.json` in it names the process: on the same machine, the lock of a
 * dead process is replaced at once.
 */
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { mkdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { StateError } from '@ghl/core';
import { lock } from 'proper-lockfile';
import { z } from 'zod';
import { onDisk } from './atomic-file.js';

/** The time in ms after which a lock expires without renewal. NFS may return old time stamps for 60 s. */
const STALE = 120_000;
const RENEWAL = 10_000;

/** Code of the error for a folder that another process has locked. */
export const UNDER_WAY = 'UNDER_WAY';
/** Code of the error for a lock that another process took. */
export const LOCK_LOST = 'LOCK_LOST';

// proper-lockfile removes its locks when a signal ends the process. Its handler of SIGXFSZ would also end the process;
// Node ignores that signal, so that a write beyond the size limit is an error (EFBIG).
if (process.platform !== 'win32') process.on('SIGXFSZ', () => {});

/** A held lock. It ends with the process at the latest. */
export interface Lock {
  /** Rejects with StateError `LOCK_LOST` if another process takes the lock; otherwise it never settles. */
  readonly lost: Promise<never>;
  release(): Promise<void>;
}

/**
 * Takes the lock of a folder. Creates the folder if necessary.
 *
 * @param patience Milliseconds to wait for another holder.
 * @throws StateError `UNDER_WAY`; `NOT_WRITABLE` and others of `onDisk`.
 */
export async function lockFolder(folder: string, patience = 0): Promise<Lock> {
  const path = join(folder, 'lock');
  let lose: (error: StateError) => void = () => {};
  const lost = new Promise<never>((_, reject) => {
    lose = reject;
  });
  lost.catch(() => {}); // a listener is optional
  const onCompromised = (cause: Error) =>
    lose(
      new StateError(
        LOCK_LOST,
        `Another process took the lock of ${folder}: ${cause.message}.`,
        'this process was suspended, or the lock was deleted; resume with `bench run --resume` once no other process is at work.',
        cause,
      ),
    );
  await onDisk(folder, () => makeFolder(folder));
  const until = performance.now() + patience;
  for (;;) {
    try {
      const options = { lockfilePath: path, stale: STALE, update: RENEWAL, fs: wholeFolders, onCompromised };
      const release = await onDisk(folder, () => lock(folder, options));
      await onDisk(folder, () => sign(path));
      // A lost lock is released already.
      return { lost, release: () => release().catch(() => {}) };
    } catch (error) {
      if (((error as StateError).cause as NodeJS.ErrnoException | undefined)?.code !== 'ELOCKED') throw error;
      const owner = await ownerOf(path);
      if (owner?.machine === machine && !runs(owner.pid)) await rm(path, { recursive: true, force: true });
      else if (performance.now() < until) await setTimeout(100);
      else throw underWay(folder, owner);
    }
  }
}

function underWay(folder: string, owner: Owner | null): StateError {
  const here = owner?.machine === machine;
  return new StateError(
    UNDER_WAY,
    `Another process is at work in ${folder}: ${here ? `number ${owner.pid} on this machine` : 'on another machine'}.`,
    here
      ? 'wait for it, or stop it first.'
      : `wait for it, or stop it first. If it was killed, its lock lapses after ${STALE / 1000} seconds.`,
  );
}

/** The folder of the lock is not empty, so it is removed with its contents. */
const wholeFolders = {
  ...fs,
  rmdir: (path: string, done: fs.NoParamCallback) => fs.rm(path, { recursive: true, force: true }, done),
  rmdirSync: (path: string) => fs.rmSync(path, { recursive: true, force: true }),
};

const ownerSchema = z.object({ machine: z.string(), pid: z.number() });

type Owner = z.infer<typeof ownerSchema>;

/** The scope of a process number: a hash of the machine's name and, in a container, of its process table. */
const machine = createHash('sha256').update(hostname()).update(processTable()).digest('hex').slice(0, 16);

function processTable(): string {
  try {
    return fs.readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

/** Names this process as the owner, and keeps the time stamp, which identifies the lock. */
async function sign(path: string): Promise<void> {
  const { atime, mtime } = await stat(path);
  await writeFile(join(path, 'owner.json'), JSON.stringify({ machine, pid: process.pid }));
  await utimes(path, atime, mtime);
}

/** Null if the owner has not signed yet, or has ended. */
async function ownerOf(path: string): Promise<Owner | null> {
  try {
    return ownerSchema.parse(JSON.parse(await readFile(join(path, 'owner.json'), 'utf8')));
  } catch {
    return null;
  }
}

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** As `mkdir` with `recursive`, which never returns if the system allows no folder, as in /proc. */
async function makeFolder(folder: string): Promise<void> {
  const parent = dirname(resolve(folder));
  try {
    await mkdir(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(folder)).isDirectory()) return;
    if (code !== 'ENOENT' || fs.existsSync(parent)) throw error;
    await makeFolder(parent);
    await mkdir(folder);
  }
}
