import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type DivisiveNormOptions, divisiveNorm } from './divisive-norm.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});
beforeEach(() => tf.engine().startScope());
afterEach(() => tf.engine().endScope());

const [B, H, W, C] = [2, 4, 3, 3];
const apply = (sigma: number, x: tf.Tensor) => divisiveNorm({ sigma }).apply(x) as tf.Tensor;

/** The layer in float64. */
function oracle(o: ArrayLike<number>, sigma: number): number[] {
  const at = (b: number, i: number, j: number, k: number) => o[((b * H + i) * W + j) * C + k]!;
  return Array.from({ length: B }, (_, b) => b).flatMap((b) => {
    const field: number[] = [];
    for (let i = 0; i < H; i++) {
      for (let j = 0; j < W; j++) {
        let sum = 0;
        for (let k = 0; k < C; k++) {
          let most = 0;
          for (let r = Math.max(0, i - 1); r <= Math.min(H - 1, i + 1); r++) {
            for (let s = Math.max(0, j - 1); s <= Math.min(W - 1, j + 1); s++)
              most = Math.max(most, Math.abs(at(b, r, s, k)));
          }
          sum += most;
        }
        field.push(sum / C);
      }
    }
    const strongest = Math.max(...field);
    return field.flatMap((f, p) =>
      Array.from({ length: C }, (_, k) => o[(b * H * W + p) * C + k]! / (sigma * strongest + (1 - sigma) * f + 1e-7)),
    );
  });
}

describe.each([0, 0.1, 1])('divisiveNorm with σ = %d', (sigma) => {
  it('has the value and the gradient of a float64 oracle', () => {
    const x = tf.randomUniform([B, H, W, C], 0.1, 1, 'float32', 3);
    const c = tf.randomNormal(x.shape, 0, 1, 'float32', 4);
    const [xs, cs] = [Float64Array.from(x.dataSync()), c.dataSync()];
    expect(apply(sigma, x).dataSync()).toBeAllClose(oracle(xs, sigma), { rtol: 1e-5, atol: 1e-6 });
    const loss = () => oracle(xs, sigma).reduce((sum, value, i) => sum + value * cs[i]!, 0);
    const slope = Array.from(xs, (value, i) => {
      const [up, down] = [1e-6, -1e-6].map((step) => {
        xs[i] = value + step;
        return loss();
      });
      xs[i] = value;
      return (up! - down!) / 2e-6;
    });
    const gradient = tf.grad((t: tf.Tensor) => tf.sum(tf.mul(apply(sigma, t), c)))(x);
    expect(gradient.dataSync()).toBeAllClose(slope, { rtol: 1e-3, atol: 1e-3 });
  });
});

it('gives 0 and a finite gradient for an image without activity', () => {
  const x = tf.zeros([1, 3, 3, 2]);
  expect([...apply(0.1, x).dataSync()].every((value) => value === 0)).toBe(true);
  const gradient = tf.grad((t: tf.Tensor) => tf.sum(apply(0.1, t)))(x);
  expect([...gradient.dataSync()].every(Number.isFinite)).toBe(true);
});

it.each([
  [{ sigma: 1.5 }, 'BAD_VALUE'],
  [{ sigma: -0.1 }, 'BAD_VALUE'],
  [{ sigm: 0 } as DivisiveNormOptions, 'UNKNOWN_OPTION'],
])('rejects %j', (options, code) => {
  expect(() => divisiveNorm(options)).toThrow(expect.objectContaining({ code }));
});
