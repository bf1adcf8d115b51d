/** The WebAssembly backend as an adapter: what it needs, turning it on, turning it off. */

import {
  type ActiveBackend,
  type BackendAdapter,
  ConfigurationError,
  GhlError,
  StateError,
  type Support,
  UnsupportedError,
} from '@ghl/core';
import { completeTensorFlow, mutex, replaceReluGradient } from '@ghl/core/backend';
import { checkBoolean, checkChoice, checkOptions } from '@ghl/core/plugin';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { reader, type WasmPaths } from './files.js';
import { reluGradient } from './kernels/element-wise.js';
import type { Stock } from './kernels/heap.js';
import { kernels } from './kernels/index.js';
import { sound } from './kernels/otherwise.js';
import { loadReference, type Reference } from './kernels/reference.js';
import { GuardedMemory } from './memory.js';
import { KernelModule, type Variant, variants } from './module.js';
import { node } from './node.js';
import { loadStock, type StockModule } from './stock.js';

// A model may be built before any function of this package is called.
completeTensorFlow();

/** Options of {@link activate}. */
export interface WasmOptions {
  /**
   * Threads that compute: a whole number from 1 to 32. Default: one for each logical core that this process may use, at
   * most 8. In a browser, more than one needs cross-origin isolation.
   */
  readonly threads?: number;
  /**
   * Where the `.wasm` files of this package and of `@tensorflow/tfjs-backend-wasm` are: the URL of a folder that holds
   * all of them, ending in `/`, or a URL for each file that is not where it is looked for. In Node, also a path,
   * relative to the working directory. Default: in a browser, ours where the bundler put them, those of TensorFlow.js
   * beside the page; in Node, in their packages, else beside the bundled program.
   */
  readonly wasmPaths?: WasmPaths;
  /**
   * The micro-kernel of products and convolutions: fused multiply-adds in tiles of 6×16 (for V8's revectorization,
   * which Node 24 has behind a flag that `activate()` sets) or of 6×8, or without fused operations. Default: the
   * quickest that computes right, by a few milliseconds of timing. Results differ between them by rounding.
   */
  readonly variant?: Variant;
  /**
   * Whether 3×3 convolutions of stride 1 may take a quarter of the multiplications, at some ten times the rounding
   * error (about 1e-5 of the largest value). Default true.
   */
  readonly winograd?: boolean;
}

/** The most threads that can be asked for, and that there are by default. */
const [mostThreads, usualThreads] = [32, 8];

/** A module of one function that uses a 128-bit vector. */
const simdProbe = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 9, 1, 7, 0, 65, 0, 253, 15, 26, 11,
]);

/**
 * Says whether WebAssembly with SIMD runs here. Never throws.
 *
 * @returns `{ supported: true }`, or why not and what to do.
 */
export async function isSupported(): Promise<Support> {
  const help =
    'use Node 20.19 or later, or a browser with WebAssembly SIMD (Chrome 91, Firefox 89, Safari 16.4 or later); else ' +
    'train on @tensorflow/tfjs-backend-cpu.';
  if (typeof WebAssembly !== 'object') return { supported: false, reason: 'There is no WebAssembly here.', help };
  try {
    if (!WebAssembly.validate(simdProbe)) {
      return { supported: false, reason: 'WebAssembly has no SIMD instructions here.', help };
    }
    // A content security policy forbids this, or compiling, and never validating.
    await WebAssembly.instantiate(simdProbe);
    return { supported: true };
  } catch (error) {
    const reason = `WebAssembly is switched off here: ${describe(error)}`;
    return node
      ? { supported: false, reason, help }
      : { supported: false, reason, help: "allow 'wasm-unsafe-eval' as a script-src of the content security policy." };
  }
}

/** What is active, and what it takes to undo it. */
interface Activation {
  readonly result: ActiveBackend;
  /** The threads that were asked for. */
  readonly asked: number | undefined;
  readonly module: KernelModule;
  readonly wasm: BackendWasm;
  /** Our kernels, each with the stock kernel that it stands in for, if any. */
  readonly registered: readonly { readonly ours: tf.KernelConfig; readonly stock: tf.KernelConfig | undefined }[];
  /** Puts the gradient back that ours stands in for. */
  readonly restoreGradient: () => void;
  /** How TensorFlow.js would have made its own backend, if it was asked to. */
  readonly stockFactory: ReturnType<typeof tf.findBackendFactory>;
  /** The backend that was on before. */
  readonly previous: string | undefined;
}

/** Which TensorFlow.js gives its own. */
const stockPriority = 2;

