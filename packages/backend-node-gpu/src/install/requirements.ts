/** The requirements of the installation, checked before any download. */
import { lstat, statfs } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { UnsupportedError } from '@ghl/core';
import envPaths from 'env-paths';
import { findTfjsNode, type TfjsNode, tfjsVersion } from '../tfjs-node.js';
import { run } from './command.js';
import { makeFolder, tryFolder } from './folders.js';
import type { Library } from './wheels.js';

/** The results of the checks. */
export interface Machine {
  readonly tfjsNode: TfjsNode;
  /** The name of the C++ compiler. */
  readonly compiler: string;
  /** Whether this `pip` can resume a download. */
  readonly resumes: boolean;
  /** The folder for libraries, which exists and is writable. */
  readonly cache: string;
}

/** A requirement that is not met. */
interface Absence {
  readonly what: string;
  readonly help: string;
}

/**
 * Checks all requirements, and reports every missing one in one error.
 *
 * @param project The folder whose `node_modules` has the package.
 * @param isCached Whether the library is in the cache already.
 * @throws UnsupportedError `PLATFORM_UNSUPPORTED`, `REQUIREMENTS_MISSING`.
 */
export async function checkMachine(
  project: string,
  { unpacked, wheels }: Library,
  isCached: boolean,
): Promise<Machine> {
  checkPlatform(process.platform, process.arch, glibc());
  const absent: Absence[] = [];
  const tfjsNode = findTfjsNode([join(project, 'package.json'), import.meta.url]);
  const ask = `npm install --ignore-scripts @tensorflow/tfjs-node@${tfjsVersion}`;
  if (tfjsNode === undefined) {
    absent.push({
      what: `the package @tensorflow/tfjs-node, which is not installed in ${project}`,
      help: `run '${ask}'`,
    });
  } else if (tfjsNode.version !== tfjsVersion) {
    absent.push({ what: `${tfjsNode.name} ${tfjsVersion}: there is ${tfjsNode.version}`, help: `run '${ask}'` });
  } else {
    const why = await whyNotBuilt(tfjsNode);
    if (why !== undefined) {
      absent.push({
        what: `a ${tfjsNode.name} that can be written to: ${why}`,
        help: `run the command as the user that owns ${tfjsNode.folder}, or remove that and run '${ask}'`,
      });
    }
  }
  const cache = cacheFolder();
  let resumes = false;
  if (!isCached) {
    const pip = await run('python3', ['-m', 'pip', '--version']);
    if (!pip.ok) {
      const python = (await run('python3', ['--version'])).ok;
      absent.push(
        python
          ? { what: "pip, which 'python3 -m pip' does not find", help: "install it, as Debian's package python3-pip" }
          : { what: 'python3', help: "install it with pip, as Debian's packages python3 and python3-pip" },
      );
    }
    const [major = 0, minor = 0] = pip.stdout.match(/\d+/g)?.map(Number) ?? [];
    resumes = major > 25 || (major === 25 && minor >= 1);
    const needed = unpacked + wheels.reduce((sum, { bytes }) => sum + bytes, 0);
    const room = await roomIn(cache);
    if (typeof room === 'string') {
      absent.push({ what: `a cache that can be written: ${room}`, help: 'name another folder in GHL_CACHE' });
    } else if (room < needed) {
      absent.push({
        what: `${gigabytes(needed)} of disk space: ${cache} has ${gigabytes(room)}`,
        help: 'free some, or name another folder in GHL_CACHE',
      });
    }
  }
  const compiler = await compilerName();
  if (compiler === undefined) {
    absent.push({
      what: 'a C++ compiler: neither c++ nor g++ nor clang++ runs',
      help: "install one, as Debian's package g++, or name it in CXX",
    });
  }
  if (absent.length > 0 || tfjsNode === undefined || compiler === undefined) {
    throw new UnsupportedError(
      'REQUIREMENTS_MISSING',
      `This machine lacks ${absent.map(({ what }) => what).join('; ')}.`,
      `${absent.map(({ help }) => help).join('; ')}.`,
    );
  }
  return { tfjsNode, compiler, resumes, cache };
}

/** The folder for libraries, in the user's cache or in `GHL_CACHE`. */
export function cacheFolder(): string {
  return resolve(process.env.GHL_CACHE || envPaths('ghl', { suffix: '' }).cache, 'tensorflow');
}

/** The folder for wheels, in a cache. */
export function wheelFolder(cache: string): string {
  return join(cache, 'wheels');
}

/** Throws unless there are wheels for this system. */
export function checkPlatform(system: string, processor: string, glibc: string | undefined): void {
  const help =
    'train on @ghl/backend-wasm; or build libtensorflow, copy it to the folder deps of @tensorflow/tfjs-node, and build the binding.';
  if (system !== 'linux' || processor !== 'x64') {
    throw new UnsupportedError(
      'PLATFORM_UNSUPPORTED',
      `The libraries are for Linux on x64; this is ${system} on ${processor}.`,
      help,
    );
  }
  const [major = 0, minor = 0] = glibc?.split('.').map(Number) ?? [];
  if (major > 2 || (major === 2 && minor >= 17)) return;
  throw new UnsupportedError(
    'PLATFORM_UNSUPPORTED',
    `The libraries need glibc 2.17 or later; this system has ${glibc === undefined ? 'another C library' : glibc}.`,
    help,
  );
}

function glibc(): string | undefined {
  const { header } = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime;
}

/** The free bytes of the cache, which is created; or the reason that it is not writable. */
async function roomIn(folder: string): Promise<number | string> {
  try {
    for (const each of [folder, wheelFolder(folder)]) {
      await makeFolder(each);
      await tryFolder(each);
    }
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch (error) {
    return (error as Error).message;
  }
}

/** The reason that a folder of the native part is not writable; undefined if all are. */
async function whyNotBuilt({ folder, binding }: TfjsNode): Promise<string | undefined> {
  const deps = join(folder, 'deps');
  const native = dirname(binding);
  for (const each of [folder, deps, join(deps, 'include'), join(deps, 'lib'), dirname(native), native]) {
    // A missing folder is created, and a link is replaced: its target does not matter.
    if (!(await lstat(each).catch(() => undefined))?.isDirectory()) continue;
    try {
      await tryFolder(each);
    } catch (error) {
      return (error as Error).message;
    }
  }
  return undefined;
}

async function compilerName(): Promise<string | undefined> {
  for (const name of [process.env.CXX, 'c++', 'g++', 'clang++']) {
    if (name && (await run(name, ['--version'])).ok) return name;
  }
  return undefined;
}

const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
