/**
 * Matrix products with transposed operands, which the gradient of every dense layer takes. The stock kernel computes
 * them in a scalar loop and hands plain products alone to XNNPACK, so they are made plain:
 *
 *     aᵀ·b = (aᵀ) · b,      a·bᵀ = a · (bᵀ)   or   (b · aᵀ)ᵀ,      aᵀ·bᵀ = (b · a)ᵀ
 */
import { BatchMatMul, type BatchMatMulAttrs, type TensorInfo } from '@tensorflow/tfjs-core';
import { type KernelCall, kernel, release, transpose } from './heap.js';

export const matMul = kernel(
  BatchMatMul,
  (call: KernelCall<{ a: TensorInfo; b: TensorInfo }, BatchMatMulAttrs>, stock) => {
    const {
      inputs: { a, b },
      attrs: { transposeA, transposeB },
      backend,
    } = call;
    const batches = [...a.shape.slice(0, -2), ...b.shape.slice(0, -2)];
    const inner = a.shape.at(transposeA ? -2 : -1)!;
    const matches = inner === b.shape.at(transposeB ? -1 : -2);
    if (!(transposeA || transposeB) || batches.some((size) => size !== 1) || !matches || inner === 0)
      return stock(call);

    const turn = (x: TensorInfo) => {
      const rank = x.shape.length;
      return transpose(backend, x, [...Array(rank - 2).keys(), rank - 1, rank - 2]);
    };
    const plain = (left: TensorInfo, right: TensorInfo) =>
      stock({ inputs: { a: left, b: right }, attrs: { transposeA: false, transposeB: false }, backend });

    if (transposeA && !transposeB) {
      const left = turn(a);
      const out = plain(left, b);
      release(backend, left);
      return out;
    }
    if (!transposeA) {
      // XNNPACK packs its right operand, so that each way moves that one twice, and the second way the result once.
      const [rows, columns] = [a.shape.at(-2)!, b.shape.at(-2)!];
      if (2 * columns * inner <= 2 * rows * inner + rows * columns) {
        const right = turn(b);
        const out = plain(a, right);
        release(backend, right);
        return out;
      }
    }
    const right = transposeA ? a : turn(a);
    const turned = plain(b, right);
    const out = turn(turned);
    release(backend, turned, ...(transposeA ? [] : [right]));
    return out;
  },
);
