/** The adapter of native TensorFlow: whether it is available, its start, and its end. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { type ActiveBackend, type BackendAdapter, type Support, UnsupportedError } from '@ghl/core';
import {
  completeTensorFlow,
  createAdapter,
  type KernelOverride,
  messageOf,
  overrideKernels,
  type Refusal,
  replaceReluGradient,
  type Started,
  type Teardown,
} from '@ghl/core/backend';
import { checkOptions } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { kernels } from './kernels/index.js';
import type { Kernel } from './kernels/kernel.js';
import { reluGradient } from './kernels/relu-gradient.js';
import { shimNodeUtil } from './node-util-shim.js';
import { installHelp, type LibraryInfo, probe } from './probe.js';
import { findTfjsNode, type NodeBackend, type TfjsNode } from './tfjs-node.js';

// A model may be built before any function of this package is called.
completeTensorFlow();

/** The name under which the packages register themselves. */
const name = 'tensorflow';

/** A package whose native library loads. */
interface Platform {
  readonly tfjsNode: TfjsNode;
  readonly library: LibraryInfo;
}

/** Found once, since a process never unloads a native library. */
let platform: Platform | undefined;

async function findPlatform(): Promise<Platform | Refusal> {
  try {
    return platform ?? (await searchPlatform());
  } catch (error) {
    const reason = `The search for native TensorFlow failed: ${messageOf(error)}`;
    return { supported: false, reason, help: installHelp };
  }
}

async function searchPlatform(): Promise<Platform | Refusal> {
  const tfjsNode = findTfjsNode([import.meta.url, join(process.cwd(), 'package.json')]);
  if (tfjsNode === undefined) {
    return {
      supported: false,
      reason: 'Neither @tensorflow/tfjs-node-gpu nor @tensorflow/tfjs-node is installed.',
      help: `run 'npm install --ignore-scripts @tensorflow/tfjs-node@${tf.version_core}', then 'npx @ghl/backend-node-gpu install'.`,
    };
  }
  if (tfjsNode.version !== tf.version_core) {
    return {
      supported: false,
      reason: `${tfjsNode.name} is ${tfjsNode.version}, but @tensorflow/tfjs-core is ${tf.version_core}.`,
      help: `run 'npm install --ignore-scripts ${tfjsNode.name}@${tf.version_core}'.`,
    };
  }
  if (!existsSync(tfjsNode.binding)) {
    return {
      supported: false,
      reason: `${tfjsNode.name} has no native part: ${tfjsNode.binding} is missing, as after 'npm install --ignore-scripts' or a failed download.`,
      help: installHelp,
    };
  }
  // A running backend needs no probe, and another process might have no access to a GPU that this one holds.
  const running = tf.engine().registry[name] as NodeBackend | undefined;
  const library = running === undefined ? await probe(tfjsNode.binding) : infoOf(running);
  if ('supported' in library) return library;
  platform = { tfjsNode, library };
  return platform;
}

function infoOf({ binding, isUsingGpuDevice }: NodeBackend): LibraryInfo {
  return { version: binding.TF_Version, gpu: isUsingGpuDevice ? 'GPU' : undefined, withoutGpu: undefined };
}

/** The only instance of the process. It remains after `deactivate()`. */
let instance: NodeBackend | undefined;

async function start(platform: Platform, _: object, teardown: Teardown): Promise<Started<object>> {
  const { tfjsNode, library } = platform;
  const shim = shimNodeUtil();
  teardown.add(() => shim.undo());
  // Not findBackend(), which starts a backend that is registered only.
  if (!(name in tf.engine().registry)) load(tfjsNode);
  if (!(await tf.setBackend(name))) throw new Error('tf.setBackend() returned false.');
  instance = tf.findBackend(name) as NodeBackend;
  const gpu = instance.isUsingGpuDevice;
  const overrides = kernels.filter(({ cpuOnly }) => !(cpuOnly && gpu)).map(overrideOf);
  teardown.add(overrideKernels(name, overrides));
  teardown.add(replaceReluGradient(reluGradient.name));
  const version = instance.binding.TF_Version;
  return {
    result: {
      device: gpu ? (library.gpu ?? 'GPU') : (cpus()[0]?.model ?? process.arch),
      driver: `libtensorflow ${version}${gpu ? ' with CUDA' : ''}`,
      ...(!gpu && { threads: Number(process.env.TF_NUM_INTRAOP_THREADS) || availableParallelism() }),
      versions: {
        [tfjsNode.name]: tfjsNode.version,
        '@tensorflow/tfjs-core': tf.version_core,
        tensorflow: version,
        node: process.versions.node,
      },
      kernels: overrides.map((kernel) => kernel.name),
      notes: notesOn(platform, gpu, shim.names),
    },
  };
}

