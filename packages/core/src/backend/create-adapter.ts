/**
 * The life cycle that all adapters share. `activate()` and `deactivate()` run one at a time. `activate()` is
 * idempotent. A failed start and `deactivate()` reverse every step of the start, and restore the previous backend.
 */
import * as tf from '@tensorflow/tfjs-core';
import { GhlError, StateError, type UnsupportedError } from '../errors.js';
import type { ActiveBackend, BackendAdapter, Refusal } from './adapter.js';
import { mutex } from './mutex.js';

/** The reversals of the steps that a start has taken. */
export interface Teardown {
  /** Adds the reversal of a step. Reversals run from last to first. */
  add(reverse: () => unknown): void;
  /** Runs the reversals and restores the previous backend, for a start that tries again in another way. */
  run(): Promise<void>;
}

/** A backend that has started. */
export interface Started<Options extends object> {
  /** The result of `activate()`, without the name. */
  readonly result: Omit<ActiveBackend, 'name'>;
  /** Throws unless the backend still computes and serves a further `activate()` with these options. */
  check?(options: Options): void;
}

/** The parts of an adapter that differ between backends. */
export interface AdapterParts<Options extends object, Platform extends object> {
  /** The name under which TensorFlow.js knows the backend. */
  readonly name: string;
  /** The name of the adapter's package. */
  readonly packageName: string;
  /** Where the adapter was loaded from: it tells copies of the package apart. */
  readonly url: string;
  /** Throws unless the options are valid. */
  checkOptions(options: Options): void;
  /** Finds the software and hardware that the backend runs on. Never throws. */
  findPlatform(): Promise<Platform | Refusal>;
  /**
   * Makes this backend the current one, with its kernels, and adds the reversal of each step to `teardown`. The
   * registration of the backend needs no reversal: the life cycle removes a backend that `start()` registered, and
   * registers the factory again that TensorFlow.js had before.
   */
  start(platform: Platform, options: Options, teardown: Teardown): Promise<Started<Options>>;
  /** The error if the backend cannot run here. */
  unsupported(refusal: Refusal): UnsupportedError;
  /** The error if `start()` throws any error that is not a {@link GhlError}. */
  failed(cause: unknown, platform: Platform): UnsupportedError;
}

/**
 * Creates an adapter from the parts that are special to its backend.
 *
 * @returns An adapter. Its `activate()` throws `OTHER_COPY` while another copy of its package is active.
 */
export function createAdapter<Options extends object, Platform extends object>(
  parts: AdapterParts<Options, Platform>,
): BackendAdapter<Options> {
  const { name, packageName, url } = parts;
  let active: Active<Options> | undefined;

  async function start(options: Options): Promise<Active<Options>> {
    const platform = await parts.findPlatform();
    if (isRefusal(platform)) throw parts.unsupported(platform);
    const activation = new Activation(name);
    try {
      const { result, check } = await parts.start(platform, options, activation);
      activation.complete();
      return { activation, result: { name, ...result }, check };
    } catch (cause) {
      await activation.run();
      throw cause instanceof GhlError ? cause : parts.failed(cause, platform);
    }
  }

  async function stop(): Promise<void> {
    const stopped = active;
    if (stopped === undefined) return;
    active = undefined;
    delete copiesOf(packageName).active;
    await stopped.activation.run();
  }

  return {
    name,
    async isSupported() {
      const platform = await parts.findPlatform();
      return isRefusal(platform) ? platform : { supported: true };
    },
    async activate(options = {} as Options) {
      parts.checkOptions(options);
      const copies = copiesOf(packageName);
      return copies.serialize(async () => {
        if (copies.active !== undefined && copies.active !== parts) {
          throw new StateError(
            'OTHER_COPY',
            `Another copy of ${packageName} is active: ${copies.active.url}, while this one is ${url}.`,
            `call deactivate() of that copy first, or install one: npm ls ${packageName} shows all.`,
          );
        }
        // tf.removeBackend() may have removed it.
        if (active?.activation.isRegistered === false) await stop();
        active ??= await start(options);
        copies.active = parts;
        active.check?.(options);
        if (tf.getBackend() !== name) await tf.setBackend(name);
        return active.result;
      });
    },
    async deactivate() {
      await copiesOf(packageName).serialize(stop);
    },
  };
}

/** A backend that is active. */
interface Active<Options extends object> {
  readonly result: ActiveBackend;
  readonly check: Started<Options>['check'];
  readonly activation: Activation;
}

/** The text of an error, or of any other value that was thrown. */
export function messageOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : String(error);
}

function isRefusal(platform: object): platform is Refusal {
  return 'supported' in platform && platform.supported === false;
}

/** State that all copies of a package in a process share, since TensorFlow.js has one backend of each name. */
interface Copies {
  readonly serialize: ReturnType<typeof mutex>;
  /** The copy that is active. */
  active?: { readonly url: string };
}

/** The state is on the engine of TensorFlow.js, which its own copies share too. */
function copiesOf(packageName: string): Copies {
  const engine = tf.engine() as unknown as Record<symbol, Copies | undefined>;
  const key = Symbol.for(packageName);
  engine[key] ??= { serialize: mutex() };
  return engine[key];
}

/** The changes of a start, and their reversals. */
class Activation implements Teardown {
  readonly #name: string;
  readonly #previous = tf.engine().backendName ?? undefined;
  readonly #reversals: (() => unknown)[] = [];
  #stock: Registration;
  #own: Registration;

  constructor(name: string) {
    this.#name = name;
    this.#stock = registrationOf(name);
  }

  add(reverse: () => unknown): void {
    this.#reversals.push(reverse);
  }

  /** Remembers the backend that the start has registered. */
  complete(): void {
    this.#own = registrationOf(this.#name);
  }

  /** Whether TensorFlow.js still has that backend. */
  get isRegistered(): boolean {
    return registrationOf(this.#name) === this.#own;
  }

  async run(): Promise<void> {
    const name = this.#name;
    const isReplaced = this.#own !== undefined && registrationOf(name) !== undefined && !this.isRegistered;
    // None waits for another: a program that does not await deactivate() sees all of it at once.
    const endings = this.#reversals
      .splice(0)
      .reverse()
      .map(async (reverse) => reverse());
    if (!isReplaced) {
      this.#restoreRegistration();
      const previous = this.#previous;
      if (previous !== undefined && tf.getBackend() !== previous && tf.findBackendFactory(previous) != null) {
        await tf.setBackend(previous);
      }
    }
    await Promise.all(endings);
  }

  #restoreRegistration(): void {
    const [name, stock, current] = [this.#name, this.#stock, registrationOf(this.#name)];
    if (current === stock) return;
    if (current !== undefined) tf.removeBackend(name);
    if (stock === undefined) return;
    tf.registerBackend(name, stock.factory, stock.priority);
    this.#stock = registrationOf(name);
  }
}

type Registration = ReturnType<typeof tf.engine>['registryFactory'][string] | undefined;

function registrationOf(name: string): Registration {
  return tf.engine().registryFactory[name];
}