let active: Activation | undefined;

/**
 * What all copies of this package in a process share: two versions may be installed, and one may be loaded twice under
 * two URLs. TensorFlow.js has one backend named `wasm`, so one copy is active at a time.
 */
interface Copies {
  /** Lets calls of all copies take turns. */
  readonly inTheirTurn: ReturnType<typeof mutex>;
  /** Where the copy that is active was loaded from. */
  owner?: { readonly url: string };
}
// Not `self`: in a worker, Vite replaces `import.meta.url` with `self.location.href`.
const thisCopy = { url: import.meta.url };
const key = Symbol.for('@ghl/backend-wasm');

/** It stands on the engine of TensorFlow.js, which is one for all of its own copies too. */
function copies(): Copies {
  const engine = tf.engine() as unknown as { [key]?: Copies };
  engine[key] ??= { inTheirTurn: mutex() };
  return engine[key];
}

/**
 * Makes WebAssembly the backend that TensorFlow.js computes on, able to train. Idempotent: what is active already is
 * returned as it is. It prints nothing and does not keep the process alive.
 *
 * @returns What it got: processor, runtime, threads, versions, the kernels added, and in `notes` what it had to do
 * without.
 * @throws UnsupportedError with code `WASM_UNSUPPORTED` and the reason of {@link isSupported}, or `WASM_FAILED` where
 * the module could not be loaded; ConfigurationError with code `UNKNOWN_OPTION`, `BAD_THREADS`, `BAD_VALUE` for another
 * variant than there are, `BAD_VARIANT` for one that does not run here, or `ALREADY_ACTIVE` where it is active with
 * other threads, another variant or another choice of `winograd`; StateError with code `OTHER_COPY` where another copy
 * of this package is active.
 */
export async function activate(options: WasmOptions = {}): Promise<ActiveBackend> {
  checkOptions('activate', options, ['threads', 'wasmPaths', 'variant', 'winograd']);
  const { threads, variant, winograd } = options;
  if (variant !== undefined) checkChoice('activate.variant', variant, variants);
  if (winograd !== undefined) checkBoolean('activate.winograd', winograd);
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= mostThreads)) {
    throw new ConfigurationError(
      'BAD_THREADS',
      `activate got threads ${threads}.`,
      `use a whole number from 1 to ${mostThreads}, or leave it out.`,
    );
  }
  const shared = copies();
  return shared.inTheirTurn(async () => {
    if (shared.owner !== undefined && shared.owner !== thisCopy) {
      throw new StateError(
        'OTHER_COPY',
        `Another copy of @ghl/backend-wasm is active: ${shared.owner.url}, while this one is ${thisCopy.url}.`,
        'call deactivate() of that copy first, or install one: npm ls @ghl/backend-wasm shows all.',
      );
    }
    if (active !== undefined && !isThere(active)) await stop(active);
    active ??= await start(options);
    shared.owner = thisCopy;
    return settled(active, options);
  });
}

/** Whether TensorFlow.js still has the backend: `tf.removeBackend()` takes it away too. */
function isThere({ wasm }: Activation): boolean {
  return tf.engine().registry.wasm === wasm;
}

/** What is active, as long as it is what these options ask for. */
async function settled(
  { result, asked }: Activation,
  { threads, variant, winograd }: WasmOptions,
): Promise<ActiveBackend> {
  if (threads !== undefined && threads !== asked && threads !== result.threads) {
    throw new ConfigurationError(
      'ALREADY_ACTIVE',
      `activate got threads ${threads}, while the backend runs on ${result.threads}.`,
      'call deactivate() first; tensors that live on the backend are lost then.',
    );
  }
  const { numerics } = result;
  if ((variant ?? numerics?.variant) !== numerics?.variant || (winograd ?? numerics?.winograd) !== numerics?.winograd) {
    throw new ConfigurationError(
      'ALREADY_ACTIVE',
      `activate got ${JSON.stringify({ variant, winograd })}, while the backend runs with ${JSON.stringify(numerics)}.`,
      'call deactivate() first; tensors that live on the backend are lost then.',
    );
  }
  if (tf.getBackend() !== 'wasm') await tf.setBackend('wasm');
  return result;
}

/**
 * Takes the kernels away, frees the WebAssembly memory, stops the threads, and turns the backend on that was on
 * before, if any. Tensors that live on the backend are lost. Does nothing where it is not active.
 */
export function deactivate(): Promise<void> {
  return copies().inTheirTurn(async () => {
    if (active !== undefined) await stop(active);
  });
}

