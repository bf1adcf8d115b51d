/** Other versions of Node. npm has each as a package. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The supported Nodes, the recommended one first: the newest of each line, and the oldest of the last. */
export const nodeVersions = ['24.21.0', '26.10.0', '22.23.3', '20.19.0'];

/**
 * The binary of a version of Node. npm installs it unless the folder has it.
 *
 * @throws Error with the output of npm.
 */
export async function nodeBinary(version: string, cache: string): Promise<string> {
  if (version === process.versions.node) return process.execPath;
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  const folder = join(cache, `node-${version}`);
  const binary = join('node_modules', name, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  if (existsSync(folder)) return join(folder, binary);
  await mkdir(cache, { recursive: true });
  const part = await mkdtemp(join(cache, 'part-'));
  try {
    await writeFile(join(part, 'package.json'), '{}');
    const quietly = ['--prefer-offline', '--fetch-retries=1', '--loglevel=error', '--ignore-scripts', '--no-audit'];
    await run('npm', ['install', ...quietly, '--no-fund', '--no-save', `${name}@${version}`], { cwd: part });
    await rename(part, folder).catch((error) => {
      if (!existsSync(folder)) throw error;
    });
  } catch (error) {
    const output = (error as Error).message.match(/(?<=npm error ).*/g)?.slice(0, 4);
    throw new Error(`npm does not get ${name}@${version}: ${output ?? error}`, { cause: error });
  } finally {
    await rm(part, { recursive: true, force: true });
  }
  return join(folder, binary);
}
