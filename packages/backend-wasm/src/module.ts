/**
 * The WebAssembly module of the kernels. It uses the memory of the stock module, so that both share tensors by their
 * address. Every thread has an instance. The main thread's starts the jobs, and all share their tasks (see
 * assembly/threads.ts).
 */
import { ConfigurationError, StateError, UnsupportedError } from '@ghl/core';
import { type Read, reader } from './files.js';
import type { KernelName } from './kernel-name.js';
import { node } from './node.js';
import type { StockModule } from './stock-module.js';
import { startWorkers, type Worker } from './workers.js';

/** The variants of the micro-kernel. If all run, the first is the fastest. */
export const variants = ['relaxed-6x16', 'relaxed-6x8', 'plain-6x8'] as const;
/** One of {@link variants}. */
export type Variant = (typeof variants)[number];

/** The exports of assembly/index.ts. */
interface Exports extends Readonly<Record<KernelName, () => number>> {
  start(control: number): void;
  stop(): void;
  configure(threads: number, mayWait: number): void;
  lose(): void;
  setArena(address: number, size: number): void;
  argumentsAt(): number;
  isLost(): number;
  rate(at: number, rounds: number): void;
  rateBytes(): number;
  rateFlops(): number;
  product(...values: number[]): number;
}

/** Options of {@link KernelModule.load}. */
export interface ModuleOptions {
  readonly threads: number;
  /** Default: the fastest. */
  readonly variant: Variant | undefined;
  readonly winograd: boolean;
  /** Reads the files of the module. Default: from their default location. */
  readonly read?: Read;
}

/** The size of the block that threads share: fields, then arguments. */
const CONTROL = 1024;
const MIB = 1 << 20;

/** A module with a fused multiply-add of relaxed SIMD. */
const relaxedProbe = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 3, 123, 123, 123, 1, 123, 3, 2, 1, 0, 10, 13, 1, 11, 0, 32, 0, 32, 1, 32, 2,
  253, 133, 2, 11,
]);

/** The bits of a 32-bit float, as an argument of {@link KernelModule.run}. */
export function bits(value: number): number {
  return new Int32Array(Float32Array.of(value).buffer)[0]!;
}

const uppers = ['none', 'result', 'right'] as const;
/** The part of a product that is an upper triangle: entries below its diagonal are 0, and not computed. */
export type Upper = (typeof uppers)[number];

/** A loaded module with its threads. */
export class KernelModule {
  readonly variant: Variant;
  readonly threads: number;
  /** Whether convolutions may use Winograd's algorithm. */
  readonly winograd: boolean;
  /** Why no worker started, if several threads were requested and the memory is shared. */
  readonly startFailure: unknown;
  readonly #stock: StockModule;
  readonly #memory: WebAssembly.Memory;
  readonly #exports: Exports;
  readonly #workers: readonly Worker[];
  #arena = 0;
  #arenaSize = 0;
  #failure: Error | undefined;

