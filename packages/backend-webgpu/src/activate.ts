/** The WebGPU backend as an adapter: what it needs, turning it on, turning it off. */

import {
  type ActiveBackend,
  type BackendAdapter,
  ConfigurationError,
  GhlError,
  StateError,
  type Support,
  UnsupportedError,
} from '@ghl/core';
import { completeTensorFlow, mutex } from '@ghl/core/backend';
import { checkBoolean, checkOptions } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { competesRight } from './competes-right.js';
import { findGpu, provideGlobals, withNavigator } from './gpu.js';
import { kernels, quickerKernels } from './kernels/index.js';
import { node } from './node.js';
import { stockFixes } from './stock-fixes/index.js';
import { type WatchedBackend, watchedBackend } from './watched-backend.js';

// A model may be built before any function of this package is called.
completeTensorFlow();

/** Options of {@link activate}. */
export interface WebGpuOptions {
  /**
   * Whether kernels may use subgroup operations where the GPU has them. Default true. Results differ by rounding.
   */
  readonly subgroups?: boolean;
}

/**
 * Says whether there is a GPU that WebGPU reaches: in a browser its own, in Node through the package `webgpu`. Never
 * throws.
 *
 * @returns `{ supported: true }`, or why not and what to do.
 */
export async function isSupported(): Promise<Support> {
  const found = await findGpu();
  return 'supported' in found ? found : { supported: true };
}

/** What is active. */
interface Activation {
  readonly result: ActiveBackend;
  readonly adapter: GPUAdapter;
  readonly backend: WatchedBackend;
  /** Puts everything back as it was. */
  readonly undo: () => Promise<void>;
}

let active: Activation | undefined;
const inTheirTurn = mutex();

/**
 * Makes WebGPU the backend that TensorFlow.js computes on, able to train. Idempotent: what is active already is
 * returned as it is. It does not keep the process alive.
 *
 * The device has every limit that the GPU offers. A device that is lost is `DEVICE_LOST` at the next operation, until
 * {@link deactivate} and another `activate()`.
 *
 * @returns What it got: GPU, driver, limits, versions, the kernels added, and in `notes` what it had to do without.
 * @throws UnsupportedError with code `WEBGPU_UNSUPPORTED` and the reason of {@link isSupported}, or `WEBGPU_FAILED`
 * where the GPU gives no device; ConfigurationError with code `UNKNOWN_OPTION`, `BAD_VALUE`, or `ALREADY_ACTIVE` where
 * it is active with another choice of `subgroups`; StateError `STOCK_BACKEND_ACTIVE` where TensorFlow.js's own backend
 * of this name runs, `DEVICE_LOST` where the device that is active was.
 */
export async function activate(options: WebGpuOptions = {}): Promise<ActiveBackend> {
  checkOptions('activate', options, ['subgroups']);
  const { subgroups } = options;
  if (subgroups !== undefined) checkBoolean('activate.subgroups', subgroups);
  return inTheirTurn(async () => {
    active ??= await start(options);
    active.backend.check();
    const { result, adapter } = active;
    const on = result.numerics?.subgroups;
    // Asked for and not offered is no contradiction: the notes say so.
    if (subgroups !== undefined && subgroups !== on && !(subgroups && !adapter.features.has('subgroups'))) {
      throw new ConfigurationError(
        'ALREADY_ACTIVE',
        `activate got subgroups: ${subgroups}, while the backend runs with subgroups: ${on}.`,
        'call deactivate() first; tensors that live on the backend are lost then.',
      );
    }
    if (tf.getBackend() !== 'webgpu') await tf.setBackend('webgpu');
    return result;
  });
}

/**
 * Takes the kernels away, destroys the device, and turns the backend on that was on before, if any. Tensors that live
 * on the backend are lost. Does nothing where it is not active.
 */
export async function deactivate(): Promise<void> {
  await inTheirTurn(async () => {
    const gone = active;
    active = undefined;
    await gone?.undo();
  });
}

/** The three functions as one object. */
export const backend: BackendAdapter<WebGpuOptions> = { name: 'webgpu', isSupported, activate, deactivate };

/** Which TensorFlow.js gives its own. */
const stockPriority = 3;

/** Features that kernels and timing use where there are any. */
const wanted = ['timestamp-query', 'subgroups'] as const;

async function start({ subgroups = true }: WebGpuOptions): Promise<Activation> {
  const activation = await begin(subgroups);
  if (!activation.result.numerics?.subgroups) return activation;
  let refusal: unknown;
  try {
    if (await competesRight()) return activation;
  } catch (error) {
    refusal = error;
  }
  await activation.undo();
  const refused = refusal instanceof GhlError && refusal.code === 'GPU_ERROR';
  if (refusal !== undefined && !refused) throw failed(refusal);
  const without = await begin(false);
  const note = refused
    ? 'The driver refuses subgroup operations: kernels do without.'
    : 'Subgroup operations of this GPU add up others than neighbours: kernels do without.';
  return { ...without, result: { ...without.result, notes: [...(without.result.notes ?? []), note] } };
}

