/** Downloads wheels by the user's `pip`, and verifies their checksums. */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { DataError } from '@ghl/core';
import { lastLines, run } from './command.js';
import { platform, python, type Wheel } from './wheels.js';

/**
 * Downloads a wheel to an existing folder, unless the folder has it already.
 *
 * @param resumes Whether this `pip` can resume a download.
 * @returns Its path.
 * @throws DataError `DOWNLOAD_FAILED`, `CHECKSUM_MISMATCH`.
 */
export async function fetchWheel(
  { requirement, file, sha256 }: Wheel,
  folder: string,
  resumes: boolean,
): Promise<string> {
  const path = join(folder, file);
  if (existsSync(path)) {
    if ((await sha256Of(path)) === sha256) return path;
    await rm(path);
  }
  const parameters = [
    ...['-m', 'pip', 'download', requirement, '--dest', folder, '--no-deps', '--only-binary=:all:'],
    ...['--python-version', python, '--implementation', 'cp', '--platform', platform],
    ...['--disable-pip-version-check', ...(resumes ? ['--resume-retries', '9'] : [])],
  ];
  const { ok, stderr } = await run('python3', parameters, true);
  if (!ok || !existsSync(path)) {
    throw new DataError(
      'DOWNLOAD_FAILED',
      `pip did not download ${requirement}: ${ok ? `there is no ${file}` : lastLines(stderr)}`,
      "check that pip reaches its index ('python3 -m pip config list'), and run the command again.",
    );
  }
  const actual = await sha256Of(path);
  if (actual !== sha256) {
    await rm(path);
    throw new DataError(
      'CHECKSUM_MISMATCH',
      `${file} has the SHA-256 ${actual}, not ${sha256}.`,
      "the index of pip has another file, or the file changed in transit; 'python3 -m pip config list' shows the index.",
    );
  }
  return path;
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
