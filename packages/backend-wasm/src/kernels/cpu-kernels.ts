/**
 * The kernels of TensorFlow.js's CPU backend, for inputs that no kernel here supports. They read the WebAssembly heap
 * in place; only results are copied.
 */
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { type DataType, getKernel, type TensorInfo } from '@tensorflow/tfjs-core';
import { share } from './heap.js';
import type { Stock } from './kernel.js';

/** Returns the kernel of a name; undefined if the CPU backend has none. */
export type CpuKernels = (name: string) => Stock | undefined;

/** Loads the CPU backend, which registers itself on import. */
export async function loadCpuKernels(): Promise<CpuKernels> {
  const { MathBackendCPU } = await import('@tensorflow/tfjs-backend-cpu');

  /** Without the message that the first tensor in Node prints, and without tensors that TensorFlow.js counts. */
  class Cpu extends MathBackendCPU {
    override write(values: Parameters<typeof this.move>[1], _shape: number[], dtype: DataType): object {
      const dataId = {};
      this.data.set(dataId, { values, dtype, refCount: 1 });
      return dataId;
    }

    override makeOutput(values: never, shape: number[], dtype: DataType): never {
      return this.makeTensorInfo(shape, dtype, values) as never;
    }
  }

  return (name) => {
    const kernel = getKernel(name, 'cpu');
    if (kernel == null) return undefined;
    return ({ inputs, attrs, backend }) => {
      // A new backend for each call, so that tensors that the kernel leaks are collected.
      const cpu = new Cpu();
      const inputIds = new Set<object>();
      const lend = (tensor: TensorInfo) => {
        inputIds.add(tensor.dataId);
        cpu.move(tensor.dataId, backend.typedArrayFromHeap(tensor), tensor.shape, tensor.dtype, 1);
        // Some kernels read the rank, which only a tensor has.
        return { ...tensor, rank: tensor.shape.length };
      };
      const values = Array.isArray(inputs)
        ? inputs.map(lend)
        : Object.fromEntries(
            Object.entries(inputs).flatMap(([key, tensor]) => (tensor == null ? [] : [[key, lend(tensor)]])),
          );
      const results = kernel.kernelFunc({ inputs: values as never, attrs: attrs as never, backend: cpu });
      const take = (result: TensorInfo) =>
        inputIds.has(result.dataId) ? share(backend, result) : copyToHeap(backend, result, cpu.readSync(result.dataId));
      return Array.isArray(results) ? results.map(take) : take(results);
    };
  };
}

function copyToHeap(backend: BackendWasm, { shape, dtype }: TensorInfo, values: ReturnType<BackendWasm['readSync']>) {
  const out = backend.makeOutput(shape, dtype);
  backend.typedArrayFromHeap(out).set(values as Float32Array);
  return out;
}
