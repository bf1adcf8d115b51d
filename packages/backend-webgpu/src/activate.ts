/** The adapter of the WebGPU backend: its options, its start, and its end. */

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
  messageOf,
  overrideKernels,
  type Refusal,
  type Started,
  type Teardown,
} from '@ghl/core/backend';
import { checkBoolean, checkOptions } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';
import { createCheckedBackend } from './checked-backend.js';
import { findGpu, type GpuPlatform, provideGlobals, withNavigator } from './gpu.js';
import { kernels } from './kernels/index.js';
import { node } from './node.js';
import { verifySubgroups } from './verify-subgroups.js';

// A model may be built before any function of this package is called.
completeTensorFlow();

/** Options of {@link activate}. */
export interface WebGpuOptions {
  /** Whether kernels may use the subgroup operations of the GPU. Default true. Results differ by rounding. */
  readonly subgroups?: boolean;
}

/** Features that kernels and timing use if the GPU has them. */
const optionalFeatures = ['timestamp-query', 'subgroups'] as const;

async function start(
  platform: GpuPlatform,
  { subgroups = true }: WebGpuOptions,
  teardown: Teardown,
): Promise<Started<WebGpuOptions>> {
  const attempt = await startOn(platform, subgroups, teardown);
  if (!attempt.result.numerics?.subgroups) return attempt;
  let refusal: unknown;
  try {
    if (await verifySubgroups()) return attempt;
  } catch (error) {
    refusal = error;
  }
  const isRefused = refusal instanceof GhlError && refusal.code === 'GPU_ERROR';
  if (refusal !== undefined && !isRefused) throw refusal;
  await teardown.run();
  // An adapter creates one device only.
  const again = await findGpu();
  if ('supported' in again) throw unsupported(again);
  const { result, check } = await startOn(again, false, teardown);
  const note = isRefused
    ? 'The driver refuses subgroup operations: kernels use workgroup memory.'
    : 'The subgroups of this GPU do not consist of neighbouring invocations: kernels use workgroup memory.';
  return { result: { ...result, notes: [...(result.notes ?? []), note] }, ...(check && { check }) };
}

async function startOn(
  { adapter, gpu, globals }: GpuPlatform,
  subgroups: boolean,
  teardown: Teardown,
): Promise<Started<WebGpuOptions>> {
  if ('webgpu' in tf.engine().registry) {
    throw new StateError(
      'STOCK_BACKEND_ACTIVE',
      "TensorFlow.js runs its own 'webgpu' backend already.",
      "call activate() before any other use of TensorFlow.js, or tf.removeBackend('webgpu') first.",
    );
  }
  teardown.add(provideGlobals(globals));
  const { WebGPUBackend } = await import('@tensorflow/tfjs-backend-webgpu');
  const device = await adapter.requestDevice({
    requiredFeatures: optionalFeatures.filter(
      (name) => adapter.features.has(name) && (name !== 'subgroups' || subgroups),
    ),
    requiredLimits: limitsOf(adapter),
  });
  teardown.add(() => device.destroy());
  const instance = withNavigator(gpu, () => createCheckedBackend(WebGPUBackend, device, adapter.info));
  teardown.add(() => instance.end());
  // In a browser, the import has registered a factory, which requests a feature that no longer exists.
  if (tf.findBackendFactory('webgpu') != null) tf.removeBackend('webgpu');
  tf.registerBackend('webgpu', () => instance, 3);
  if (!(await tf.setBackend('webgpu'))) throw new Error('tf.setBackend() returned false.');
  teardown.add(overrideKernels('webgpu', kernels));
  const { info } = adapter;
  const numerics = { subgroups: device.features.has('subgroups') };
  return {
    result: {
      device: [info.vendor, info.architecture, info.device].filter(Boolean).join(' ') || 'a GPU without a name',
      driver: info.description || (node ? 'Dawn' : navigator.userAgent),
      limits: limitsOf(device),
      numerics,
      versions: await versions(),
      kernels: [...new Set(kernels.map(({ name }) => name))],
      notes: notesOn(adapter, device, subgroups),
    },
    check({ subgroups }) {
      instance.check();
      // Subgroups that the GPU does not have are not a contradiction: a note reports them.
      if (subgroups === undefined || subgroups === numerics.subgroups) return;
      if (subgroups && !adapter.features.has('subgroups')) return;
      throw new ConfigurationError(
        'ALREADY_ACTIVE',
        `activate got subgroups: ${subgroups}, while the backend runs with subgroups: ${numerics.subgroups}.`,
        'call deactivate() first; tensors on the backend are lost.',
      );
    },
  };
}

