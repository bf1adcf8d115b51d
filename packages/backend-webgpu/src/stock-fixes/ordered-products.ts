/**
 * Stock products that give other bits each time: where the inner dimension is long and the result small, as in a classifier,
 * parts of a sum are added atomically, in the order in which they happen to be ready. Other stock programs have an order.
 */
import { env, type KernelFunc, type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { StockFix } from './stock-fix.js';

const flag = 'WEBGPU_MATMUL_PROGRAM_TYPE';
/** Numbers of the flag: as the stock backend likes, one workgroup for each number of the result, and small tiles. */
const [choosesItself, oneEach, smallTiles] = [-1, 0, 2];
/** The inner dimension from which the stock backend adds atomically. */
const long = 2000;

function ordered(name: string): StockFix {
  return {
    name,
    standIn: (stock: KernelFunc) => (call) => {
      const { a, b } = call.inputs as unknown as { a: TensorInfo; b: TensorInfo };
      const { transposeA, transposeB } = call.attrs as unknown as { transposeA: boolean; transposeB: boolean };
      const inner = a.shape.at(transposeA ? -2 : -1) as number;
      if (inner < long || env().getNumber(flag) !== choosesItself) return stock(call);
      const [rows, columns] = [a.shape.at(transposeA ? -1 : -2), b.shape.at(transposeB ? -2 : -1)] as [number, number];
      const batch = Math.max(...[a, b].map(({ shape }) => util.sizeFromShape(shape.slice(0, -2))));
      // Above this there are tiles enough, and the stock choice has an order.
      if (batch > 1 || Math.ceil(rows / 32) * Math.ceil(columns / 32) > 32) return stock(call);
      env().set(flag, rows * columns <= 2048 ? oneEach : smallTiles);
      try {
        return stock(call);
      } finally {
        env().set(flag, choosesItself);
      }
    },
  };
}

/** The kernels of this kind. */
export const orderedProducts: readonly StockFix[] = ['BatchMatMul', '_FusedMatMul'].map(ordered);
