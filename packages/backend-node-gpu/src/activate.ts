/** Native TensorFlow as an adapter: what it needs, turning it on, turning it off. */

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { type ActiveBackend, type BackendAdapter, GhlError, type Support, UnsupportedError } from '@ghl/core';
import { completeTensorFlow, mutex, replaceReluGradient } from '@ghl/core/backend';
import { checkOptions } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { kernels } from './kernels/index.js';
import { reluGradient } from './kernels/relu-gradient.js';
import { installHelp, type Probed, probe, type Refusal } from './probe.js';
import { type PutBack, putBack } from './removed-functions.js';
import { findTfjsNode, type NodeBackend, type TfjsNode } from './tfjs-node.js';

// A model may be built before any function of this package is called.
completeTensorFlow();

/** The name under which the packages register themselves. */
const name = 'tensorflow';

/** A package that loads. */
interface Found {
  readonly tfjsNode: TfjsNode;
  readonly probed: Probed;
}

/** Found once, it stays: a native library is never unloaded. */
let found: Found | undefined;

async function find(): Promise<Found | Refusal> {
  try {
    return found ?? (await look());
  } catch (error) {
    const reason = `Native TensorFlow cannot be looked for: ${describe(error)}`;
    return { supported: false, reason, help: installHelp };
  }
}

async function look(): Promise<Found | Refusal> {
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
  const loaded = tf.engine().registry[name] as NodeBackend | undefined;
  const probed = loaded === undefined ? await probe(tfjsNode.binding) : saidBy(loaded);
  if ('supported' in probed) return probed;
  found = { tfjsNode, probed };
  return found;
}

function saidBy({ binding, isUsingGpuDevice }: NodeBackend): Probed {
  return { version: binding.TF_Version, gpu: isUsingGpuDevice ? 'GPU' : undefined, withoutGpu: undefined };
}

/**
 * Says whether native TensorFlow runs here: whether one of the packages is installed and of the right version, and
 * whether its library loads, which is tried in a process of its own. Never throws.
 *
 * @returns `{ supported: true }`, or why not and what to do.
 */
export async function isSupported(): Promise<Support> {
  const result = await find();
  return 'supported' in result ? result : { supported: true };
}

/** What is active, and what it takes to undo it. */
interface Activation {
  readonly result: ActiveBackend;
  /** Stock kernels that ours stand in for. */
  readonly replaced: readonly tf.KernelConfig[];
  /** The kernels registered. */
  readonly registered: readonly string[];
  readonly restoreGradient: () => void;
  readonly shim: PutBack;
  /** Whether the backend was there before, and stays. */
  readonly stays: boolean;
  /** The backend that was on before. */
  readonly previous: string | undefined;
}

let active: Activation | undefined;
const inTheirTurn = mutex();
/** The one instance that a process can have, kept over `deactivate()`. */
let instance: NodeBackend | undefined;

/**
 * Makes native TensorFlow the backend that TensorFlow.js computes on, on an NVIDIA GPU if the library finds one, else
 * on the CPU. Idempotent: what is active already is returned as it is. On Node 23 and later, it puts
 * `util.isNullOrUndefined` back, which the package needs, and says so in `notes`.
 *
 * @returns What it got: processor or GPU, version of libtensorflow, threads on a CPU, versions, the kernels added, and
 * `notes`.
 * @throws UnsupportedError with code `NODE_GPU_UNSUPPORTED` and the reason of {@link isSupported}, or `NODE_GPU_FAILED`
 * where the package does not start; ConfigurationError with code `UNKNOWN_OPTION`: there are no options.
 */
export async function activate(options: object = {}): Promise<ActiveBackend> {
  checkOptions('activate', options, []);
  return inTheirTurn(async () => {
    active ??= await start();
    if (tf.getBackend() !== name) await tf.setBackend(name);
    return active.result;
  });
}

/**
 * Takes the kernels and what was put back in `util` away, and turns the backend on that was on before, if any. A
 * library cannot be unloaded: tensors on the backend can still be read, and hold memory until they are disposed of.
 * Does nothing where it is not active.
 */
