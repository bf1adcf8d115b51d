/** The adapter of the WebAssembly backend: its options, its start, and its end. */
import {
  type ActiveBackend,
  type BackendAdapter,
  ConfigurationError,
  GhlError,
  StateError,
  type Support,
  UnsupportedError,
} from '@ghl/core';
import {
  completeTensorFlow,
  createAdapter,
  type KernelOverride,
  messageOf,
  overrideKernels,
  replaceReluGradient,
  type Started,
  type Teardown,
} from '@ghl/core/backend';
import { checkBoolean, checkChoice, checkOptions } from '@ghl/core/plugin';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { type Read, reader, type WasmPaths } from './files.js';
import { type CpuKernels, loadCpuKernels } from './kernels/cpu-kernels.js';
import { reluGradient } from './kernels/element-wise.js';
import { kernels } from './kernels/index.js';
import type { Stock } from './kernels/kernel.js';
import { safeStock } from './kernels/safe-stock.js';
import { keepListeners, watchListeners } from './listeners.js';
import { GuardedMemory } from './memory.js';
import { KernelModule, type Variant, variants } from './module.js';
import { node } from './node.js';
import { findPlatform } from './platform.js';
import { loadStock, type StockModule } from './stock-module.js';

// A model may be built before any function of this package is called.
completeTensorFlow();

/** Options of {@link activate}. */
export interface WasmOptions {
  /**
   * The number of threads, from 1 to 32. Default: the number of logical cores of the process, at most 8. In a browser,
   * more than one thread requires cross-origin isolation.
   */
  readonly threads?: number;
  /**
   * The location of the `.wasm` files of this package and of `@tensorflow/tfjs-backend-wasm`: the URL of a folder with
   * all of them, ending in `/`, or a URL for each file that is not at its default location. In Node, a path relative to
   * the working directory is also possible. Default in a browser: the bundler's location of ours, and the folder of the
   * page for those of TensorFlow.js. Default in Node: their packages, else the folder of the bundled program.
   */
  readonly wasmPaths?: WasmPaths;
  /**
   * The micro-kernel of products and convolutions: fused multiply-adds in tiles of 6×16 (for V8's revectorization,
   * which Node 24 has behind a flag that `activate()` sets) or of 6×8, or no fused operations. Default: the fastest
   * correct one, by a few milliseconds of timing. Results differ by rounding.
   */
  readonly variant?: Variant;
  /**
   * Whether 3×3 convolutions of stride 1 may use Winograd's algorithm: a quarter of the multiplications, at about ten
   * times the rounding error (1e-5 of the largest value). Default true.
   */
  readonly winograd?: boolean;
}

/** The most threads, and the most by default. */
const [mostThreads, usualThreads] = [32, 8];

function checkWasmOptions(options: WasmOptions): void {
  checkOptions('activate', options, ['threads', 'wasmPaths', 'variant', 'winograd']);
  const { threads, variant, winograd } = options;
  if (variant !== undefined) checkChoice('activate.variant', variant, variants);
  if (winograd !== undefined) checkBoolean('activate.winograd', winograd);
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= mostThreads)) {
    throw new ConfigurationError(
      'BAD_THREADS',
      `activate got threads ${threads}.`,
      `use a whole number from 1 to ${mostThreads}, or omit it.`,
    );
  }
}

async function start(_: Support, options: WasmOptions, teardown: Teardown): Promise<Started<WasmOptions>> {
  const { wasmPaths, variant, winograd = true } = options;
  const threads = options.threads ?? Math.min(parallelism(), usualThreads);
  const read = reader(wasmPaths);
  const release = watchListeners();
  try {
    const { wasm, adopted, refusal } = await startBackend(read, threads);
    const memory = new GuardedMemory(wasm);
    const module = await KernelModule.load(wasm.wasm as StockModule, { threads, variant, winograd, read });
    teardown.add(() => module.dispose());
    memory.spare = () => module.release();
    const cpuKernels = await loadCpuKernels();
    teardown.add(overrideKernels('wasm', overridesFor(wasm, memory, module, cpuKernels)));
    teardown.add(replaceReluGradient(reluGradient.name));
    teardown.add(() => abandonTensors(wasm));
    // An adopted backend stays if the start fails.
    if (adopted) teardown.add(() => tf.engine().registry.wasm === wasm && tf.removeBackend('wasm'));
    const numerics = { variant: module.variant, winograd };
    const { version_wasm } = await import('@tensorflow/tfjs-backend-wasm');
    return {
      result: {
        device: node ? (process.getBuiltinModule('node:os').cpus()[0]?.model ?? process.arch) : navigator.userAgent,
        driver: `WebAssembly SIMD${module.threads > 1 ? ' with threads' : ''}${node ? `, V8 ${process.versions.v8}` : ''}`,
        threads: module.threads,
        numerics,
        versions: {
          '@tensorflow/tfjs-backend-wasm': version_wasm,
          '@tensorflow/tfjs-core': tf.version_core,
          ...(node && { node: process.versions.node }),
        },
        kernels: kernels.map(({ name }) => name),
        notes: module.threads < threads ? [`One thread: ${whyOne(module.startFailure, refusal, adopted)}`] : [],
      },
      check: (later) => checkUnchanged(later, { threads: [options.threads, module.threads], numerics }),
    };
  } finally {
    release();
  }
}

