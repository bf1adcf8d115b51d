/** The geometry of the gradients of a convolution, for backends with their own gradient kernels. */
import { backend_util, type TensorInfo } from '@tensorflow/tfjs-core';
import { checkShape } from '../checks.js';

type Shape4D = [number, number, number, number];

/** The attributes of a gradient that describe the windows over the image. */
export interface Windows {
  /** Steps of the window, [height, width], or one number for both. */
  readonly strides: [number, number] | number;
  /** Distances between the taps of the window; 1 by default. */
  readonly dilations?: [number, number] | number;
  /** Padding of the image, as TensorFlow.js names it, or its amounts per edge. */
  readonly pad: 'valid' | 'same' | number | backend_util.ExplicitPadding;
}

/**
 * The geometry of a convolution, channels last, whose gradient at the output is ∂y. TensorFlow.js does not record how
 * the size of the output was rounded, so the shape of ∂y decides.
 *
 * @param kernel The calling kernel, for the message.
 * @param shapes Of the image, [batch, height, width, C], and of the filter, [height, width, C, K], or, depthwise,
 * [height, width, C, M].
 * @throws DataError with code `WRONG_SHAPE` if no rounding gives the size of ∂y: a kernel would read beyond its end.
 */
export function gradientInfo(
  kernel: string,
  dy: TensorInfo,
  [image, filter]: readonly [image: Shape4D, filter: Shape4D],
  { strides, dilations = 1, pad }: Windows,
  depthwise = false,
): backend_util.Conv2DInfo {
  const rounded = (mode: 'floor' | 'ceil') =>
    backend_util.computeConv2DInfo(image, filter, strides, dilations, pad, mode, depthwise);
  const [down, up] = [rounded('floor'), rounded('ceil')];
  if (dy.shape.some((size, axis) => size !== down.outShape[axis] && size !== up.outShape[axis])) {
    checkShape(kernel, 'dy', dy, down.outShape);
  }
  const outShape = dy.shape as Shape4D;
  return { ...down, outShape, outHeight: outShape[1], outWidth: outShape[2] };
}
