/**
 * The stock backend with checks of the device. After the loss of the device, an allocation that failed, or an operation
 * that the driver refused, the next operation throws a coded error. The stock backend continues with zeros.
 */
import { type GhlError, StateError, UnsupportedError } from '@ghl/core';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import * as tf from '@tensorflow/tfjs-core';

/** A {@link WebGPUBackend} that reports errors of its device. */
export interface CheckedBackend extends WebGPUBackend {
  /** Throws the pending device error, if any. */
  check(): void;
  /** Destroys the device. To read a tensor on it throws `BACKEND_GONE` from now on. */
  end(): void;
}

type Program = Parameters<WebGPUBackend['runWebGPUProgram']>;

/** Creates the backend on a device, from the class that the stock package exports. */
export function createCheckedBackend(
  Stock: typeof WebGPUBackend,
  device: GPUDevice,
  info: GPUAdapterInfo,
): CheckedBackend {
  return new (class extends Stock implements CheckedBackend {
    /** The first error of the device. */
    #failure: GhlError | undefined;

    constructor() {
      super(device, info);
      device.lost.then(({ reason, message }) => {
        this.#failure ??= lostDeviceError(reason, message);
      });
      device.addEventListener('uncapturederror', (event) => {
        event.preventDefault(); // suppresses the log
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
          `lower the batch size to at most ${Math.floor((1000 * most) / bytes) / 10} % of the present one.`,
        );
      }
      if (data.resource == null && bytes === 0) {
        // An empty buffer cannot be bound. This one holds one vector, which no program reads.
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
        // A pending read may fail before the promise of the device resolves.
        await Promise.race([device.lost, new Promise((resolve) => setTimeout(resolve, 100))]);
        this.check();
        throw cause;
      }
      // The values are not valid after an error.
      this.check();
      const read = tf.util.convertBackendValuesAndArrayBuffer(bytes, dtype);
      // The stock backend does not check, and fails if the tensor was disposed of meanwhile.
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
        'read tensors before deactivate(), or create them again.',
      );
      this.disposeData = () => true; // tensors outlive their backend
      this.dispose();
      device.destroy();
    }
  })();
}

function lostDeviceError(reason: string, message: string): GhlError {
  return new StateError(
    'DEVICE_LOST',
    `The GPU was lost: ${message.trim() || reason}.`,
    'its driver was reset, or the browser revoked it. Call deactivate() and activate() for a new one, build the model ' +
      'again, and resume from the last checkpoint, which is intact.',
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
    'update the driver and the browser or the package webgpu; if it persists, report the message in `cause`.',
    new Error(message),
  );
}

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(bytes < 2 ** 24 ? 1 : 0)} MiB`;
