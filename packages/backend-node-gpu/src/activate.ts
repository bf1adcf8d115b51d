/** Native TensorFlow as an adapter: what it needs, turning it on, turning it off. */

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

/** A package that loads. */
interface Platform {
  readonly tfjsNode: TfjsNode;
  readonly library: LibraryInfo;
}

/** Found once, it stays: a native library is never unloaded. */
let platform: Platform | undefined;

async function findPlatform(): Promise<Platform | Refusal> {
  try {
    return platform ?? (await searchPlatform());
  } catch (error) {
    const reason = `Native TensorFlow cannot be looked for: ${messageOf(error)}`;
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
  // Where it is loaded already, it loads; and another process might not get at a GPU that this one holds.
  const running = tf.engine().registry[name] as NodeBackend | undefined;
  const library = running === undefined ? await probe(tfjsNode.binding) : saidBy(running);
  if ('supported' in library) return library;
  platform = { tfjsNode, library: library };
  return platform;
}

function saidBy({ binding, isUsingGpuDevice }: NodeBackend): LibraryInfo {
  return { version: binding.TF_Version, gpu: isUsingGpuDevice ? 'GPU' : undefined, withoutGpu: undefined };
}

/** The one instance that a process can have. It stays after `deactivate()`. */
let instance: NodeBackend | undefined;

async function start({ tfjsNode, library: probed }: Platform, _: object, teardown: Teardown): Promise<Started<object>> {
  const shim = shimNodeUtil();
  teardown.add(() => shim.undo());
  // Not findBackend(), which starts a backend that it does not find.
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
      device: gpu ? (probed.gpu ?? 'GPU') : (cpus()[0]?.model ?? process.arch),
      driver: `libtensorflow ${version}${gpu ? ' with CUDA' : ''}`,
      ...(!gpu && { threads: Number(process.env.TF_NUM_INTRAOP_THREADS) || availableParallelism() }),
      versions: {
        [tfjsNode.name]: tfjsNode.version,
        '@tensorflow/tfjs-core': tf.version_core,
        tensorflow: version,
        node: process.versions.node,
      },
      kernels: overrides.map((kernel) => kernel.name),
      notes: notesOn({ tfjsNode, library: probed }, gpu, shim.names),
    },
  };
}

/** A kernel as TensorFlow.js calls it. */
function overrideOf({ name, run }: Kernel): KernelOverride {
  return { name, create: (stock) => (call) => run(call as never, stock as never) };
}

function notesOn({ tfjsNode, library: probed }: Platform, gpu: boolean, shimmed: readonly string[]): string[] {
  const notes: string[] = [];
  if (shimmed.length > 0) {
    const names = shimmed.map((each) => `util.${each}`).join(' and ');
    notes.push(`Node ${process.versions.node} has no ${names}, which ${tfjsNode.name} calls: put back.`);
  }
  if (gpu) {
    notes.push(
      'NVIDIA GPUs of 2020 and later multiply float32 in 19 bits (TF32): NVIDIA_TF32_OVERRIDE=0 in the environment keeps all 32.',
    );
  } else if (probed.withoutGpu !== undefined || tfjsNode.name.endsWith('-gpu')) {
    const reason = probed.withoutGpu === undefined ? '' : ` (TensorFlow says: ${probed.withoutGpu})`;
    notes.push(
      `No GPU is used${reason}: a driver for CUDA 12, and a libtensorflow by 'npx @ghl/backend-node-gpu install --gpu', are what it takes.`,
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
 * Says whether native TensorFlow runs here: whether one of the packages is installed and of the right version, and
 * whether its library loads, which is tried in a process of its own. Never throws.
 *
 * @returns `{ supported: true }`, or why not and what to do.
 */
export function isSupported(): Promise<Support> {
  return backend.isSupported();
}

/**
 * Makes native TensorFlow the backend that TensorFlow.js computes on, on an NVIDIA GPU if the library finds one, else
 * on the CPU. Idempotent: what is active already is returned as it is. On Node 23 and later, it puts
 * `util.isNullOrUndefined` back, which the package needs, and says so in `notes`.
 *
 * @returns What it got: processor or GPU, version of libtensorflow, threads on a CPU, versions, the kernels added, and
 * `notes`.
 * @throws UnsupportedError with code `NODE_GPU_UNSUPPORTED` and the reason of {@link isSupported}, or `NODE_GPU_FAILED`
 * where the package does not start; ConfigurationError with code `UNKNOWN_OPTION`: there are no options; StateError
 * with code `OTHER_COPY` where another copy of this package is active.
 */
export function activate(options: object = {}): Promise<ActiveBackend> {
  return backend.activate(options);
}

/**
 * Takes the kernels and what was put back in `util` away, and turns the backend on that was on before, if any. A
 * library cannot be unloaded: tensors on the backend can still be read, and hold memory until they are disposed of.
 * Does nothing where it is not active.
 */
export function deactivate(): Promise<void> {
  return backend.deactivate();
}

/** Loads the package, which registers the backend; the second time, registers the same instance. */
function load({ folder }: TfjsNode): void {
  if (instance !== undefined) {
    const again = instance;
    tf.registerBackend(name, () => again, 3);
    return;
  }
  // Not a word about the instructions that it was built for.
  const level = process.env.TF_CPP_MIN_LOG_LEVEL;
  if (level === undefined) process.env.TF_CPP_MIN_LOG_LEVEL = '1';
  try {
    createRequire(import.meta.url)(folder);
  } finally {
    if (level === undefined) delete process.env.TF_CPP_MIN_LOG_LEVEL;
  }
}
