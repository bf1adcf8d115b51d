/** Inputs whose principal components are known, and weights from which rules find them. */
import type { Matrix } from '@ghl/conformance';
import { column, dot } from '@ghl/conformance/testing';

/** The principal components. */
export const components = [
  [1, 1, 1, 1],
  [1, -1, 1, -1],
  [1, 1, -1, -1],
  [1, -1, -1, 1],
].map((row) => row.map((each) => each / 2));

/** Inputs of mean 0 and covariance QΛQᵀ, Λ = (4, 2, 1, ½): each component twice, once in either direction. */
export const input = [1, -1].flatMap((sign) =>
  [4, 2, 1, 0.5].map((variance, i) => (components[i] as number[]).map((each) => sign * 2 * Math.sqrt(variance) * each)),
);

/** Three units before the first step. */
export const weights = [
  [0.3, -0.2, 0.4],
  [-0.8, -0.4, 0.1],
  [0.5, 0.1, -0.6],
  [0.4, -0.7, 0.2],
];

/** WᵀW. */
export const gram = (matrix: Matrix) =>
  [0, 1, 2].map((j) => [0, 1, 2].map((k) => dot(column(matrix, j), column(matrix, k))));

/** WᵀW of orthonormal weights. */
export const identity = [
  [1, 0, 0],
  [0, 1, 0],
  [0, 0, 1],
];
