/** The codes of the errors that only this package throws. */
import type { StateError, UnsupportedError } from '@ghl/core';

declare module '@ghl/core' {
  interface ErrorCodes {
    /**
     * The GPU was lost: its driver was reset, or the browser took it away.
     *
     * @remarks Call `deactivate()` and `activate()`, build the model again, and resume from the last checkpoint.
     */
    readonly DEVICE_LOST: StateError;
    /**
     * The GPU refused an operation.
     *
     * @remarks Update the driver, the browser or the package `webgpu`; else report the message in `cause`.
     */
    readonly GPU_ERROR: UnsupportedError;
    /**
     * A tensor on the GPU was read synchronously, which this platform does not support.
     *
     * @remarks Use `await tensor.data()` or `await tensor.array()`.
     */
    readonly NO_SYNC_READ: UnsupportedError;
    /**
     * TensorFlow.js already runs its own WebGPU backend.
     *
     * @remarks Call `activate()` before any other use of TensorFlow.js, or `tf.removeBackend('webgpu')` first.
     */
    readonly STOCK_BACKEND_ACTIVE: StateError;
    /**
     * A tensor exceeds what the GPU holds in one piece.
     *
     * @remarks Lower the batch size as the message says.
     */
    readonly TENSOR_TOO_LARGE: UnsupportedError;
    /**
     * The WebGPU backend did not start.
     *
     * @remarks Update the graphics driver, the browser or the package `webgpu`; else train on `@ghl/backend-wasm`.
     */
    readonly WEBGPU_FAILED: UnsupportedError;
    /**
     * WebGPU is not available here.
     *
     * @remarks Do what the message says, or train on `@ghl/backend-wasm`.
     */
    readonly WEBGPU_UNSUPPORTED: UnsupportedError;
  }
}
