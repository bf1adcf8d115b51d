/**
 * Tensors on the WebAssembly heap: their addresses, and typed views on memory.
 *
 * A view becomes invalid when the heap grows, which any allocation may cause: create views after the last `makeOutput`.
 */
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import type { TensorInfo } from '@tensorflow/tfjs-core';

/** The address of the values of a tensor. */
export function address(backend: BackendWasm, tensor: TensorInfo): number {
  return backend.dataIdMap.get(tensor.dataId).memoryOffset;
}

/** A new tensor with the same values, by reference: no kernel writes to existing values. */
export function share(backend: BackendWasm, { dataId, shape, dtype }: TensorInfo): TensorInfo {
  backend.incRef(dataId);
  return { dataId, shape, dtype };
}

/** The values of a float32 tensor, in place. */
export function floats(backend: BackendWasm, tensor: TensorInfo): Float32Array {
  return backend.typedArrayFromHeap(tensor) as Float32Array;
}