const unsupported = ({ reason, help }: Refusal) => new UnsupportedError('WEBGPU_UNSUPPORTED', reason, help);

/**
 * The adapter: the three functions of this package as one object.
 *
 * @example
 * ```ts no-run
 * import { backend } from '@ghl/backend-webgpu';
 *
 * const support = await backend.isSupported();
 * if (support.supported) await backend.activate();
 * else console.log(support.reason, support.help);
 * ```
 */
export const backend: BackendAdapter<WebGpuOptions> = createAdapter<WebGpuOptions, GpuPlatform>({
  name: 'webgpu',
  packageName: '@ghl/backend-webgpu',
  url: import.meta.url,
  checkOptions(options) {
    checkOptions('activate', options, ['subgroups']);
    if (options.subgroups !== undefined) checkBoolean('activate.subgroups', options.subgroups);
  },
  findPlatform: findGpu,
  start,
  unsupported,
  failed: (cause) =>
    new UnsupportedError(
      'WEBGPU_FAILED',
      `The WebGPU backend could not be started: ${messageOf(cause)}`,
      'update the graphics driver and the browser or the package webgpu; else train on @ghl/backend-wasm.',
      cause,
    ),
});

/**
 * Checks whether WebGPU finds a GPU: in a browser, or in Node through the package `webgpu`. Never throws.
 *
 * @returns `{ supported: true }`, or the reason and the remedy.
 */
export function isSupported(): Promise<Support> {
  return backend.isSupported();
}

/**
 * Makes WebGPU the backend of TensorFlow.js, with kernels for training. Idempotent. It does not keep the process alive.
 *
 * The device has every limit that the GPU offers. After the loss of the device, every operation throws `DEVICE_LOST`
 * until {@link deactivate} and another `activate()`.
 *
 * @returns The GPU, driver, limits, versions, added kernels, and the missing features in `notes`.
 * @throws UnsupportedError `WEBGPU_UNSUPPORTED` with the reason of {@link isSupported}, or `WEBGPU_FAILED` if the GPU
 * provides no device.
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`, or `ALREADY_ACTIVE` if the backend runs with another value
 * of `subgroups`.
 * @throws StateError `STOCK_BACKEND_ACTIVE` if TensorFlow.js runs its own WebGPU backend, `OTHER_COPY` if another copy
 * of this package is active, `DEVICE_LOST` if the active device was lost.
 */
export function activate(options: WebGpuOptions = {}): Promise<ActiveBackend> {
  return backend.activate(options);
}

/**
 * Destroys the device, and restores the stock kernels and the previous backend. Tensors on the backend are lost. Does
 * nothing if the backend is not active.
 */
export function deactivate(): Promise<void> {
  return backend.deactivate();
}

/** The limits of memory and parallelism, where larger is better. */
function limitsOf({ limits }: GPUAdapter | GPUDevice): Record<string, number> {
  const larger: Record<string, number> = {};
  for (const name in limits) {
    const value = limits[name as keyof GPUSupportedLimits];
    if (
      typeof value === 'number' &&
      (name.startsWith('maxCompute') || /Buffer(Size|BindingSize|sPerShaderStage)$/.test(name))
    ) {
      larger[name] = value;
    }
  }
  return larger;
}

function notesOn({ features, info }: GPUAdapter, device: GPUDevice, subgroups: boolean): string[] {
  const notes: string[] = [];
  const software =
    info.isFallbackAdapter === true ||
    /swiftshader|llvmpipe|basic render/i.test(`${info.architecture} ${info.device} ${info.description}`);
  if (software) notes.push('This GPU is emulated in software: results are correct, but hundreds of times slower.');
  if (subgroups && !device.features.has('subgroups')) {
    notes.push('No subgroup operations: sums and products use workgroup memory.');
  }
  if (!features.has('timestamp-query')) notes.push('No timestamp queries: single kernels cannot be timed.');
  return notes;
}

async function versions(): Promise<Record<string, string>> {
  const core = { '@tensorflow/tfjs-core': tf.version_core };
  if (!node) return core;
  const packages: Record<string, string> = {};
  const require = process.getBuiltinModule('node:module').createRequire(import.meta.url);
  for (const name of ['@tensorflow/tfjs-backend-webgpu', 'webgpu']) {
    packages[name] = (require(`${name}/package.json`) as { version: string }).version;
  }
  return { ...core, ...packages, node: process.versions.node };
}
