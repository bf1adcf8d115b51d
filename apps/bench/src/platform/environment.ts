/** The code, versions and machine, on which numbers depend in addition to the plan. Contains no host, user or path. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { version_core } from '@tensorflow/tfjs-core';

const sourceFolder = join(dirname(fileURLToPath(import.meta.url)), '..');

interface Manifest {
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

const manifestOf = (source: string): Manifest => JSON.parse(readFileSync(join(source, '..', 'package.json'), 'utf8'));

/** SHA-256 over the code that computes: every module of the `@ghl` packages that a run uses, and of its process. */
export function codeVersion(): string {
  const folders = new Map<string, string>();
  const visit = (source: string): void => {
    for (const name of Object.keys(manifestOf(source).dependencies ?? {})) {
      // An evaluation only reads what a run has left.
      if (!name.startsWith('@ghl/') || name === '@ghl/evaluation' || folders.has(name)) continue;
      const folder = dirname(fileURLToPath(import.meta.resolve(name)));
      folders.set(name, folder);
      visit(folder);
    }
  };
  visit(sourceFolder);
  folders.set('processes', join(sourceFolder, 'processes'));
  const hash = createHash('sha256');
  for (const [name, folder] of [...folders].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const modules = readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .map((file) => file.replaceAll('\\', '/'))
      .filter((file) => /\.(js|ts|wasm)$/.test(file) && !/\.(d|test|test-d|fixture)\.ts$/.test(file))
      .sort();
    for (const file of modules) hash.update(`${name}/${file}\0`).update(readFileSync(join(folder, file)));
  }
  return hash.digest('hex');
}

/** The machine and the versions, for a manifest. */
export interface Environment {
  readonly versions: Readonly<Record<string, string>>;
  /** The commit of the bench's repository, and whether files differ from it; null outside a repository. */
  readonly git: { readonly commit: string; readonly dirty: boolean } | null;
  readonly cpu: string;
  /** Logical cores available to the process. */
  readonly cores: number;
  readonly memoryGiB: number;
  readonly platform: string;
}

/** Describes where this process runs. */
export function environment(): Environment {
  const { version } = manifestOf(sourceFolder);
  return {
    versions: { ghl: version, node: process.versions.node, v8: process.versions.v8, tfjs: version_core },
    git: commit(),
    cpu: cpus()[0]?.model.trim() ?? process.arch,
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
  };
}

function commit(): Environment['git'] {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: sourceFolder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    return { commit: git('rev-parse', 'HEAD'), dirty: git('status', '--porcelain') !== '' };
  } catch {
    return null;
  }
}
