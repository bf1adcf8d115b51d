/** Dot products of columns, which several rules need. */
import * as tf from '@tensorflow/tfjs-core';
import { hasKernel, OVERLAP } from './backend/kernels.js';

/** Σₚ a_pk · b_pk of two [P, K]: [K], in one pass over both if the backend has a kernel for it. */
export function columnDots(a: tf.Tensor2D, b: tf.Tensor2D): tf.Tensor1D {
  return (hasKernel(OVERLAP) ? tf.engine().runKernel(OVERLAP, { a, b }) : tf.sum(tf.mul(a, b), 0)) as tf.Tensor1D;
}