/** Undoes an activation; what others have put in the place of ours since stays. */
async function stop(activation: Activation): Promise<void> {
  const { registered, restoreGradient, stockFactory, previous, module, wasm } = activation;
  active = undefined;
  delete copies().owner;
  const ended = module.dispose();
  for (const { ours, stock } of registered) {
    if (tf.getKernel(ours.kernelName, 'wasm') !== ours) continue;
    tf.unregisterKernel(ours.kernelName, 'wasm');
    if (stock !== undefined) tf.registerKernel(stock);
  }
  restoreGradient();
  const there = isThere(activation);
  if (there) {
    keepListeners(() => tf.removeBackend('wasm'));
    if (stockFactory != null) tf.registerBackend('wasm', stockFactory, stockPriority);
  }
  // Tensors outlive their backend; without this, letting go of one reads from null.
  const lost = (): never => {
    throw new StateError(
      'BACKEND_GONE',
      'The tensor was on the WebAssembly backend, which was deactivated.',
      'read tensors before deactivate(), or make them anew.',
    );
  };
  Object.assign(wasm, { disposeData: () => true, readSync: lost, read: async () => lost() });
  if (there && previous !== undefined && tf.findBackendFactory(previous) != null) await tf.setBackend(previous);
  await ended;
}

/** The three functions as one object. */
export const backend: BackendAdapter<WasmOptions> = { name: 'wasm', isSupported, activate, deactivate };

async function start({ threads, wasmPaths, variant, winograd = true }: WasmOptions): Promise<Activation> {
  const support = await isSupported();
  if (!support.supported) throw new UnsupportedError('WASM_UNSUPPORTED', support.reason, support.help);
  const previous = tf.engine().backendName ?? undefined;
  const stockFactory = tf.findBackendFactory('wasm');
  const tfjs = await import('@tensorflow/tfjs-backend-wasm');
  // Not findBackend(), which starts a backend that it does not find.
  const found = 'wasm' in tf.engine().registry;
  const wanted = threads ?? Math.min(parallelism(), usualThreads);
  const read = reader(wasmPaths);
  const release = node ? watchListeners() : undefined;
  let wasm: BackendWasm;
  let memory: GuardedMemory;
  let module: KernelModule;
  let refused: unknown;
  let reference: Reference;
  try {
    if (!found) {
      const shared = node ? wanted > 1 : await tf.env().getAsync('WASM_HAS_MULTITHREAD_SUPPORT');
      // Before it is registered: what fails within a factory, tf.setBackend() prints, and does not throw.
      const loaded = await loadStock(read, shared === true).catch((error: unknown) => {
        // Shared memory is reserved whole, 4 GiB, which a device may refuse; other memory grows as it is needed.
        if (shared !== true || error instanceof GhlError || !/RangeError|memory/i.test(String(error))) throw error;
        refused = error;
        return loadStock(read, false);
      });
      if (tf.findBackendFactory('wasm') != null) tf.removeBackend('wasm');
      tfjs.setThreadsCount(1);
      tf.registerBackend('wasm', () => new tfjs.BackendWasm(loaded));
    }
    if (!(await tf.setBackend('wasm'))) throw new Error('tf.setBackend answered false.');
    wasm = tf.findBackend('wasm') as BackendWasm;
    // Another copy of TensorFlow.js's package may have made it, whose kernels the import above has replaced.
    if (found) for (const { setupFunc } of tf.getKernelsForBackend('wasm')) setupFunc?.(wasm);
    memory = new GuardedMemory(wasm);
    const stock = wasm.wasm as StockModule;
    module = await KernelModule.load(stock, { threads: wanted, variant, winograd, read });
    memory.spare = () => module.release();
    reference = await loadReference();
  } catch (cause) {
    if (!found) {
      if (tf.findBackendFactory('wasm') != null) keepListeners(() => tf.removeBackend('wasm'));
      if (stockFactory != null) tf.registerBackend('wasm', stockFactory, stockPriority);
    }
    if (previous !== undefined) await tf.setBackend(previous);
    if (cause instanceof GhlError) throw cause;
    throw new UnsupportedError(
      'WASM_FAILED',
      `The WebAssembly backend could not be started: ${describe(cause)}`,
      node
        ? 'reinstall @ghl/backend-wasm, and @tensorflow/tfjs-backend-wasm 4.22.0, or activate with threads: 1.'
        : 'serve the .wasm files of @ghl/backend-wasm and of @tensorflow/tfjs-backend-wasm, and name their folder in the ' +
            'option wasmPaths.',
      cause,
    );
  } finally {
    release?.();
  }
  const notes = module.threads < wanted ? [`One thread: ${whyOne(module.unstarted, refused, found)}`] : [];

  const names = new Set([
    ...tf.getKernelsForBackend('wasm').map(({ kernelName }) => kernelName),
    ...kernels.map(({ name }) => name),
  ]);
  const registered = [...names].map((name) => {
    const stock = tf.getKernel(name, 'wasm');
    const sure = sound(name, stock?.kernelFunc as Stock | undefined, reference);
    const run = kernels.find((kernel) => kernel.name === name)?.run;
    const ours: tf.KernelConfig = {
      ...stock,
      kernelName: name,
      backendName: 'wasm',
      kernelFunc: (call) => {
        // Addresses of another backend lie in other memory.
        if (call.backend !== wasm) return elsewhere(name, stock)(call);
        return memory.guard({ name, inputs: call.inputs }, () =>
          run === undefined ? sure(call as never) : run({ ...call, module } as never, sure),
        );
      },
    };
    if (stock !== undefined) tf.unregisterKernel(name, 'wasm');
    tf.registerKernel(ours);
    return { ours, stock };
  });
  return {
    asked: threads,
    module,
    wasm,
    registered,
    restoreGradient: replaceReluGradient(reluGradient.name),
    stockFactory,
    previous,
    result: {
      name: 'wasm',
      device: node ? (process.getBuiltinModule('node:os').cpus()[0]?.model ?? process.arch) : navigator.userAgent,
      driver: `WebAssembly SIMD${module.threads > 1 ? ' with threads' : ''}${node ? `, V8 ${process.versions.v8}` : ''}`,
      threads: module.threads,
      numerics: { variant: module.variant, winograd },
      versions: {
        '@tensorflow/tfjs-backend-wasm': tfjs.version_wasm,
        '@tensorflow/tfjs-core': tf.version_core,
        ...(node && { node: process.versions.node }),
      },
      kernels: kernels.map(({ name }) => name),
      notes,
    },
  };
}

