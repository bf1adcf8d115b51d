/** The backends that `--backend` can name. */
import { backend as wasm } from '@ghl/backend-wasm';
import { type ActiveBackend, type BackendAdapter, type Support, unknownName } from '@ghl/core';
import * as tf from '@tensorflow/tfjs-core';

/** Options that the bench gives to an adapter. */
export interface BenchBackendOptions {
  /** Threads that compute; backends without threads do not get it. Default: the backend's own. */
  readonly threads?: number | undefined;
  /** What an earlier `activate()` said under `numerics`, to be had again. Default: the backend's own choice. */
  readonly numerics?: ActiveBackend['numerics'] | undefined;
}

/** TensorFlow.js in plain JavaScript: slow, everywhere, and a second opinion. */
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

/** All backends by name; the first is the default. */
const adapters: Readonly<Record<string, { readonly adapter: BackendAdapter; readonly threaded: boolean }>> = {
  wasm: { adapter: wasm, threaded: true },
  cpu: { adapter: cpu, threaded: false },
};

/** Names of the backends. */
export const backendNames: readonly string[] = Object.keys(adapters);

/**
 * Turns a backend on.
 *
 * @throws ConfigurationError `UNKNOWN_BACKEND`; what the adapter throws.
 */
export async function activateBackend(
  name: string,
  { threads, numerics }: BenchBackendOptions,
): Promise<ActiveBackend> {
  const { adapter, threaded } = known(name);
  return adapter.activate({ ...(threaded && threads !== undefined && { threads }), ...numerics });
}

/** Refuses a backend that is unknown, or that cannot run here, before anything is started. */
export async function checkBackend(name: string): Promise<void> {
  const { adapter } = known(name);
  const support = await adapter.isSupported();
  if (!support.supported) await adapter.activate();
}

function known(name: string) {
  const found = Object.hasOwn(adapters, name) ? adapters[name] : undefined;
  if (found === undefined) throw unknownName('backend', name, backendNames);
  return found;
}
