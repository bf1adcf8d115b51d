/** The installation, from the checks to the test that the library loads. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { GhlError, UnsupportedError } from '@ghl/core';
import { type LibraryInfo, probe } from '../probe.js';
import { build } from './build.js';
import { isWhole, listContents } from './contents.js';
import { fetchWheel } from './fetch.js';
import { cacheFolder, checkMachine, type Machine, wheelFolder } from './requirements.js';
import { unpack } from './unpack.js';
import type { Library } from './wheels.js';

/**
 * Downloads a library to the user's cache, unless the cache has it, and builds the package of a project against it.
 * After an interruption at any point, the next call resumes or repeats the step.
 *
 * @param project The folder whose `node_modules` has the package.
 * @param say Receives a line of text for each step.
 * @returns The properties of the library.
 * @throws UnsupportedError `PLATFORM_UNSUPPORTED`, `REQUIREMENTS_MISSING`, `BUILD_FAILED`, `BINDING_UNUSABLE`,
 * `WRITE_FAILED`; DataError `DOWNLOAD_FAILED`, `CHECKSUM_MISMATCH`, `BROKEN_WHEEL`.
 */
export async function install(project: string, library: Library, say: (line: string) => void): Promise<LibraryInfo> {
  const home = folderOf(library);
  const there = await isWhole(home);
  const machine = await checkMachine(project, library, there);
  const { tfjsNode, compiler, cache } = machine;
  try {
    if (there) say(`libtensorflow ${library.version} for ${library.kind} is in ${home}.`);
    else await download(library, machine, say);
    say(`Building ${tfjsNode.binding} with ${compiler}.`);
    await build(tfjsNode, home, compiler);
  } catch (cause) {
    if (cause instanceof GhlError || (cause as NodeJS.ErrnoException).syscall === undefined) throw cause;
    throw new UnsupportedError(
      'WRITE_FAILED',
      `The installation stopped: ${(cause as Error).message}.`,
      `check that you own all files in ${cache} and in ${tfjsNode.folder}, and that the disk is not full; run the command again.`,
      cause,
    );
  }
  const info = await probe(tfjsNode.binding);
  if ('supported' in info) {
    throw new UnsupportedError(
      'BINDING_UNUSABLE',
      info.reason,
      `remove ${home} and run the command again; if it fails again, train on @ghl/backend-wasm.`,
    );
  }
  return info;
}

/** The folder of a library, which exists only once it is complete. It differs for other wheels. */
function folderOf({ kind, version, wheels }: Library): string {
  return join(cacheFolder(), `${version}-${kind}-${wheels.map(({ sha256 }) => sha256.slice(0, 2)).join('')}`);
}

async function download(
  library: Library,
  { cache, resumes }: Pick<Machine, 'cache' | 'resumes'>,
  say: (line: string) => void,
): Promise<void> {
  const home = folderOf(library);
  if (existsSync(home)) say(`${home} is incomplete: unpacking it again.`);
  const files: string[] = [];
  for (const wheel of library.wheels) {
    say(`Fetching ${wheel.requirement} (${Math.ceil(wheel.bytes / 1e6)} MB) to ${cache}.`);
    files.push(await fetchWheel(wheel, wheelFolder(cache), resumes));
  }
  await removeLeftovers(cache);
  const part = join(cache, `part-${process.pid}`);
  await mkdir(part);
  try {
    for (const file of files) {
      say(`Unpacking ${basename(file)} to ${cache}.`);
      await unpack(file, part);
    }
    // The names by which the package links.
    await symlink('libtensorflow_cc.so.2', join(part, 'lib', 'libtensorflow.so'));
    await symlink('libtensorflow_framework.so.2', join(part, 'lib', 'libtensorflow_framework.so'));
    await listContents(part);
    // Another process may have been faster.
    if (!(await isWhole(home))) await rm(home, { recursive: true, force: true });
    await rename(part, home).catch(async (error) => {
      if (!(await isWhole(home))) throw error;
    });
  } finally {
    await rm(part, { recursive: true, force: true });
  }
  for (const file of files) await rm(file, { force: true });
}

/** Removes the incomplete folders of processes that have ended. */
async function removeLeftovers(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    const pid = Number(name.match(/^part-(\d+)$/)?.[1]);
    if (pid && (pid === process.pid || !isAlive(pid))) await rm(join(cache, name), { recursive: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
