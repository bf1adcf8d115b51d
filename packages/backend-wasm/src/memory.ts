/**
 * The memory that all tensors of the backend lie in, 4 GiB at most. Stock code takes what it is not given for address
 * 0, and writes there; this refuses instead, and gives back what a kernel had made before it was refused.
 */
import { UnsupportedError } from '@ghl/core';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { engine, type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { StockModule } from './stock-module.js';

const MIB = 1 << 20;
const MOST = 2 ** 32;
const mebibytes = (bytes: number) => `${Math.ceil(bytes / MIB).toLocaleString('en')} MiB`;

/** What a kernel is handed, as far as it says what was too large. */
interface Work {
  readonly name: string;
  readonly inputs: Readonly<Record<string, TensorInfo | undefined>>;
}

type Tape = ReturnType<typeof engine>['state']['activeTape'] | null | undefined;

/** Guards the memory of one backend, from when it is made until the backend is gone. */
export class GuardedMemory {
  readonly #backend: BackendWasm;
  /** Bytes by address, of what is in use. */
  readonly #blocks = new Map<number, number>();
  #inUse = 0;
  /** Shape of the tensor that is being made. */
  #tensor: readonly number[] | undefined;
  /** Gives up what is held for later; whether there was any. */
  spare: () => boolean = () => false;
  /** The kernel that is running, and what it has made. */
  #work: Work | undefined;
  #made: object[] | undefined;
  /** What TensorFlow.js was recording when there was no room. */
  #tape: Tape;

  constructor(backend: BackendWasm) {
    this.#backend = backend;
    const stock = backend.wasm as StockModule;
    // Emscripten's functions put others in their place when they are first called.
    stock._free(stock._malloc(1));
    const { _malloc: malloc, _free: free } = stock;
    stock._malloc = (bytes) => {
      // Near 4 GiB, the stock allocator finds any free block long enough whose end, were it so long, has more than 32
      // bits.
      const allocate = (): number => {
        const address = bytes < MOST ? malloc(bytes) >>> 0 : 0;
        if (address === 0 || address + bytes <= stock.HEAPU8.length) return address;
        const another = allocate();
        free(address);
        return another;
      };
      let address = allocate();
      if (address === 0 && this.#dropTape()) address = allocate();
      if (address === 0 && this.spare()) address = allocate();
      if (address === 0) {
        this.#tape = engine().state.activeTape;
        queueMicrotask(() => this.#dropTape());
        throw this.#full(bytes);
      }
      this.#blocks.set(address, bytes);
      this.#inUse += bytes;
      return address;
    };
    stock._free = (address) => {
      this.#inUse -= this.#blocks.get(address >>> 0) ?? 0;
      this.#blocks.delete(address >>> 0);
      free(address);
    };
    const move = backend.move;
    backend.move = (dataId, values, shape, ...rest) => {
      this.#tensor = shape;
      try {
        move.call(backend, dataId, values, shape, ...rest);
      } finally {
        this.#tensor = undefined;
      }
      this.#made?.push(dataId);
    };
  }

  /** Runs a kernel. Where it fails, what it had made is freed: TensorFlow.js knows nothing of it yet. */
  guard<T>(work: Work, kernel: () => T): T {
    const [outerWork, outerMade] = [this.#work, this.#made];
    const outputs: object[] = [];
    this.#work = work;
    this.#made = outputs;
    try {
      return kernel();
    } catch (error) {
      for (const dataId of outputs) this.#backend.disposeData(dataId, true);
      throw error;
    } finally {
      this.#work = outerWork;
      this.#made = outerMade;
    }
  }

  /**
   * Frees what TensorFlow.js keeps for a gradient that it has given up: an error thrown through `tf.grads()` leaves all
   * of it behind. Returns whether there was any; there is none while the function to be differentiated still runs.
   */
  #dropTape(): boolean {
    const { activeTape, gradientDepth } = engine().state;
    if (this.#tape == null || (this.#tape === activeTape && gradientDepth > 0)) return false;
    for (const { saved } of this.#tape) for (const tensor of saved ?? []) tensor.dispose();
    this.#tape = undefined;
    return true;
  }

  #full(bytes: number): UnsupportedError {
    const inputs = Object.values(this.#work?.inputs ?? {}).map((input) => input?.shape ?? []);
    const shape = this.#tensor ?? inputs.sort((a, b) => util.sizeFromShape(b) - util.sizeFromShape(a))[0] ?? [];
    const what =
      this.#tensor === undefined ? `what ${this.#work?.name ?? 'an operation'} works in, given` : 'a tensor of';
    return new UnsupportedError(
      'OUT_OF_MEMORY',
      `There is no room for ${what} shape [${shape.join(', ')}] (${mebibytes(bytes)} in one piece): WebAssembly has ` +
        `${mebibytes(MOST)} in all, and ${mebibytes(this.#inUse)} are in use.`,
      `${smallerBatch(shape, this.#inUse + bytes)}tf.dispose() and tf.tidy() free what is no longer needed.`,
    );
  }
}

/** The largest power of two that leaves a tenth of the memory free, if all that is needed grows with the first axis. */
function smallerBatch([batch = 0, ...example]: readonly number[], needed: number): string {
  if (batch < 2 || example.length === 0) return '';
  const most = Math.min(batch - 1, (0.9 * MOST * batch) / needed);
  return most < 1 ? '' : `if ${batch} is the batch, use at most ${2 ** Math.floor(Math.log2(most))}; `;
}
