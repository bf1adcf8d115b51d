/** Memory without TensorFlow.js for tests of the module, and buffers in it that show what leaves them. */
import { generator } from '@ghl/conformance/testing';
import { expect } from 'vitest';
import type { StockModule } from './stock-module.js';

/**
 * What the module needs of tfjs's: memory, and functions that hand it out and, so that a buffer is found, round it
 * NaNs.
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

/** What {@link bareStock} makes. */
export type Bare = ReturnType<typeof bareStock>;
const GUARD = 16;

/** Buffers between guards: of NaN, so that what reads beyond a buffer becomes NaN; what writes beyond it is found. */
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
