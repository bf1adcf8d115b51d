/**
 * Compares every registered kernel, ours or the stock one, with that of the CPU backend: equal and mixed types,
 * positive and negative axes, empty tensors. No kernel may write beyond its tensors.
 */
import '@tensorflow/tfjs-backend-cpu';
import { GhlError } from '@ghl/core';
import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import * as tf from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { activate, deactivate } from '../index.js';
import type { StockModule } from '../stock-module.js';
import { type Call, calls, elsewhere, type NumberType, type Operand, own, some } from './every-kernel.fixture.js';

/** The size of the guard zones around each block of memory, and their content. */
const [GUARD, MARK] = [4096, 0xa5];
const guard = new Uint8Array(GUARD).fill(MARK);
const blocks = new Map<number, number>();
let wasm: BackendWasm;
let heap: () => Uint8Array;

beforeAll(async () => {
  await activate({ threads: 2 });
  wasm = tf.findBackend('wasm') as BackendWasm;
  const stock = wasm.wasm as StockModule;
  heap = () => stock.HEAPU8;
  const { _malloc: malloc, _free: free } = stock;
  stock._malloc = (bytes) => {
    const at = malloc(bytes + 2 * GUARD) + GUARD;
    blocks.set(at, bytes);
    heap().fill(MARK, at - GUARD, at + bytes + GUARD);
    return at;
  };
  stock._free = (at) => free(blocks.delete(at) ? at - GUARD : at);
});
afterAll(deactivate);

/** Whether all guard zones are intact. Restores them. */
function isIntact(): boolean {
  let intact = true;
  for (const [at, bytes] of blocks) {
    for (const from of [at - GUARD, at + bytes]) {
      if (Buffer.compare(heap().subarray(from, from + GUARD), guard) === 0) continue;
      heap().set(guard, from);
      intact = false;
    }
  }
  return intact;
}

class Cpu extends MathBackendCPU {
  override write(values: Parameters<typeof this.move>[1], _shape: number[], dtype: tf.DataType): object {
    const dataId = {};
    this.data.set(dataId, { values, dtype, refCount: 1 });
    return dataId;
  }

  override makeOutput(values: never, shape: number[], dtype: tf.DataType): never {
    return this.makeTensorInfo(shape, dtype, values) as never;
  }
}

const arrays = { float32: Float32Array, int32: Int32Array, bool: Uint8Array };
type Outcome = readonly Operand[] | Error;

function run(name: string, backendName: 'cpu' | 'wasm', { inputs, attrs }: Pick<Call, 'inputs' | 'attrs'>): Outcome {
  const backend = backendName === 'cpu' ? new Cpu() : wasm;
  const kernel = tf.getKernel(name, backendName);
  const make = ({ shape, dtype, values }: Operand): tf.TensorInfo => {
    const array = new arrays[dtype](values);
    const info =
      backend instanceof Cpu
        ? backend.makeTensorInfo([...shape], dtype, array)
        : backend.makeOutput([...shape], dtype, undefined, array);
    // Some kernels of the CPU backend read the rank.
    return { ...info, rank: shape.length } as tf.TensorInfo;
  };
  const read = ({ dataId, shape, dtype }: tf.TensorInfo): Operand => ({
    shape,
    dtype: dtype as NumberType,
    values: Array.from(backend.readSync(dataId) as ArrayLike<number>),
  });
  const list = Object.entries(inputs).map(([key, operand]) => [key, make(operand as Operand)] as const);
  const before = list.map(([, info]) => read(info));
  const infos = Array.isArray(inputs) ? list.map(([, info]) => info) : Object.fromEntries(list);
  try {
    const results = [kernel.kernelFunc({ inputs: infos as never, attrs: attrs as never, backend })].flat();
    const outs = results.map(read);
    for (const { dataId } of results) backend.disposeData(dataId);
    // The CPU backend's update of a tensor changes the tensor.
    for (const [i, [key, info]] of backendName === 'wasm' ? list.entries() : [])
      expect(read(info), `input ${key}`).toEqual(before[i]);
    return outs;
  } catch (error) {
    return error as Error;
  } finally {
    for (const [, { dataId }] of list) backend.disposeData(dataId);
  }
}

