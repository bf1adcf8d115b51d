/** The installation, from the checks to a library that has been seen to load. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { UnsupportedError } from '@ghl/core';
import cliProgress from 'cli-progress';
import { type Probed, probe } from '../probe.js';
import { build } from './build.js';
import { fetchWheel } from './fetch.js';
import { cacheFolder, checkMachine } from './requirements.js';
import { unpack } from './unpack.js';
import type { Library } from './wheels.js';

/**
 * Fetches a library into the user's cache, unless it is there, and builds the package of a project against it. Whatever was
 * broken off, at any point, goes on or is done anew when it is called again.
 *
 * @param project The folder whose `node_modules` has the package.
 * @param say Told what is being done, a line each.
 * @returns What the library says of itself.
 * @throws UnsupportedError `PLATFORM_UNSUPPORTED`, `REQUIREMENTS_MISSING`, `BUILD_FAILED`, `BINDING_UNUSABLE`; DataError
 * `DOWNLOAD_FAILED`, `CHECKSUM_MISMATCH`, `BROKEN_WHEEL`.
 */
export async function install(project: string, library: Library, say: (line: string) => void): Promise<Probed> {
  const home = folderOf(library);
  const there = existsSync(home);
  const { tfjsNode, compiler, resumes, cache } = await checkMachine(project, library, there);
  if (there) say(`libtensorflow ${library.version} for ${library.kind} is in ${home}.`);
  else await bring(library, cache, resumes, say);
  say(`Building ${tfjsNode.binding} with ${compiler}.`);
  await build(tfjsNode, home, compiler);
  const probed = await probe(tfjsNode.binding);
  if ('supported' in probed) {
    throw new UnsupportedError('BINDING_UNUSABLE', probed.reason, {
      help: `remove ${home} and run the command again; if it says the same, train on @ghl/backend-wasm.`,
    });
  }
  return probed;
}

/** The library's own folder, which appears only once it is whole. Other wheels are another folder. */
function folderOf({ kind, version, wheels }: Library): string {
  return join(cacheFolder(), `${version}-${kind}-${wheels.map(({ sha256 }) => sha256.slice(0, 2)).join('')}`);
}

async function bring(library: Library, cache: string, resumes: boolean, say: (line: string) => void): Promise<void> {
  const files: string[] = [];
  for (const wheel of library.wheels) {
    say(`Fetching ${wheel.requirement} (${Math.ceil(wheel.bytes / 1e6)} MB) to ${cache}.`);
    files.push(await fetchWheel(wheel, join(cache, 'wheels'), resumes));
  }
  say(`Unpacking to ${cache}.`);
  await removeLeftovers(cache);
  const part = join(cache, `part-${process.pid}`);
  await mkdir(part);
  const bar = new cliProgress.SingleBar({
    format: '{bar} {percentage} %',
    stream: process.stderr,
    clearOnComplete: true,
  });
  bar.start(library.unpacked, 0);
  try {
    for (const file of files) await unpack(file, part, (bytes) => bar.increment(bytes));
    // The names that the package links by.
    await symlink('libtensorflow_cc.so.2', join(part, 'lib', 'libtensorflow.so'));
    await symlink('libtensorflow_framework.so.2', join(part, 'lib', 'libtensorflow_framework.so'));
    // Another process may have been quicker.
    await rename(part, folderOf(library)).catch((error) => {
      if (!existsSync(folderOf(library))) throw error;
    });
  } finally {
    bar.stop();
    await rm(part, { recursive: true, force: true });
  }
  for (const file of files) await rm(file, { force: true });
}

/** Removes what a process that is no more has left half unpacked. */
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
