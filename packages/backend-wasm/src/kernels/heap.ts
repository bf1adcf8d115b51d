/**
 * Tensors on the WebAssembly heap: their addresses, and typed views on memory.
 *
 * A view dies when the heap grows, and any allocation may grow it: take views after the last `makeOutput`.
 */
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import type { TensorInfo } from '@tensorflow/tfjs-core';

/** Where the values of a tensor lie in memory, in bytes. */
export function address(backend: BackendWasm, tensor: TensorInfo): number {
  return backend.dataIdMap.get(tensor.dataId).memoryOffset;
}

/** The same values as a tensor of its own, by reference: nothing ever writes to values that exist. */
export function share(backend: BackendWasm, { dataId, shape, dtype }: TensorInfo): TensorInfo {
  backend.incRef(dataId);
  return { dataId, shape, dtype };
}

/** The values of a float32 tensor, in place. */
export function floats(backend: BackendWasm, tensor: TensorInfo): Float32Array {
  return backend.typedArrayFromHeap(tensor) as Float32Array;
}
