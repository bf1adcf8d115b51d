import type { TensorInfo } from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { gradientInfo } from './convolution-gradient.js';

const dy = (...shape: number[]) => ({ shape, dtype: 'float32', dataId: {} }) as TensorInfo;
const windows = { strides: [2, 2] as [number, number], pad: 0 };
const shapes = [
  [1, 6, 9, 2],
  [3, 3, 2, 5],
] as [[number, number, number, number], [number, number, number, number]];

describe('gradientInfo', () => {
  it('reads the size of the output from ∂y, rounded down or up along either axis', () => {
    for (const [height, width] of [
      [2, 4],
      [3, 4],
    ] as const) {
      const info = gradientInfo('Test', dy(1, height, width, 5), shapes, windows);
      expect(info).toMatchObject({ outHeight: height, outWidth: width, inHeight: 6, strideWidth: 2 });
    }
  });

  it.each([
    [2, 2, 4, 5],
    [1, 4, 4, 5],
    [1, 2, 5, 5],
    [1, 2, 4, 6],
  ])('rejects any other size: %i, %i, %i, %i', (...shape) => {
    const wrongShape = expect.objectContaining({ code: 'WRONG_SHAPE', help: expect.any(String) });
    expect(() => gradientInfo('Test', dy(...shape), shapes, windows)).toThrow(wrongShape);
  });

  it('supports depthwise filters, whose last size is a multiplier', () => {
    const info = gradientInfo('Test', dy(1, 2, 4, 10), shapes, windows, true);
    expect(info.outChannels).toBe(10);
  });
});
