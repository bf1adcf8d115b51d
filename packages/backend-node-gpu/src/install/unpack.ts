/** Takes out of wheels, which are zip archives, what is needed of them. */
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { DataError } from '@ghl/core';
import { openPromise } from 'yauzl';
import { placeOf } from './wheels.js';

/**
 * Unpacks a wheel's members that are needed into a folder.
 *
 * @param onBytes Told the bytes of each member that is done.
 * @throws DataError `BROKEN_WHEEL`.
 */
export async function unpack(wheel: string, folder: string, onBytes: (bytes: number) => void): Promise<void> {
  try {
    const archive = await openPromise(wheel);
    for await (const entry of archive.eachEntry()) {
      const place = placeOf(entry.fileName);
      if (place === null) continue;
      const path = join(folder, place);
      await mkdir(dirname(path), { recursive: true });
      await pipeline(await archive.openReadStreamPromise(entry), createWriteStream(path));
      onBytes(entry.uncompressedSize);
    }
  } catch (cause) {
    throw new DataError(
      'BROKEN_WHEEL',
      `${wheel} cannot be unpacked to ${folder}: ${(cause as Error).message}.`,
      'free some space there, or name another folder in GHL_CACHE, and run the command again.',
      cause,
    );
  }
}
