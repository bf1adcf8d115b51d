/**
 * A backend adapter tells whether a TensorFlow.js backend can train on this machine, and activates it. The user calls
 * it; an import registers nothing.
 */
/** Whether a backend can run here; if not, the reason and the remedy. */
export type Support =
  | {
      /** `activate()` can be called. */
      readonly supported: true;
    }
  | Refusal;

/** The reason why a backend cannot run here. */
export interface Refusal {
  /** `activate()` would throw. */
  readonly supported: false;
  /** The missing or outdated part, as a sentence; becomes the error's summary. */
  readonly reason: string;
  /** The remedy; becomes the error's help. */
  readonly help: string;
}

/** The active backend, as `activate()` returns it. Fields that a backend does not know are absent. */
export interface ActiveBackend {
  /** The name that `tf.getBackend()` returns. */
  readonly name: string;
  /** The processor it computes on, as the device names itself. */
  readonly device?: string;
  /** Driver or runtime, with its version. */
  readonly driver?: string;
  /** Threads that compute. */
  readonly threads?: number;
  /** Limits of the device's memory and parallelism, by the names that its own interface has for them. */
  readonly limits?: Readonly<Record<string, number>>;
  /**
   * Choices that results depend on within rounding. Handed back to `activate()` as options, they give the same bits
   * again on the same machine.
   */
  readonly numerics?: Readonly<Record<string, string | boolean>>;
  /** Versions of its packages, by name. */
  readonly versions: Readonly<Record<string, string>>;
  /** Kernels that the adapter registered or replaced. */
  readonly kernels: readonly string[];
  /** Features that are missing, and the cost of each, as text. */
  readonly notes?: readonly string[];
}

/** A TensorFlow.js backend that can train. */
export interface BackendAdapter<Options extends object = object> {
  /** The name under which TensorFlow.js knows the backend, as `tf.setBackend()` takes it. */
  readonly name: string;
  /** Tells whether this backend runs here. Never throws. */
  isSupported(): Promise<Support>;
  /**
   * Makes this backend the current backend of TensorFlow.js. Idempotent.
   *
   * @throws UnsupportedError with the reason and help of `isSupported()` if it cannot run.
   */
  activate(options?: Options): Promise<ActiveBackend>;
  /** Releases the resources that `activate()` took. Tensors on the backend are lost. */
  deactivate(): Promise<void>;
}
