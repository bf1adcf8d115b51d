/** The codes of the errors that only this package throws. */
import type { ConfigurationError, DataError, StateError, UnsupportedError } from '@ghl/core';

declare module '@ghl/core' {
  interface ErrorCodes {
    /**
     * `activate()` of the WebAssembly backend got a number of threads that it cannot start.
     *
     * @remarks Use a whole number within the range that the message names, or omit the option.
     */
    readonly BAD_THREADS: ConfigurationError;
    /**
     * `activate()` of the WebAssembly backend got a kernel variant that does not run on this machine.
     *
     * @remarks Omit the option, or use one of the variants that the message names.
     */
    readonly BAD_VARIANT: ConfigurationError;
    /**
     * `gatherND`, `slice` or `cropAndResize` got an index outside its tensor.
     *
     * @remarks Use indices from 0 to the size of the axis less 1.
     */
    readonly INDEX_OUT_OF_RANGE: DataError;
    /**
     * A kernel got a tensor of a dtype that it does not compute with.
     *
     * @remarks Cast it to the dtype that the help names, for example `tf.cast(x, 'float32')`.
     */
    readonly UNSUPPORTED_DTYPE: UnsupportedError;
    /**
     * The WebAssembly backend did not start, a `.wasm` file was not where it was looked for, or no kernel variant
     * computes correctly here.
     *
     * @remarks Do what the message says: copy or serve the `.wasm` files, and set `wasmPaths`.
     */
    readonly WASM_FAILED: UnsupportedError;
    /**
     * The engine lacks a feature of WebAssembly that the backend needs, or a content security policy forbids
     * WebAssembly.
     *
     * @remarks Update the browser or Node, or allow `'wasm-unsafe-eval'` as a `script-src`.
     */
    readonly WASM_UNSUPPORTED: UnsupportedError;
    /**
     * A thread of the WebAssembly backend ended.
     *
     * @remarks Call `deactivate()`, then `activate()`, and resume from the last checkpoint.
     */
    readonly WORKER_LOST: StateError;
  }
}
