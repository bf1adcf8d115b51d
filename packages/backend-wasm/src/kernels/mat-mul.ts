/** Matrix products, on our own module: either operand transposed, any number of matrices, one broadcast over the other. */
import { UPPER_PRODUCT } from '@ghl/core';
import {
  _FusedMatMul,
  type _FusedMatMulAttrs,
  BatchMatMul,
  type BatchMatMulAttrs,
  broadcast_util,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import type { Upper } from '../module.js';
import { type Finishing, finish } from './finish.js';
import { address, type KernelCall, kernel, type Stock } from './heap.js';

type Factors = { readonly a: TensorInfo; readonly b: TensorInfo };

export const matMul = kernel(BatchMatMul, (call: KernelCall<Factors, BatchMatMulAttrs>, stock) => product(call, stock));

/** With a bias, an activation and PReLU's weights, as far as they are there. */
export const fusedMatMul = kernel(_FusedMatMul, (call: KernelCall<Factors & Finishing, _FusedMatMulAttrs>, stock) => {
  const out = product(call, () => null);
  return out === null ? stock(call) : finish(call, out);
});

export const upperProduct = kernel(
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
    const [left, right, to] = [a, b, out].map((tensor) => address(backend, tensor));
    module.product(left!, right!, to!, [m, n, k], [transposeA, false], upper);
    return out;
  },
);

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
  // The stock kernel has the words for what does not fit.
  if (!matches || !float || !aligned || m * n * k === 0) return otherwise(call);

  const batches = broadcast_util.assertAndGetBroadcastShape(batchesA, batchesB);
  const count = Math.max(countA, countB);
  const out = backend.makeOutput([...batches, m, n], 'float32');
  const [fromA, fromB, to] = [a, b, out].map((tensor) => address(backend, tensor));
  for (let i = 0; i < count; i++) {
    const left = fromA! + 4 * m * k * (i % countA);
    const right = fromB! + 4 * k * n * (i % countB);
    module.product(left, right, to! + 4 * m * n * i, [m, n, k], [transposeA, transposeB]);
  }
  return out;
}