/** The kernels that may throw, by code. They must compute all other calls. */
const refusals: Readonly<Record<string, RegExp>> = {
  EMPTY_TENSOR: /Conv2[Dd]|PoolGrad$/,
  UNSUPPORTED_DTYPE: /Bincount$|^ResizeNearestNeighborGrad$|^GatherNd$/,
};

function mayRefuse(name: string, code: string, { inputs }: Call): boolean {
  const operands = Object.values(inputs) as Operand[];
  const sound = code === 'EMPTY_TENSOR' && operands.every(({ shape }) => !shape.includes(0));
  return !sound && refusals[code]?.test(name) === true;
}

const isClose = (actual: number, expected: number) =>
  Object.is(actual + 0, expected + 0) || Math.abs(actual - expected) <= 2e-6 + 1e-5 * Math.abs(expected);

function isSame(actual: Operand, { dtype, shape, values }: Operand): boolean {
  const alike = dtype === 'float32' ? isClose : (a: number, b: number) => a === b;
  const same = actual.dtype === dtype && actual.shape.join() === shape.join() && actual.values.length === values.length;
  return same && actual.values.every((value, i) => alike(value, values[i]!));
}

const show = (outcome: Outcome | string) =>
  typeof outcome === 'string' || outcome instanceof Error
    ? String(outcome)
    : outcome.map(({ dtype, shape, values }) => `${dtype}[${shape}] ${values.slice(0, 12)}`).join('; ');

/** The fault in the result of a call, if any. */
function fault(name: string, call: Call): string | undefined {
  const { reference, expected: known } = call;
  const before = wasm.numDataIds();
  const actual = run(name, 'wasm', call);
  if (!isIntact()) return 'wrote beyond its tensors';
  if (wasm.numDataIds() !== before) return `left ${wasm.numDataIds() - before} buffers behind`;
  if (actual instanceof GhlError && (known === actual.code || mayRefuse(name, actual.code, call))) return undefined;
  if (typeof known === 'string') return `${show(actual)}, not ${known}`;
  const expected = known === undefined ? run(name, 'cpu', { ...call, ...reference }) : [known];
  if (!(actual instanceof Error || expected instanceof Error) && actual.length === expected.length) {
    if (actual.every((out, i) => isSame(out, { ...expected[i]!, shape: reference?.shape ?? expected[i]!.shape })))
      return undefined;
  }
  return `${show(actual)}, not ${show(expected)}`;
}

const describeCall = ({ inputs, attrs }: Call) => {
  const list = Object.entries(inputs).map(([key, { dtype, shape }]) => `${key}: ${dtype}[${shape}]`);
  return `${list.join(', ')} ${JSON.stringify(attrs)}`;
};

it.each(Object.entries(calls))('%s', (name, list) => {
  const faults = list(name).flatMap((call) => {
    const what = fault(name, call);
    return what === undefined ? [] : [`${describeCall(call)}: ${what}`];
  });
  expect(faults.slice(0, 20)).toEqual([]);
});

it.each(Object.entries(own))('%s', (name, list) => {
  for (const one of list) {
    const { inputs, expected } = one as Call & { inputs: Record<string, Operand> };
    const actual = run(name, 'wasm', one);
    if (typeof expected === 'string') expect(actual).toMatchObject({ code: expected });
    else if (expected !== undefined) expect((actual as Operand[])[0]).toEqual(expected);
    else expect(actual).toBeInstanceOf(Array);
    for (const key of Object.keys(inputs)) {
      for (const dtype of ['int32', 'bool'] as const) {
        const other = { ...inputs, [key]: some(dtype, inputs[key]!.shape) };
        const code =
          expected === undefined ? 'UNSUPPORTED_DTYPE' : expect.stringMatching(/UNSUPPORTED_DTYPE|EMPTY_TENSOR/);
        expect(run(name, 'wasm', { ...one, inputs: other }), `${key} ${dtype}`).toMatchObject({ code });
      }
    }
    expect(isIntact()).toBe(true);
  }
});

it('every kernel is tested', () => {
  const known = [...Object.keys(calls), ...Object.keys(own), ...Object.values(elsewhere).flat()];
  expect(
    tf
      .getKernelsForBackend('wasm')
      .map(({ kernelName }) => kernelName)
      .sort(),
  ).toEqual(known.sort());
});
