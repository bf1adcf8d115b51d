/** Memory without TensorFlow.js for tests of the module, and buffers with guard zones. */
import { generator } from '@ghl/conformance/testing';
import { expect } from 'vitest';
import type { StockModule } from './stock-module.js';

/**
 * The parts of the stock module that the kernels need: memory, and functions that allocate it between guard zones of
 * NaN.
 */
export function bareStock(shared: boolean) {
  const wasmMemory = new WebAssembly.Memory({ initial: 512, maximum: 2048, shared });
  let top = 1024;
  const _malloc = (bytes: number) => {
    const address = top;
    top = Math.ceil((top + bytes) / 16) * 16;
    return top > wasmMemory.buffer.byteLength ? 0 : address;
  };
  const stock = { wasmMemory, asm: {}, _malloc, _free: () => {} } as unknown as StockModule;
  return { stock, memory: wasmMemory, mark: () => top, release: (mark: number) => (top = mark) };
}

/** The result of {@link bareStock}. */
export type Bare = ReturnType<typeof bareStock>;
const GUARD = 16;

/** Buffers between guard zones of NaN: a read beyond a buffer gives NaN, and a write beyond it is detected. */
export function buffers({ stock, memory }: Bare, fill = Number.NaN) {
  const guards: Float32Array[] = [];
  const inputs: [Float32Array, Float32Array][] = [];
  const allocate = (size: number) => {
    const start = stock._malloc(4 * (size + 2 * GUARD));
    expect(start).toBeGreaterThan(0);
    const all = new Float32Array(memory.buffer, start, size + 2 * GUARD).fill(fill);
    guards.push(all.subarray(0, GUARD), all.subarray(GUARD + size));
    return all.subarray(GUARD, GUARD + size);
  };
  const draw = generator(1);
  return {
    output: allocate,
    input(size: number) {
      const values = allocate(size);
      for (let i = 0; i < size; i++) values[i] = draw();
      inputs.push([values, values.slice()]);
      return values;
    },
    check() {
      for (const guard of guards) expect(guard.every((value) => Object.is(value, fill))).toBe(true);
      for (const [now, before] of inputs) expect(now.every((value, i) => value === before[i])).toBe(true);
    },
  };
}
