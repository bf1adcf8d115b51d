/** Where the records of one run are kept. The caller implements it: a folder of files, a database, memory. */
export interface RunStorage {
  /** Names a record in messages: its path, for example. */
  locate(name: string): string;
  /** The bytes of a record; null if it does not exist. */
  read(name: string): Promise<Uint8Array | null>;
  /** Replaces a record as a whole: after a failure, either the former bytes or the new ones are there. */
  write(name: string, bytes: Uint8Array): Promise<void>;
  /** Deletes a record if it exists. */
  remove(name: string): Promise<void>;
  /** Opens a record for appending, and creates it if it does not exist. */
  open(name: string): Promise<AppendLog>;
}

/** A record that is open for appending. */
export interface AppendLog {
  /** Its length in bytes. */
  readonly length: number;
  /** Appends bytes. */
  append(bytes: Uint8Array): Promise<void>;
  /** Fills `into` with the bytes from `position`. Absent if the storage reads only whole records. */
  read?(position: number, into: Uint8Array): Promise<void>;
  /** Cuts the record to a length. */
  truncate(length: number): Promise<void>;
  /** Resolves once all bytes would survive a crash, so that a checkpoint may refer to them. */
  sync(): Promise<void>;
  /** Closes the record. */
  close(): Promise<void>;
}

/** Storage in memory, which lasts as long as the object. */
export class MemoryStorage implements RunStorage {
  readonly #records = new Map<string, Uint8Array>();

  locate(name: string): string {
    return name;
  }

  async read(name: string): Promise<Uint8Array | null> {
    return this.#records.get(name) ?? null;
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    this.#records.set(name, new Uint8Array(bytes));
  }

  async remove(name: string): Promise<void> {
    this.#records.delete(name);
  }

  async open(name: string): Promise<AppendLog> {
    const records = this.#records;
    const bytes = () => records.get(name) as Uint8Array;
    if (!records.has(name)) records.set(name, new Uint8Array());
    return {
      get length() {
        return bytes().length;
      },
      append: async (more) => {
        const longer = new Uint8Array(bytes().length + more.length);
        longer.set(bytes());
        longer.set(more, bytes().length);
        records.set(name, longer);
      },
      truncate: async (length) => {
        records.set(name, bytes().slice(0, length));
      },
      sync: async () => {},
      close: async () => {},
    };
  }
}
