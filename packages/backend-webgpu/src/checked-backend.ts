/**
 * The stock backend, on a device that is watched: a device that is lost, memory that is out and a kernel that the
 * driver refuses are coded errors at the next operation, where the stock backend computes on with zeros.
 */
import { type GhlError, StateError, UnsupportedError } from '@ghl/core';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import * as tf from '@tensorflow/tfjs-core';

/** A {@link WebGPUBackend} that can be let go of. */
export interface CheckedBackend extends WebGPUBackend {
  /** Throws what befell the device, if anything did. */
  check(): void;
  /** Destroys the device. What is still on it is `BACKEND_GONE` from now on. */
  end(): void;
}

type Program = Parameters<WebGPUBackend['runWebGPUProgram']>;

/** The backend on a device, of the class that the stock package exports. */
export function createCheckedBackend(
  Stock: typeof WebGPUBackend,
  device: GPUDevice,
  info: GPUAdapterInfo,
): CheckedBackend {
  return new (class extends Stock implements CheckedBackend {
    /** Why nothing can be computed any more; the first reason stands. */
    #failure: GhlError | undefined;

    constructor() {
      super(device, info);
      device.lost.then(({ reason, message }) => {
        this.#failure ??= lostDeviceError(reason, message);
      });
      device.addEventListener('uncapturederror', (event) => {
        event.preventDefault(); // else it is printed
        this.#failure ??= deviceError(event.error, this.memory().numBytesInGPU);
      });
    }

    check(): void {
      if (this.#failure !== undefined) throw this.#failure;
    }

    override write(...[values, shape, dtype]: Parameters<WebGPUBackend['write']>): object {
      this.check();
      return super.write(values, shape, dtype);
    }

    override uploadToGPU(dataId: object): void {
      this.check();
      const data = this.tensorMap.get(dataId);
      const { shape, dtype } = data;
      const most = Math.min(device.limits.maxBufferSize, device.limits.maxStorageBufferBindingSize);
      const bytes = 4 * tf.util.sizeFromShape(shape);
      if (data.resource == null && bytes > most) {
        throw new UnsupportedError(
          'TENSOR_TOO_LARGE',
          `A tensor [${shape.join(', ')}] takes ${bytes.toLocaleString('en')} bytes, and this GPU holds at most ` +
            `${most.toLocaleString('en')} in one piece.`,
          `lower the batch size to at most ${Math.floor((1000 * most) / bytes) / 10} % of what it is.`,
        );
      }
      if (data.resource == null && bytes === 0) {
        // No buffer can be bound that holds nothing. This one holds a vector, which no program has a reason to read.
        const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
        data.resource = this.bufferManager.acquireBuffer(16, STORAGE | COPY_SRC | COPY_DST);
        data.values ??= tf.util.getTypedArrayFromDType(dtype as 'float32', 0);
        return;
      }
      super.uploadToGPU(dataId);
    }

    override runWebGPUProgram(...[program, inputs, dtype, uniforms, output]: Program): tf.TensorInfo {
      this.check();
      return super.runWebGPUProgram(program, inputs, dtype, uniforms, output);
    }

    override async read(dataId: object): Promise<tf.BackendValues> {
      this.check();
      const { values, dtype, resource } = this.tensorMap.get(dataId);
      if (values != null || dtype === 'complex64') return super.read(dataId);
      let bytes: ArrayBuffer;
      try {
        bytes = await this.getBufferData(resource as GPUBuffer);
      } catch (cause) {
        // A read that was under way is told before the device's own promise is.
        await Promise.race([device.lost, new Promise((resolve) => setTimeout(resolve, 100))]);
        this.check();
        throw cause;
      }
      // What went wrong before the values were there may have made them.
      this.check();
      const read = tf.util.convertBackendValuesAndArrayBuffer(bytes, dtype);
      // The stock backend keeps them without asking, and fails for a tensor that was disposed of meanwhile.
      if (this.tensorMap.has(dataId)) this.tensorMap.get(dataId).values = read;
      return read;
    }

    override readSync(dataId: object): tf.BackendValues {
      this.check();
      const { values, dtype } = this.tensorMap.get(dataId);
      if (values == null && dtype !== 'string' && typeof OffscreenCanvas === 'undefined') {
        throw new UnsupportedError(
          'NO_SYNC_READ',
          'A GPU cannot be read synchronously here.',
          'use await tensor.data() or await tensor.array() in place of dataSync() and arraySync().',
        );
      }
      return super.readSync(dataId);
    }

    end(): void {
      this.#failure = new StateError(
        'BACKEND_GONE',
        'The tensor was on the WebGPU backend, which was deactivated.',
        'read tensors before deactivate(), or make them anew.',
      );
      this.disposeData = () => true; // tensors outlive their backend, and are let go of later
      this.dispose();
      device.destroy();
    }
  })();
}

function lostDeviceError(reason: string, message: string): GhlError {
  return new StateError(
    'DEVICE_LOST',
    `The GPU was lost: ${message.trim() || reason}.`,
    'its driver was reset, or the browser took it away. Call deactivate() and activate() for a new one, make the model ' +
      'anew, and resume from the last checkpoint, which stands.',
  );
}

function deviceError({ constructor: { name }, message }: GPUError, bytes: number): GhlError {
  if (name === 'GPUOutOfMemoryError') {
    return new UnsupportedError(
      'OUT_OF_MEMORY',
      `The GPU's memory is full: tensors hold ${mebibytes(bytes)}.`,
      'lower the batch size, and dispose of tensors; deactivate() and activate() first.',
      new Error(message),
    );
  }
  return new UnsupportedError(
    'GPU_ERROR',
    `The GPU refused an operation: ${message.split('\n')[0]}`,
    'update the driver and the browser or the package webgpu; if it stays, report it with the message in `cause`.',
    new Error(message),
  );
}

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(bytes < 2 ** 24 ? 1 : 0)} MiB`;
