/**
 * The memory of all tensors of the backend, at most 4 GiB. If an allocation fails, stock code writes to address 0.
 * Guarded memory throws instead, and frees the outputs of the kernel that failed.
 */
import { UnsupportedError } from '@ghl/core';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { engine, type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { StockModule } from './stock-module.js';

const MIB = 1 << 20;
const MOST = 2 ** 32;
const mebibytes = (bytes: number) => `${Math.ceil(bytes / MIB).toLocaleString('en')} MiB`;

/** The running kernel, for the error message. */
interface Work {
  readonly name: string;
  readonly inputs: Readonly<Record<string, TensorInfo | undefined>>;
}

type Tape = ReturnType<typeof engine>['state']['activeTape'] | null | undefined;

/** Guards the memory of one backend until the backend is disposed of. */
export class GuardedMemory {
  readonly #backend: BackendWasm;
  /** The size of each block in use, in bytes, by its address. */
  readonly #blocks = new Map<number, number>();
  #inUse = 0;
  /** The shape of the tensor that is being created. */
  #tensor: readonly number[] | undefined;
  /** Frees memory that is held for later use. Returns whether there was any. */
  spare: () => boolean = () => false;
  /** The running kernel, and its outputs. */
  #work: Work | undefined;
  #outputs: object[] | undefined;
  /** The tape of TensorFlow.js when an allocation failed. */
  #tape: Tape;

  constructor(backend: BackendWasm) {
    this.#backend = backend;
    const stock = backend.wasm as StockModule;
    // Emscripten's functions replace themselves at their first call.
    stock._free(stock._malloc(1));
    const { _malloc: malloc, _free: free } = stock;
    stock._malloc = (bytes) => {
      // Near 4 GiB, the end of a block has more than 32 bits. The stock allocator then returns a block that is too
      // short.
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
      this.#outputs?.push(dataId);
    };
  }

  /** Runs a kernel. If it fails, its outputs are freed, which TensorFlow.js does not know yet. */
  guard<T>(work: Work, kernel: () => T): T {
    const [outerWork, outerOutputs] = [this.#work, this.#outputs];
    const outputs: object[] = [];
    this.#work = work;
    this.#outputs = outputs;
    try {
      return kernel();
    } catch (error) {
      for (const dataId of outputs) this.#backend.disposeData(dataId, true);
      throw error;
    } finally {
      this.#work = outerWork;
      this.#outputs = outerOutputs;
    }
  }

  /**
   * Frees the tape of a gradient that has failed: TensorFlow.js leaks it after an error in `tf.grads()`. Returns
   * whether there was any. There is none while the differentiated function still runs.
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
      this.#tensor === undefined
        ? `the intermediate results of ${this.#work?.name ?? 'an operation'} for`
        : 'a tensor of';
    return new UnsupportedError(
      'OUT_OF_MEMORY',
      `There is no room for ${what} shape [${shape.join(', ')}] (${mebibytes(bytes)} in one piece): WebAssembly has ` +
        `${mebibytes(MOST)} in total, and ${mebibytes(this.#inUse)} are in use.`,
      `${smallerBatch(shape, this.#inUse + bytes)}tf.dispose() and tf.tidy() free unused tensors.`,
    );
  }
}

/** The largest power of two that leaves a tenth of the memory free, if the memory in use grows with the first axis. */
function smallerBatch([batch = 0, ...example]: readonly number[], needed: number): string {
  if (batch < 2 || example.length === 0) return '';
  const most = Math.min(batch - 1, (0.9 * MOST * batch) / needed);
  return most < 1 ? '' : `if ${batch} is the batch, use at most ${2 ** Math.floor(Math.log2(most))}; `;
}
