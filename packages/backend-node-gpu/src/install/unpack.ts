/** Extracts the required files from wheels, which are zip archives. */
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { DataError } from '@ghl/core';
import { openPromise } from 'yauzl';
import { placeOf } from './wheels.js';

/**
 * Extracts the required members of a wheel to a folder.
 *
 * @throws DataError `BROKEN_WHEEL`.
 */
export async function unpack(wheel: string, folder: string): Promise<void> {
  try {
    const archive = await openPromise(wheel);
    for await (const entry of archive.eachEntry()) {
      const place = placeOf(entry.fileName);
      if (place === null) continue;
      const path = join(folder, place);
      await mkdir(dirname(path), { recursive: true });
      await pipeline(await archive.openReadStreamPromise(entry), createWriteStream(path));
    }
  } catch (cause) {
    throw new DataError(
      'BROKEN_WHEEL',
      `${wheel} cannot be unpacked to ${folder}: ${(cause as Error).message}.`,
      'free disk space, or set GHL_CACHE to another folder, and run the command again.',
      cause,
    );
  }
}
