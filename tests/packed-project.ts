/** A project outside the repository, with the packages installed from their tarballs. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const root = resolve('.');

/** The folder of each package, by name. */
export async function packages(): Promise<Map<string, string>> {
  const folders = (await readdir(join(root, 'packages'))).map((name) => join(root, 'packages', name));
  return new Map(folders.map((folder) => [`@ghl/${folder.split('/').at(-1)}`, folder]));
}

/** The result of {@link packedProject}. */
export interface PackedProject {
  /** The folder of the project. */
  readonly folder: string;
  /** The tarball of each package, by name. */
  readonly tarballs: ReadonlyMap<string, string>;
  /** Writes files, by their paths in the project. */
  write(files: Readonly<Record<string, string>>): Promise<void>;
  /** Runs Node in the project and returns its output. Rejects with the output if it fails. */
  node(...args: string[]): Promise<string>;
  /** Type-checks the project's files with the repository's compiler. Returns the list of its messages. */
  tsc(...args: string[]): Promise<string[]>;
  /** Removes the project. */
  remove(): Promise<void>;
}

/** Packs every package, and installs the tarballs, TensorFlow.js and the types of Node into a new temporary project. */
export async function packedProject(): Promise<PackedProject> {
  const folder = await mkdtemp(join(tmpdir(), 'ghl-packed-'));
  const tarballFolder = join(folder, 'tarballs');
  await mkdir(tarballFolder);
  const all = await packages();
  const selected = [...all.keys()].flatMap((name) => ['-w', name]);
  const packed = await run('npm', ['pack', ...selected, '--pack-destination', tarballFolder, '--json'], { cwd: root });
  // npm prints a list before version 12, and an object by name since then.
  const packs = Object.values(JSON.parse(packed.stdout)) as { name: string; filename: string }[];
  const tarballs = new Map(packs.map(({ name, filename }) => [name, join(tarballFolder, filename)]));

  const { devDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    devDependencies: Record<string, string>;
  };
  const peers = Object.entries(devDependencies).filter(([name]) => /^@(tensorflow|types)\//.test(name));
  const dependencies = {
    ...Object.fromEntries(peers),
    ...Object.fromEntries([...tarballs].map(([name, file]) => [name, `file:${file}`])),
  };
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module', dependencies }));
  const quietly = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock'];
  await run('npm', ['install', ...quietly], { cwd: folder });

  return {
    folder,
    tarballs,
    async write(files) {
      for (const [path, text] of Object.entries(files)) {
        await mkdir(dirname(join(folder, path)), { recursive: true });
        await writeFile(join(folder, path), text);
      }
    },
    async node(...args) {
      return (await run(process.execPath, args, { cwd: folder, maxBuffer: 2 ** 26 })).stdout;
    },
    async tsc(...args) {
      const compiler = join(root, 'node_modules/typescript/bin/tsc');
      const output = await run(process.execPath, [compiler, '--pretty', 'false', ...args], { cwd: folder }).then(
        ({ stdout }) => stdout,
        (error: { stdout: string }) => error.stdout,
      );
      return output.split(/\n(?! )/).filter((message) => message !== '');
    },
    remove: () => rm(folder, { recursive: true }),
  };
}
