/** What a fix of a stock kernel is. */
import type { KernelFunc } from '@tensorflow/tfjs-core';

/** A stock kernel that is wrong or slow somewhere, and what stands in for it. */
export interface StockFix {
  readonly name: string;
  /** The kernel, which may leave to the stock one what that does right. */
  standIn(stock: KernelFunc): KernelFunc;
}