async function begin(subgroups: boolean): Promise<Activation> {
  if ('webgpu' in tf.engine().registry) {
    throw new StateError(
      'STOCK_BACKEND_ACTIVE',
      "TensorFlow.js runs its own 'webgpu' backend already.",
      "call activate() before any other use of TensorFlow.js, or tf.removeBackend('webgpu') first.",
    );
  }
  const found = await findGpu();
  if ('supported' in found) throw new UnsupportedError('WEBGPU_UNSUPPORTED', found.reason, found.help);
  const { adapter, gpu, globals } = found;
  const previous = tf.engine().backendName ?? undefined;
  const stockFactory = tf.findBackendFactory('webgpu');
  const removeGlobals = provideGlobals(globals);
  const added: string[] = [];
  /** Stock kernels that ours stand in for. */
  const replaced: tf.KernelConfig[] = [];
  let device: GPUDevice | undefined;
  let watched: WatchedBackend | undefined;
  const undo = async () => {
    for (const name of added) tf.unregisterKernel(name, 'webgpu');
    for (const kernel of replaced) tf.registerKernel(kernel);
    if (watched !== undefined) watched.end();
    else device?.destroy();
    if (tf.findBackendFactory('webgpu') != null) tf.removeBackend('webgpu');
    if (stockFactory != null) tf.registerBackend('webgpu', stockFactory, stockPriority);
    removeGlobals();
    if (previous !== undefined && tf.findBackendFactory(previous) != null) await tf.setBackend(previous);
  };
  try {
    const { WebGPUBackend } = await import('@tensorflow/tfjs-backend-webgpu');
    device = await adapter.requestDevice({
      requiredFeatures: wanted.filter((name) => adapter.features.has(name) && (name !== 'subgroups' || subgroups)),
      requiredLimits: limitsOf(adapter),
    });
    watched = withNavigator(gpu, () => watchedBackend(WebGPUBackend, device as GPUDevice, adapter.info));
    // Theirs, which the import has registered in a browser, asks for a device with a feature that does not exist.
    if (tf.findBackendFactory('webgpu') != null) tf.removeBackend('webgpu');
    tf.registerBackend('webgpu', () => watched as WatchedBackend, stockPriority);
    if (!(await tf.setBackend('webgpu'))) throw new Error('tf.setBackend answered false.');
    for (const kernel of registration()) {
      const stock = tf.getKernel(kernel.kernelName, 'webgpu');
      if (stock !== undefined) {
        replaced.push(stock);
        tf.unregisterKernel(kernel.kernelName, 'webgpu');
      }
      tf.registerKernel(kernel);
      added.push(kernel.kernelName);
    }
    const { info } = adapter;
    return {
      adapter,
      backend: watched,
      undo,
      result: {
        name: 'webgpu',
        device: [info.vendor, info.architecture, info.device].filter(Boolean).join(' ') || 'a GPU without a name',
        driver: info.description || (node ? 'Dawn' : navigator.userAgent),
        limits: limitsOf(device),
        numerics: { subgroups: device.features.has('subgroups') },
        versions: await versions(),
        kernels: added,
        notes: notesOn(adapter, device, subgroups),
      },
    };
  } catch (cause) {
    await undo();
    throw failed(cause);
  }
}

/**
 * Our kernels, and what stands in for stock ones; of several that stand in for one, each stands in for that before it.
 */
function registration(): Iterable<tf.KernelConfig> {
  const all = new Map(kernels.map((kernel) => [kernel.kernelName, kernel]));
  for (const { name, standIn } of [...quickerKernels, ...stockFixes]) {
    const { kernelFunc } = all.get(name) ?? tf.getKernel(name, 'webgpu');
    all.set(name, { kernelName: name, backendName: 'webgpu', kernelFunc: standIn(kernelFunc) });
  }
  return all.values();
}

function failed(cause: unknown): GhlError {
  if (cause instanceof GhlError) return cause;
  return new UnsupportedError(
    'WEBGPU_FAILED',
    `The WebGPU backend could not be started: ${describe(cause)}`,
    'update the graphics driver and the browser or the package webgpu; else train on @ghl/backend-wasm.',
    cause,
  );
}

/** The limits, of which each is the better the larger it is, except for alignments. */
function limitsOf({ limits }: GPUAdapter | GPUDevice): Record<string, number> {
  const found: Record<string, number> = {};
  for (const name in limits) {
    const value = limits[name as keyof GPUSupportedLimits];
    if (
      typeof value === 'number' &&
      (name.startsWith('maxCompute') || /Buffer(Size|BindingSize|sPerShaderStage)$/.test(name))
    ) {
      found[name] = value;
    }
  }
  return found;
}

function notesOn({ features, info }: GPUAdapter, device: GPUDevice, subgroups: boolean): string[] {
  const notes: string[] = [];
  const software =
    info.isFallbackAdapter === true ||
    /swiftshader|llvmpipe|basic render/i.test(`${info.architecture} ${info.device} ${info.description}`);
  if (software) notes.push('This is a GPU in software: right, and hundreds of times slower than one in hardware.');
  if (subgroups && !device.features.has('subgroups')) {
    notes.push('No subgroup operations: sums and products go through workgroup memory.');
  }
  if (!features.has('timestamp-query')) notes.push('No timestamp queries: single kernels cannot be timed.');
  return notes;
}

async function versions(): Promise<Record<string, string>> {
  const found: Record<string, string> = { '@tensorflow/tfjs-core': tf.version_core };
  if (!node) return found;
  const require = process.getBuiltinModule('node:module').createRequire(import.meta.url);
  for (const name of ['@tensorflow/tfjs-backend-webgpu', 'webgpu']) {
    found[name] = (require(`${name}/package.json`) as { version: string }).version;
  }
  return { ...found, node: process.versions.node };
}

function describe(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : String(error);
}