/** Makes the stock backend the current one, on shared memory if possible. */
async function startBackend(
  read: Read,
  threads: number,
): Promise<{ wasm: BackendWasm; adopted: boolean; refusal: unknown }> {
  const tfjs = await import('@tensorflow/tfjs-backend-wasm');
  // Not findBackend(), which starts a backend that is registered only.
  const adopted = 'wasm' in tf.engine().registry;
  let refusal: unknown;
  if (!adopted) {
    const shared = node ? threads > 1 : await tf.env().getAsync('WASM_HAS_MULTITHREAD_SUPPORT');
    // Before the registration: tf.setBackend() prints the error of a factory, and does not throw it.
    const stock = await loadStock(read, shared === true).catch((error: unknown) => {
      // Shared memory reserves all its 4 GiB at once, which a device may refuse. Other memory grows on demand.
      if (shared !== true || error instanceof GhlError || !/RangeError|memory/i.test(String(error))) throw error;
      refusal = error;
      return loadStock(read, false);
    });
    if (tf.findBackendFactory('wasm') != null) tf.removeBackend('wasm');
    tfjs.setThreadsCount(1);
    tf.registerBackend('wasm', () => new tfjs.BackendWasm(stock));
  }
  if (!(await tf.setBackend('wasm'))) throw new Error('tf.setBackend() returned false.');
  const wasm = tf.findBackend('wasm') as BackendWasm;
  keepListeners(wasm);
  // Another copy of TensorFlow.js's package may have created it. The import above has replaced the kernels of that
  // copy.
  if (adopted) for (const { setupFunc } of tf.getKernelsForBackend('wasm')) setupFunc?.(wasm);
  return { wasm, adopted, refusal };
}

/** The kernels of this package, and every other stock kernel within its limits, on guarded memory. */
function overridesFor(
  wasm: BackendWasm,
  memory: GuardedMemory,
  module: KernelModule,
  cpuKernels: CpuKernels,
): KernelOverride[] {
  const ours = new Map(kernels.map(({ name, run }) => [name, run]));
  const names = new Set([...tf.getKernelsForBackend('wasm').map(({ kernelName }) => kernelName), ...ours.keys()]);
  return [...names].map((name) => ({
    name,
    create(stock) {
      const fallback = safeStock(name, stock as Stock | undefined, cpuKernels);
      const run = ours.get(name);
      return (call) => {
        // The addresses of another backend are in another memory.
        if (call.backend !== wasm) return elsewhere(name, stock)(call);
        return memory.guard({ name, inputs: call.inputs }, () =>
          run === undefined ? fallback(call as never) : run({ ...call, module } as never, fallback),
        );
      };
    },
  }));
}

/** Tensors outlive their backend. Without these methods, to dispose of one would read from null. */
function abandonTensors(wasm: BackendWasm): void {
  const throwGone = (): never => {
    throw new StateError(
      'BACKEND_GONE',
      'The tensor was on the WebAssembly backend, which was deactivated.',
      'read tensors before deactivate(), or create them again.',
    );
  };
  Object.assign(wasm, { disposeData: () => true, readSync: throwGone, read: async () => throwGone() });
}