/** What a kernel of ours does on a backend that was registered in the place of ours. */
function elsewhere(name: string, stock: tf.KernelConfig | undefined): tf.KernelFunc {
  if (stock !== undefined) return stock.kernelFunc;
  throw new StateError(
    'BACKEND_GONE',
    `${name} runs on another WebAssembly backend than activate() made.`,
    'call activate() again; take the backend away with deactivate(), not with tf.removeBackend().',
  );
}

/** Why there is one thread where there could be more. */
function whyOne(unstarted: unknown, refused: unknown, found: boolean): string {
  if (unstarted !== undefined) {
    return `no worker starts here${node ? '' : ' (worker-src blob: allows it)'}: ${describe(unstarted)}`;
  }
  if (refused !== undefined) return `memory that threads share is refused here: ${describe(refused)}`;
  if (found) return 'the backend was initialised before activate(), with memory that threads cannot share.';
  return globalThis.crossOriginIsolated
    ? 'this browser has no memory that threads share, although the page is cross-origin isolated.'
    : 'without cross-origin isolation, the browser shares no memory between threads.';
}

function parallelism(): number {
  return node ? process.getBuiltinModule('node:os').availableParallelism() : (navigator.hardwareConcurrency ?? 1);
}

function describe(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : String(error);
}

const processEvents = ['uncaughtException', 'unhandledRejection'] as const;
type Listener = (...values: unknown[]) => void;

/**
 * Emscripten's start-up code listens to the process's uncaught exceptions only to throw them again, which changes the
 * exit status of every later crash. Returns a function that removes the listeners that were added since.
 */
function watchListeners(): () => void {
  const before = processEvents.map((event) => process.rawListeners(event));
  return () => {
    for (const [i, event] of processEvents.entries()) {
      for (const listener of process.rawListeners(event)) {
        if (!before[i]!.includes(listener) && /ExitStatus|throw reason/.test(String(listener))) {
          process.removeListener(event, listener as Listener);
        }
      }
    }
  };
}

/** Runs Emscripten's clean-up code, which takes everyone's listeners away with its own, and puts them back. */
function keepListeners(cleanUp: () => void): void {
  const before = node ? processEvents.map((event) => process.rawListeners(event)) : [];
  cleanUp();
  if (!node) return;
  for (const [i, event] of processEvents.entries()) {
    for (const listener of before[i]!) {
      if (!process.rawListeners(event).includes(listener)) process.on(event as 'exit', listener as Listener);
    }
  }
}
