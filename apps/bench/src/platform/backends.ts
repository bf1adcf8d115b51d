/** The backends that `--backend` can name. Each is loaded on request: native code, and libraries for GPUs. */
import type { ActiveBackend, BackendAdapter, Support } from '@ghl/core';
import { unknownName } from '@ghl/core/plugin';
import * as tf from '@tensorflow/tfjs-core';

/** Options that the bench gives to an adapter. */
export interface BenchBackendOptions {
  /** Number of threads, for a backend with threads. Default: the backend's default. */
  readonly threads?: number | undefined;
  /** The `numerics` of an earlier `activate()`, to get the same results. Default: the choice of the backend. */
  readonly numerics?: ActiveBackend['numerics'] | undefined;
}

/** TensorFlow.js in plain JavaScript: slow, but available everywhere and independent of the other backends. */
const cpu: BackendAdapter = {
  name: 'cpu',
  isSupported: async (): Promise<Support> => ({ supported: true }),
  async activate(): Promise<ActiveBackend> {
    const { version_cpu } = await import('@tensorflow/tfjs-backend-cpu');
    await tf.setBackend('cpu');
    return { name: 'cpu', threads: 1, versions: { '@tensorflow/tfjs-backend-cpu': version_cpu }, kernels: [] };
  },
  deactivate: async () => tf.removeBackend('cpu'),
};

interface Known {
  load(): Promise<BackendAdapter>;
  /** Whether it takes a number of threads. */
  readonly threaded: boolean;
}

/** All backends by name; the first is the default. */
const backends: Readonly<Record<string, Known>> = {
  wasm: { load: async () => (await import('@ghl/backend-wasm')).backend, threaded: true },
  webgpu: { load: async () => (await import('@ghl/backend-webgpu')).backend, threaded: false },
  'node-gpu': { load: async () => (await import('@ghl/backend-node-gpu')).backend, threaded: false },
  cpu: { load: async () => cpu, threaded: false },
};

/** Names of the backends. */
export const backendNames: readonly string[] = Object.keys(backends);

/**
 * Activates a backend.
 *
 * @throws ConfigurationError `UNKNOWN_BACKEND`; the errors of the adapter.
 */
export async function activateBackend(
  name: string,
  { threads, numerics }: BenchBackendOptions,
): Promise<ActiveBackend> {
  const { load, threaded } = known(name);
  const adapter = await load();
  return adapter.activate({ ...(threaded && threads !== undefined && { threads }), ...numerics });
}

/** Throws for a backend that is unknown or cannot run here, before anything starts. */
export async function checkBackend(name: string): Promise<void> {
  const adapter = await known(name).load();
  const support = await adapter.isSupported();
  if (!support.supported) await adapter.activate();
}

/** The report of `bench doctor` on a backend. */
export interface BackendReport {
  readonly supported: boolean;
  /** The reason and the remedy; null if it is supported. */
  readonly reason: string | null;
  readonly help: string | null;
  /** The values of `activate()`; null if it has none, or was not called. */
  readonly device: string | null;
  readonly driver: string | null;
  readonly threads: number | null;
  readonly versions: Readonly<Record<string, string>>;
  readonly notes: readonly string[];
}

/** The report of a backend that does not run. */
export function notSupported(reason: string, help: string): BackendReport {
  return { supported: false, reason, help, device: null, driver: null, threads: null, versions: {}, notes: [] };
}

/** Activates a backend to describe it, and deactivates it again. */
export async function tryBackend(name: string): Promise<BackendReport> {
  const adapter = await known(name).load();
  const support = await adapter.isSupported();
  if (!support.supported) return notSupported(support.reason, support.help);
  const { device = null, driver = null, threads = null, versions, notes = [] } = await adapter.activate();
  await adapter.deactivate();
  return { supported: true, reason: null, help: null, device, driver, threads, versions, notes };
}

function known(name: string): Known {
  const entry = Object.hasOwn(backends, name) ? backends[name] : undefined;
  if (entry === undefined) throw unknownName('backend', name, backendNames);
  return entry;
}