/** Throws unless the running backend is what these options ask for. */
function checkUnchanged(
  { threads, variant, winograd }: WasmOptions,
  running: {
    /** The number in the options, and the number that run. */
    readonly threads: readonly [requested: number | undefined, running: number];
    readonly numerics: { readonly variant: Variant; readonly winograd: boolean };
  },
): void {
  const help = 'call deactivate() first; tensors on the backend are lost.';
  const { numerics } = running;
  if (threads !== undefined && !running.threads.includes(threads)) {
    throw new ConfigurationError(
      'ALREADY_ACTIVE',
      `activate got threads ${threads}, while the backend runs on ${running.threads[1]}.`,
      help,
    );
  }
  if ((variant ?? numerics.variant) !== numerics.variant || (winograd ?? numerics.winograd) !== numerics.winograd) {
    throw new ConfigurationError(
      'ALREADY_ACTIVE',
      `activate got ${JSON.stringify({ variant, winograd })}, while the backend runs with ${JSON.stringify(numerics)}.`,
      help,
    );
  }
}

/** The kernel for a backend that was registered in the place of ours. */
function elsewhere(name: string, stock: tf.KernelFunc | undefined): tf.KernelFunc {
  if (stock !== undefined) return stock;
  throw new StateError(
    'BACKEND_GONE',
    `${name} runs on another WebAssembly backend than the one of activate().`,
    'call activate() again; remove the backend with deactivate(), not with tf.removeBackend().',
  );
}

/** The reason that one thread runs in place of several. */
function whyOne(startFailure: unknown, refusal: unknown, adopted: boolean): string {
  if (startFailure !== undefined) {
    return `no worker starts here${node ? '' : ' (worker-src blob: allows it)'}: ${messageOf(startFailure)}`;
  }
  if (refusal !== undefined) return `memory that threads share is refused here: ${messageOf(refusal)}`;
  if (adopted) return 'the backend was initialised before activate(), with memory that threads cannot share.';
  return globalThis.crossOriginIsolated
    ? 'this browser has no memory that threads share, although the page is cross-origin isolated.'
    : 'without cross-origin isolation, the browser shares no memory between threads.';
}

function parallelism(): number {
  return node ? process.getBuiltinModule('node:os').availableParallelism() : (navigator.hardwareConcurrency ?? 1);
}

/**
 * The adapter: the three functions of this package as one object.
 *
 * @example
 * ```ts
 * import { backend } from '@ghl/backend-wasm';
 * import * as tf from '@tensorflow/tfjs-core';
 *
 * await backend.activate();
 * console.log(tf.getBackend());
 * // => wasm
 * await backend.deactivate();
 * ```
 */
export const backend: BackendAdapter<WasmOptions> = createAdapter<WasmOptions, Support>({
  name: 'wasm',
  packageName: '@ghl/backend-wasm',
  url: import.meta.url,
  checkOptions: checkWasmOptions,
  findPlatform,
  start,
  unsupported: ({ reason, help }) => new UnsupportedError('WASM_UNSUPPORTED', reason, help),
  failed: (cause) =>
    new UnsupportedError(
      'WASM_FAILED',
      `The WebAssembly backend could not be started: ${messageOf(cause)}`,
      node
        ? 'reinstall @ghl/backend-wasm, and @tensorflow/tfjs-backend-wasm 4.22.0, or activate with threads: 1.'
        : 'serve the .wasm files of @ghl/backend-wasm and of @tensorflow/tfjs-backend-wasm, and name their folder in the ' +
            'option wasmPaths.',
      cause,
    ),
});

/**
 * Checks whether WebAssembly with SIMD runs here. Never throws.
 *
 * @returns `{ supported: true }`, or the reason and the remedy.
 */
export function isSupported(): Promise<Support> {
  return backend.isSupported();
}

/**
 * Makes WebAssembly the backend of TensorFlow.js, with kernels for training. Idempotent. It prints nothing and does not
 * keep the process alive.
 *
 * @returns The processor, runtime, threads, versions, added kernels, and the missing features in `notes`.
 * @throws UnsupportedError `WASM_UNSUPPORTED` with the reason of {@link isSupported}, or `WASM_FAILED` if the module
 * does not load.
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_THREADS`, `BAD_VALUE` for an unknown variant, `BAD_VARIANT` for a
 * variant that does not run here, or `ALREADY_ACTIVE` if the backend runs with other threads, variant or `winograd`.
 * @throws StateError `OTHER_COPY` if another copy of this package is active.
 */
export function activate(options: WasmOptions = {}): Promise<ActiveBackend> {
  return backend.activate(options);
}

/**
 * Stops the threads, frees the memory, and restores the stock kernels and the previous backend. Tensors on the backend
 * are lost. Does nothing if the backend is not active.
 */
export function deactivate(): Promise<void> {
  return backend.deactivate();
}
