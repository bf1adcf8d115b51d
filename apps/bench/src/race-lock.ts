/**
 * Keeps two processes from running one race. The lock is a socket that its holder listens on: it ends with the process,
 * however that ends, so nothing is left to wait for after a kill.
 */
import { createHash } from 'node:crypto';
import { mkdir, realpath, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StateError } from '@ghl/core';
import { onDisk } from './durable.js';

/**
 * Takes the lock of the race in a folder, which is made if need be.
 *
 * @returns A function that lets it go.
 * @throws StateError `RACE_UNDER_WAY`, `NOT_WRITABLE` and others of `onDisk`.
 */
export async function lockRace(folder: string): Promise<() => Promise<void>> {
  await onDisk(folder, () => mkdir(folder, { recursive: true }));
  const address = await lockAddress(folder);
  if (await answers(address)) {
    throw new StateError('RACE_UNDER_WAY', `Another process is running the race in ${folder}.`, {
      help: 'wait for it, or stop it first.',
    });
  }
  await rm(address, { force: true });
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(address, resolve);
  });
  server.unref();
  return () => new Promise((resolve) => server.close(() => resolve()));
}

/** Where the holder of a folder's lock listens. A socket's path has no room for the path of any folder: hence a hash. */
export async function lockAddress(folder: string): Promise<string> {
  const name = `ghl-bench-${createHash('sha256')
    .update(await realpath(folder))
    .digest('hex')
    .slice(0, 16)}`;
  return process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : join(tmpdir(), name);
}

function answers(address: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(address);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