  private constructor(
    stock: StockModule,
    memory: WebAssembly.Memory,
    { variant, exports }: Candidate,
    winograd: boolean,
    workers: readonly Worker[],
    startFailure: unknown,
  ) {
    this.#stock = stock;
    this.#memory = memory;
    this.#exports = exports;
    this.#workers = workers;
    this.variant = variant;
    this.winograd = winograd;
    this.startFailure = startFailure;
    this.threads = workers.length + 1;
    for (const { failure } of workers) void failure.then((error) => (this.#failure ??= error));
    exports.configure(this.threads, Number(mayWait()));
  }

  /**
   * Loads a variant, by default the fastest correct one, on the memory of `stock`.
   *
   * @throws ConfigurationError `BAD_VARIANT` if that variant does not run here; UnsupportedError `WASM_FAILED` if no
   * variant computes correctly.
   */
  static async load(
    stock: StockModule,
    { threads, variant: requested, winograd, read = reader() }: ModuleOptions,
  ): Promise<KernelModule> {
    const memory = (stock.wasmMemory ?? stock.asm.memory) as WebAssembly.Memory;
    const shared = typeof SharedArrayBuffer === 'function' && memory.buffer instanceof SharedArrayBuffer;
    const control = stock._malloc(CONTROL) >>> 0;
    new Uint8Array(memory.buffer, control, CONTROL).fill(0);
    const candidates: Candidate[] = [];
    for (const variant of requested === undefined ? variants : [requested]) {
      // The variant without fused multiply-add is never the fastest.
      if (variant === 'plain-6x8' && candidates.length > 0) break;
      const candidate = await instantiate(variant, memory, shared, control, read);
      if (candidate !== null && computesCorrectly(candidate.exports, stock, memory)) candidates.push(candidate);
    }
    const best = quickest(candidates, candidates.length > 1 ? measure(candidates, stock) : {});
    if (best === undefined && requested === undefined) {
      throw new UnsupportedError(
        'WASM_FAILED',
        'No variant of the kernels computes correctly here.',
        'reinstall @ghl/backend-wasm, and update Node or the browser; else train on @tensorflow/tfjs-backend-cpu.',
      );
    }
    if (best === undefined) {
      throw new ConfigurationError(
        'BAD_VARIANT',
        `Kernel variant '${requested}' does not run here.`,
        `omit it, or use one of ${variants.map((name) => `'${name}'`).join(', ')}.`,
      );
    }
    if (best.variant !== 'relaxed-6x16') setV8Flag('--no-experimental-wasm-revectorize', 13);
    let workers: Worker[] = [];
    let startFailure: unknown;
    if (shared) {
      try {
        workers = await startWorkers(threads - 1, { compiled: best.compiled, memory, control });
      } catch (error) {
        startFailure = error;
      }
    }
    return new KernelModule(stock, memory, best, winograd, workers, startFailure);
  }

  /**
   * The product of a [m, k] and b [k, n], at their addresses. Either operand may be transposed. The zeros of an upper
   * triangle are not computed.
   */
  product(
    a: number,
    b: number,
    c: number,
    sizes: readonly [m: number, n: number, k: number],
    turn: readonly boolean[],
    upper: Upper = 'none',
  ) {
    this.#run(() => this.#exports.product(a, b, c, ...sizes, Number(turn[0]), Number(turn[1]), uppers.indexOf(upper)));
  }

  /** Runs a kernel. Its arguments are integers and addresses, in the order of the fields in its source. */
  run(kernel: KernelName, values: readonly number[]): void {
    new Int32Array(this.#memory.buffer, this.#exports.argumentsAt(), values.length).set(values);
    this.#run(() => this.#exports[kernel]());
  }

  /** Ends the threads. The stock module owns the memory. */
  async dispose(): Promise<void> {
    this.#exports.stop();
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #run(kernel: () => number): void {
    if (this.#failure !== undefined) throw workerLost(this.#failure.message);
    const call = () => {
      try {
        return kernel() >>> 0;
      } catch (error) {
        // Other threads may still run its tasks, and would decrement the counter of the next kernel.
        this.#exports.lose();
        throw error;
      }
    };
    const needed = call();
    if (needed > 0) {
      this.reserve(needed);
      call();
    }
    if (this.#exports.isLost()) throw workerLost('it did not finish its part of a kernel.');
  }

  /** Reserves at least `needed` bytes for intermediate results of kernels. */
  reserve(needed: number): void {
    if (needed <= this.#arenaSize) return;
    this.release();
    const size = Math.ceil(needed / MIB) * MIB;
    this.#arena = this.#stock._malloc(size + 64) >>> 0;
    this.#arenaSize = size;
    this.#exports.setArena(Math.ceil(this.#arena / 64) * 64, size);
  }

  /** Frees the memory for intermediate results. Returns whether there was any. */
  release(): boolean {
    if (this.#arenaSize === 0) return false;
    this.#stock._free(this.#arena);
    this.#arenaSize = 0;
    this.#exports.setArena(0, 0);
    return true;
  }
}

interface Candidate {
  readonly variant: Variant;
  readonly compiled: WebAssembly.Module;
  readonly exports: Exports;
}

/** Compiles and instantiates a variant in this thread. Returns null if the engine does not support it. */
async function instantiate(
  variant: Variant,
  memory: WebAssembly.Memory,
  shared: boolean,
  control: number,
  read: Read,
): Promise<Candidate | null> {
  if (variant !== 'plain-6x8') setV8Flag('--experimental-wasm-relaxed-simd', 0, 11);
  if (variant === 'relaxed-6x16') setV8Flag('--experimental-wasm-revectorize', 13);
  if (variant !== 'plain-6x8' && !WebAssembly.validate(relaxedProbe)) return null;
  const binary = await read(`${variant}.wasm`);
  const compiled = await WebAssembly.compile(shared ? binary : unshared(binary));
  const exports = (await WebAssembly.instantiate(compiled, { env: { memory } })).exports as unknown as Exports;
  exports.start(control);
  exports.configure(1, 0);
  return { variant, compiled, exports };
}

/**
 * Sets a flag of V8 that affects the modules compiled from then on. It applies to a range of versions, since V8 prints
 * an error for an unknown flag.
 */
function setV8Flag(flag: string, first: number, last = Number.POSITIVE_INFINITY): void {
  const version = node ? Number.parseInt(process.versions.v8 ?? '', 10) : Number.NaN;
  if (version >= first && version <= last) process.getBuiltinModule('node:v8').setFlagsFromString(flag);
}

/** Whether this thread may sleep. The main thread of a page may not. */
function mayWait(): boolean {
  try {
    return Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0) === 'timed-out';
  } catch {
    return false;
  }
}

/** The same module for unshared memory: the flags of its only import, env.memory, are 1 in place of 3. */
function unshared(binary: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const memoryImport = new TextEncoder().encode('\x03env\x06memory\x02\x03');
  const copy = binary.slice();
  const start = copy.findIndex((_, i) => memoryImport.every((byte, j) => copy[i + j] === byte));
  copy[start + memoryImport.length - 1] = 1;
  return copy;
}

/** Runs `use` with the address of temporary memory for `floats` numbers. */
function borrow<T>(stock: StockModule, floats: number, use: (address: number) => T): T {
  const address = stock._malloc(4 * floats) >>> 0;
  try {
    return use(address);
  } finally {
    stock._free(address);
  }
}

/**
 * Compares a variant with float64: both forms of the micro-kernel, on whole tiles and edges. If an engine compiles the
 * variant incorrectly, or the fused operations of the machine differ, the next variant is used.
 */
function computesCorrectly(exports: Exports, stock: StockModule, memory: WebAssembly.Memory): boolean {
  const [m, n, k] = [13, 37, 29];
  const arena = 1 << 20;
  return borrow(stock, m * k + k * n + m * n + 2 + arena / 4, (address) => {
    const floats = new Float32Array(memory.buffer, address, m * k + k * n + m * n);
    const a = floats.subarray(0, m * k);
    const b = floats.subarray(m * k, m * k + k * n);
    const c = floats.subarray(m * k + k * n);
    for (let i = 0; i < m * k + k * n; i++) floats[i] = Math.sin(i);
    exports.setArena(address + 4 * floats.length, arena);
    // The filter gradient of a 1×1 convolution: c = aᵀ·b, with m channels, n filters and k positions.
    const gradient = [k, 1, 1, m, 1, 1, n, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 1, 1, 1, 0, 1];
    const at = (offset: number) => address + 4 * offset;
    const right = (element: (i: number, p: number) => number) =>
      c.every((value, index) => {
        const [i, j] = [Math.floor(index / n), index % n];
        let sum = 0;
        for (let p = 0; p < k; p++) sum += element(i, p) * b[p * n + j]!;
        return Math.abs(value - sum) < 1e-5 * k;
      });
    c.fill(Number.NaN);
    if (exports.product(at(0), at(m * k), at(m * k + k * n), m, n, k, 0, 0, 0) !== 0) return false;
    if (!right((i, p) => a[i * k + p]!)) return false;
    c.fill(Number.NaN);
    const values = [...gradient, at(0), 0, at(m * k), 0, at(m * k + k * n), 0];
    new Int32Array(memory.buffer, exports.argumentsAt(), values.length).set(values);
    if (exports.convolutionFilterGradient() !== 0) return false;
    const works = right((i, p) => a[p * m + i]!);
    exports.setArena(0, 0);
    return works;
  });
}

/**
 * Measures the micro-kernels in GFLOP/s, interleaved for about 20 ms: the best round of each. During the first rounds,
 * V8 still optimises.
 */
function measure(candidates: readonly Candidate[], stock: StockModule): Partial<Record<Variant, number>> {
  const rates: Partial<Record<Variant, number>> = {};
  const bytes = Math.max(...candidates.map(({ exports }) => exports.rateBytes()));
  borrow(stock, bytes / 4, (address) => {
    for (const start = performance.now(); performance.now() - start < 20; ) {
      for (const { variant, exports } of candidates) {
        const before = performance.now();
        exports.rate(address, 250);
        const rate = (250 * exports.rateFlops()) / (performance.now() - before) / 1e6;
        rates[variant] = Math.max(rates[variant] ?? 0, rate);
      }
    }
  });
  return rates;
}

/** Chooses the fastest. A variant with higher requirements must be faster by more than the noise of the measurement. */
function quickest(candidates: readonly Candidate[], rates: Partial<Record<Variant, number>>): Candidate | undefined {
  return candidates.reduceRight<Candidate | undefined>(
    (best, next) => (best === undefined || (rates[next.variant] ?? 0) > 1.1 * (rates[best.variant] ?? 0) ? next : best),
    undefined,
  );
}

function workerLost(why: string): StateError {
  return new StateError(
    'WORKER_LOST',
    `A thread of the WebAssembly backend was lost: ${why}`,
    'call deactivate(), then activate() again, and resume from the last checkpoint.',
  );
}
