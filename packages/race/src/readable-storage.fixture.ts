/** A storage in memory from whose records any bytes can be read. */
import { type AppendLog, MemoryStorage } from './storage.js';

export class ReadableStorage extends MemoryStorage {
  /** Reads of a part of a record. */
  reads = 0;

  override async open(name: string): Promise<AppendLog> {
    const log = await super.open(name);
    const read = async (position: number, into: Uint8Array) => {
      this.reads += 1;
      const bytes = (await this.read(name)) as Uint8Array;
      into.set(bytes.subarray(position, position + into.length));
    };
    return Object.defineProperties({ ...log, read }, { length: { get: () => log.length } });
  }
}
