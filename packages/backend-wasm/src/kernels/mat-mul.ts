/**
 * Matrix products, by the module: either operand transposed, any number of matrices, one broadcast over the other.
 */
import { UPPER_PRODUCT } from '@ghl/core/backend';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import {
  _FusedMatMul,
  type _FusedMatMulAttrs,
  BatchMatMul,
  type BatchMatMulAttrs,
  broadcast_util,
  Cast,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import type { Upper } from '../module.js';
import { applyEpilogue, type EpilogueInputs } from './epilogue.js';
import { address, floats } from './heap.js';
import { floatKernel, type KernelCall, kernel, runKernel, type Stock } from './kernel.js';

type Factors = { readonly a: TensorInfo; readonly b: TensorInfo };

const matMul = kernel(BatchMatMul, (call: KernelCall<Factors, BatchMatMulAttrs>, stock) =>
  isExact(call) ? ofIntegers(call) : product(call, stock),
);

/** Whether float32 represents every sum of the products of these integers exactly, as in a confusion matrix. */
function isExact({ inputs: { a, b }, attrs, backend }: KernelCall<Factors, BatchMatMulAttrs>): boolean {
  if (a.dtype !== 'int32' || b.dtype !== 'int32') return false;
  const largest = (tensor: TensorInfo) =>
    (backend.typedArrayFromHeap(tensor) as Int32Array).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return largest(a) * largest(b) * a.shape.at(attrs.transposeA ? -2 : -1)! <= 2 ** 24;
}

function ofIntegers({ inputs: { a, b }, attrs, backend }: KernelCall<Factors, BatchMatMulAttrs>): TensorInfo {
  const [left, right] = [a, b].map((x) => runKernel(backend, Cast, { x }, { dtype: 'float32' }));
  const floats = runKernel(backend, BatchMatMul, { a: left, b: right }, attrs);
  const out = runKernel(backend, Cast, { x: floats }, { dtype: 'int32' });
  for (const { dataId } of [left!, right!, floats]) backend.disposeData(dataId);
  return out;
}

/** With an optional bias, activation and weights of PReLU. */
const fusedMatMul = kernel(_FusedMatMul, (call: KernelCall<Factors & EpilogueInputs, _FusedMatMulAttrs>, stock) => {
  const out = product(call, () => null);
  return out === null ? stock(call) : applyEpilogue(call, out);
});

const upperProduct = floatKernel(
  UPPER_PRODUCT,
  ({
    inputs: { a, b },
    attrs: { transposeA, upper },
    backend,
    module,
  }: KernelCall<Factors, { transposeA: boolean; upper: Upper }>) => {
    const [rows, columns] = a.shape as [number, number];
    const [m, k] = transposeA ? [columns, rows] : [rows, columns];
    const n = b.shape[1]!;
    const out = backend.makeOutput([m, n], 'float32');
    if (m * n * k === 0) return nothing(backend, out);
    const [left, right, to] = [a, b, out].map((tensor) => address(backend, tensor));
    module.product(left!, right!, to!, [m, n, k], [transposeA, false], upper);
    return out;
  },
);

/** The sum of no products. */
function nothing(backend: BackendWasm, out: TensorInfo): TensorInfo {
  floats(backend, out).fill(0);
  return out;
}

function product<Otherwise>(
  call: KernelCall<Factors, BatchMatMulAttrs>,
  otherwise: (call: Parameters<Stock>[0]) => Otherwise,
): TensorInfo | Otherwise {
  const {
    inputs: { a, b },
    attrs: { transposeA, transposeB },
    backend,
    module,
  } = call;
  const [m, k] = [a.shape.at(transposeA ? -1 : -2)!, a.shape.at(transposeA ? -2 : -1)!];
  const n = b.shape.at(transposeB ? -2 : -1)!;
  const matches = k === b.shape.at(transposeB ? -1 : -2);
  const float = a.dtype === 'float32' && b.dtype === 'float32';
  const [batchesA, batchesB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  const [countA, countB] = [util.sizeFromShape(batchesA), util.sizeFromShape(batchesB)];
  const aligned = util.arraysEqual(batchesA, batchesB) || countA === 1 || countB === 1;
  // The stock kernel throws the error for shapes that do not match.
  if (!matches || !float || !aligned) return otherwise(call);

  const batches = broadcast_util.assertAndGetBroadcastShape(batchesA, batchesB);
  const count = util.sizeFromShape(batches);
  const out = backend.makeOutput([...batches, m, n], 'float32');
  if (count * m * n * k === 0) return nothing(backend, out);
  const [fromA, fromB, to] = [a, b, out].map((tensor) => address(backend, tensor));
  for (let i = 0; i < count; i++) {
    const left = fromA! + 4 * m * k * (i % countA);
    const right = fromB! + 4 * k * n * (i % countB);
    module.product(left, right, to! + 4 * m * n * i, [m, n, k], [transposeA, transposeB]);
  }
  return out;
}

export const kernels = [matMul, fusedMatMul, upperProduct];