/** A kernel as TensorFlow.js calls it. */
function overrideOf({ name, run }: Kernel): KernelOverride {
  return { name, create: (stock) => (call) => run(call as never, stock as never) };
}

function notesOn({ tfjsNode, library }: Platform, gpu: boolean, shims: readonly string[]): string[] {
  const notes: string[] = [];
  if (shims.length > 0) {
    const names = shims.map((each) => `util.${each}`).join(' and ');
    notes.push(`Node ${process.versions.node} has no ${names}, which ${tfjsNode.name} calls: restored.`);
  }
  if (gpu) {
    notes.push(
      'NVIDIA GPUs of 2020 and later multiply float32 in 19 bits (TF32). Set NVIDIA_TF32_OVERRIDE=0 in the environment to use all 32.',
    );
  } else if (library.withoutGpu !== undefined || tfjsNode.name.endsWith('-gpu')) {
    const reason = library.withoutGpu === undefined ? '' : ` (TensorFlow says: ${library.withoutGpu})`;
    notes.push(
      `No GPU is used${reason}. It requires a driver for CUDA 12, and a libtensorflow by 'npx @ghl/backend-node-gpu install --gpu'.`,
    );
  }
  return notes;
}

/**
 * The adapter: the three functions of this package as one object.
 *
 * @example
 * ```ts no-run
 * import { backend } from '@ghl/backend-node-gpu';
 *
 * const support = await backend.isSupported();
 * if (support.supported) await backend.activate();
 * else console.log(support.reason, support.help);
 * ```
 */
export const backend: BackendAdapter = createAdapter({
  name,
  packageName: '@ghl/backend-node-gpu',
  url: import.meta.url,
  checkOptions: (options) => checkOptions('activate', options, []),
  findPlatform,
  start,
  unsupported: ({ reason, help }) => new UnsupportedError('NODE_GPU_UNSUPPORTED', reason, help),
  failed: (cause, { tfjsNode }) =>
    new UnsupportedError('NODE_GPU_FAILED', `${tfjsNode.name} does not start: ${messageOf(cause)}`, installHelp, cause),
});

/**
 * Checks whether native TensorFlow runs here: whether one of its packages is installed in the required version, and
 * whether its library loads in a separate process. Never throws.
 *
 * @returns `{ supported: true }`, or the reason and the remedy.
 */
export function isSupported(): Promise<Support> {
  return backend.isSupported();
}

/**
 * Makes native TensorFlow the backend of TensorFlow.js, on an NVIDIA GPU if the library finds one, else on the CPU.
 * Idempotent. On Node 23 and later, it restores `util.isNullOrUndefined`, which the package calls, and adds a note.
 *
 * @returns The processor or GPU, the version of libtensorflow, threads on a CPU, versions, the added kernels, and
 * `notes`.
 * @throws UnsupportedError `NODE_GPU_UNSUPPORTED` with the reason of {@link isSupported}, or `NODE_GPU_FAILED` if the
 * package does not start; ConfigurationError `UNKNOWN_OPTION`, since there are no options; StateError `OTHER_COPY` if
 * another copy of this package is active.
 */
export function activate(options: object = {}): Promise<ActiveBackend> {
  return backend.activate(options);
}

/**
 * Restores the stock kernels, `util` and the previous backend. A library cannot be unloaded: tensors on the backend can
 * still be read, and occupy memory until they are disposed of. Does nothing if the backend is not active.
 */
export function deactivate(): Promise<void> {
  return backend.deactivate();
}

/** Loads the package, which registers the backend. The second time, it registers the same instance. */
function load({ folder }: TfjsNode): void {
  if (instance !== undefined) {
    const registered = instance;
    tf.registerBackend(name, () => registered, 3);
    return;
  }
  // Suppresses the line about the instructions that the library was built for.
  const level = process.env.TF_CPP_MIN_LOG_LEVEL;
  if (level === undefined) process.env.TF_CPP_MIN_LOG_LEVEL = '1';
  try {
    createRequire(import.meta.url)(folder);
  } finally {
    if (level === undefined) delete process.env.TF_CPP_MIN_LOG_LEVEL;
  }
}
