/** The codes of the errors that only this package throws. */
import type { DataError, UnsupportedError } from '@ghl/core';

declare module '@ghl/core' {
  interface ErrorCodes {
    /**
     * The native TensorFlow library was installed but does not load.
     *
     * @remarks Remove the folder that the message names and install again, or train on `@ghl/backend-wasm`.
     */
    readonly BINDING_UNUSABLE: UnsupportedError;
    /**
     * A downloaded Python wheel cannot be unpacked.
     *
     * @remarks Free disk space, or set `GHL_CACHE` to another folder, and run the command again.
     */
    readonly BROKEN_WHEEL: DataError;
    /**
     * The C++ compiler did not build the native binding.
     *
     * @remarks Use a compiler that supports C++17; the environment variable `CXX` selects it.
     */
    readonly BUILD_FAILED: UnsupportedError;
    /**
     * Native TensorFlow is installed but does not start.
     *
     * @remarks Install it again: `npx @ghl/backend-node-gpu install`.
     */
    readonly NODE_GPU_FAILED: UnsupportedError;
    /**
     * Native TensorFlow cannot run here.
     *
     * @remarks Do what the message says, or train on `@ghl/backend-wasm`.
     */
    readonly NODE_GPU_UNSUPPORTED: UnsupportedError;
    /**
     * The native libraries do not exist for this system.
     *
     * @remarks Use Linux on x64 with glibc 2.17 or later, or train on `@ghl/backend-wasm`.
     */
    readonly PLATFORM_UNSUPPORTED: UnsupportedError;
    /**
     * The machine lacks a program that the installation needs.
     *
     * @remarks Install what the message lists.
     */
    readonly REQUIREMENTS_MISSING: UnsupportedError;
  }
}