export function deactivate(): Promise<void> {
  return inTheirTurn(async () => {
    if (active === undefined) return;
    const { replaced, registered, restoreGradient, shim, stays, previous } = active;
    active = undefined;
    for (const kernel of registered) tf.unregisterKernel(kernel, name);
    for (const kernel of replaced) tf.registerKernel(kernel);
    restoreGradient();
    if (!stays) tf.removeBackend(name);
    shim.undo();
    if (previous !== undefined && tf.findBackendFactory(previous) != null) await tf.setBackend(previous);
  });
}

/** The three functions as one object. */
export const backend: BackendAdapter = { name, isSupported, activate, deactivate };

async function start(): Promise<Activation> {
  const result = await find();
  if ('supported' in result) throw new UnsupportedError('NODE_GPU_UNSUPPORTED', result.reason, result.help);
  const { tfjsNode, probed } = result;
  const previous = tf.engine().backendName ?? undefined;
  // Not findBackend(), which starts a backend that it does not find.
  const stays = name in tf.engine().registry;
  const shim = putBack();
  try {
    if (!stays) load(tfjsNode);
    if (!(await tf.setBackend(name))) throw new Error('tf.setBackend answered false.');
    instance = tf.findBackend(name) as NodeBackend;
  } catch (cause) {
    shim.undo();
    if (!stays && name in tf.engine().registry) tf.removeBackend(name);
    if (previous !== undefined) await tf.setBackend(previous);
    if (cause instanceof GhlError) throw cause;
    throw new UnsupportedError(
      'NODE_GPU_FAILED',
      `${tfjsNode.name} does not start: ${describe(cause)}`,
      installHelp,
      cause,
    );
  }
  const gpu = instance.isUsingGpuDevice;
  const replaced: tf.KernelConfig[] = [];
  const registered = kernels.filter(({ cpuOnly }) => !(cpuOnly && gpu));
  for (const { name: kernelName, run } of registered) {
    const stock = tf.getKernel(kernelName, name);
    if (stock !== undefined) {
      replaced.push(stock);
      tf.unregisterKernel(kernelName, name);
    }
    tf.registerKernel({
      kernelName,
      backendName: name,
      kernelFunc: (call) => run(call as never, stock?.kernelFunc as never),
    });
  }
  const notes: string[] = [];
  if (shim.names.length > 0) {
    const names = shim.names.map((each) => `util.${each}`).join(' and ');
    notes.push(`Node ${process.versions.node} has no ${names}, which ${tfjsNode.name} calls: put back.`);
  }
  if (gpu) {
    notes.push(
      'NVIDIA GPUs of 2020 and later multiply float32 in 19 bits (TF32): NVIDIA_TF32_OVERRIDE=0 in the environment keeps all 32.',
    );
  } else if (probed.withoutGpu !== undefined || tfjsNode.name.endsWith('-gpu')) {
    const said = probed.withoutGpu === undefined ? '' : ` (TensorFlow says: ${probed.withoutGpu})`;
    notes.push(
      `No GPU is used${said}: a driver for CUDA 12, and a libtensorflow by 'npx @ghl/backend-node-gpu install --gpu', are what it takes.`,
    );
  }
  return {
    replaced,
    registered: registered.map(({ name }) => name),
    restoreGradient: replaceReluGradient(reluGradient.name),
    shim,
    stays,
    previous: previous === name ? undefined : previous,
    result: {
      name,
      device: gpu ? (probed.gpu ?? 'GPU') : (cpus()[0]?.model ?? process.arch),
      driver: `libtensorflow ${instance.binding.TF_Version}${gpu ? ' with CUDA' : ''}`,
      ...(!gpu && { threads: Number(process.env.TF_NUM_INTRAOP_THREADS) || availableParallelism() }),
      versions: {
        [tfjsNode.name]: tfjsNode.version,
        '@tensorflow/tfjs-core': tf.version_core,
        tensorflow: instance.binding.TF_Version,
        node: process.versions.node,
      },
      kernels: registered.map(({ name }) => name),
      notes,
    },
  };
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

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
