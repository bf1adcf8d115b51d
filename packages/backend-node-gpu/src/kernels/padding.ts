/**
 * Convolutions and pools with explicit padding. The package supports 'valid' and 'same' only. These kernels pad the
 * image, run the stock kernel as 'valid', and crop gradients to the size of the image. A maximum is padded with −∞. An
 * average and its gradient divide by the number of values in the window without padding, as TensorFlow.js does.
 */
import { gradientInfo } from '@ghl/core/backend';
import * as tf from '@tensorflow/tfjs-core';
import { type Kernel, type KernelCall, runKernel } from './kernel.js';

type Size4 = [number, number, number, number];
type Amounts = [before: number, after: number][];

/** Sizes of the image, the padding, the output and the window. */
type Geometry = Pick<
  tf.backend_util.Conv2DInfo,
  | 'padInfo'
  | 'dataFormat'
  | 'inHeight'
  | 'inWidth'
  | 'outHeight'
  | 'outWidth'
  | 'strideHeight'
  | 'strideWidth'
  | 'effectiveFilterHeight'
  | 'effectiveFilterWidth'
>;

/**
 * The padding of all four axes, or null if the stock kernel supports it. The padding after the image is as large as the
 * last window needs. The number of windows depends on the rounding, which a gradient does not know: it takes the number
 * from `dy`.
 */
function amountsOf(geometry: Geometry, dy?: tf.TensorInfo): Amounts | null {
  const { padInfo } = geometry;
  if (padInfo.type !== 'NUMBER' && padInfo.type !== 'EXPLICIT') return null;
  const after = (size: number, before: number, windows: number, stride: number, window: number) =>
    Math.max(0, (windows - 1) * stride + window - size - before);
  const { top, left } = padInfo;
  const channelsFirst = geometry.dataFormat === 'channelsFirst';
  const { inHeight, inWidth, strideHeight, strideWidth, effectiveFilterHeight, effectiveFilterWidth } = geometry;
  const [outHeight, outWidth] = dy?.shape.slice(channelsFirst ? 2 : 1) ?? [geometry.outHeight, geometry.outWidth];
  const spatial: Amounts = [
    [top, after(inHeight, top, outHeight!, strideHeight, effectiveFilterHeight)],
    [left, after(inWidth, left, outWidth!, strideWidth, effectiveFilterWidth)],
  ];
  return channelsFirst ? [[0, 0], [0, 0], ...spatial] : [[0, 0], ...spatial, [0, 0]];
}

const pad = (x: tf.TensorInfo, paddings: Amounts, constantValue = 0) =>
  runKernel(tf.PadV2, { x }, { paddings, constantValue });

const padded = (shape: readonly number[], amounts: Amounts) =>
  shape.map((size, axis) => size + amounts[axis]![0] + amounts[axis]![1]);

/** Removes the padding of an image. */
function unpad(x: tf.TensorInfo, amounts: Amounts, size: readonly number[]): tf.Tensor {
  return runKernel(tf.Slice, { x }, { begin: amounts.map(([before]) => before), size: [...size] });
}

/** Runs a function on temporary tensors, then disposes of them. */
function using<T>(temporary: tf.Tensor[], make: () => T): T {
  try {
    return make();
  } finally {
    for (const tensor of temporary) tensor.dispose();
  }
}

const unpadded = { pad: 'valid', dimRoundingMode: undefined };

interface ConvolutionAttributes {
  readonly strides: [number, number] | number;
  readonly pad: 'valid' | 'same' | number | tf.backend_util.ExplicitPadding;
  readonly dataFormat?: 'NHWC' | 'NCHW';
  readonly dilations?: [number, number] | number;
  readonly dimRoundingMode?: 'floor' | 'round' | 'ceil';
}

function convolution(attrs: unknown, xShape: readonly number[], filterShape: readonly number[], depthwise: boolean) {
  const { strides, pad, dataFormat = 'NHWC', dilations, dimRoundingMode } = attrs as ConvolutionAttributes;
  const format = tf.backend_util.convertConv2DDataFormat(dataFormat);
  return tf.backend_util.computeConv2DInfo(
    xShape as Size4,
    filterShape as Size4,
    strides,
    dilations ?? 1,
    pad,
    dimRoundingMode,
    depthwise,
    format,
  );
}

/**
 * Throws unless the size of ∂y follows from the other shapes: the stock kernel would read beyond its end, which may end
 * the process.
 */
function checkCotangent(
  name: string,
  dy: tf.TensorInfo,
  shapes: readonly [Size4, Size4],
  attrs: unknown,
  depthwise: boolean,
) {
  const windows = attrs as ConvolutionAttributes;
  if (windows.dataFormat !== 'NCHW') gradientInfo(name, dy, shapes, windows, depthwise);
}

/** The forward pass of a convolution, with or without bias and activation. */
const forward = (name: string, depthwise: boolean): Kernel => ({
  name,
  run(call, stock) {
    const { x, filter } = call.inputs as { x: tf.TensorInfo; filter: tf.TensorInfo };
    const amounts = amountsOf(convolution(call.attrs, x.shape, filter.shape, depthwise));
    if (amounts === null) return stock(call);
    const wide = pad(x, amounts);
    return using([wide], () =>
      stock({ ...call, inputs: { ...call.inputs, x: wide }, attrs: { ...call.attrs, ...unpadded } }),
    );
  },
});

const filterGradient = (name: string, depthwise: boolean): Kernel => ({
  name,
  run(call, stock) {
    const { x, dy } = call.inputs as { x: tf.TensorInfo; dy: tf.TensorInfo };
    const shapes = [x.shape, call.attrs.filterShape] as [Size4, Size4];
    checkCotangent(name, dy, shapes, call.attrs, depthwise);
    const amounts = amountsOf(convolution(call.attrs, ...shapes, depthwise), dy);
    if (amounts === null) return stock(call);
    const wide = pad(x, amounts);
    return using([wide], () =>
      stock({ ...call, inputs: { ...call.inputs, x: wide }, attrs: { ...call.attrs, ...unpadded } }),
    );
  },
});

const inputGradient = (name: string, depthwise: boolean): Kernel => ({
  name,
  run(call, stock) {
    const { dy, filter } = call.inputs as { dy: tf.TensorInfo; filter: tf.TensorInfo };
    const inputShape = call.attrs.inputShape as Size4;
    checkCotangent(name, dy, [inputShape, filter.shape as Size4], call.attrs, depthwise);
    const amounts = amountsOf(convolution(call.attrs, inputShape, filter.shape, depthwise), dy);
    if (amounts === null) return stock(call);
    const attrs = { ...call.attrs, ...unpadded, inputShape: padded(inputShape, amounts) };
    const wide = stock({ ...call, attrs }) as tf.Tensor;
    return using([wide], () => unpad(wide, amounts, inputShape));
  },
});

function pool(attrs: KernelCall['attrs'], shape: readonly number[]) {
  const { filterSize, strides, pad, dimRoundingMode } = attrs as unknown as tf.MaxPoolAttrs;
  return tf.backend_util.computePool2DInfo(
    shape as Size4,
    filterSize,
    strides,
    1,
    pad as Parameters<typeof tf.backend_util.computePool2DInfo>[4],
    dimRoundingMode,
  );
}

/** The share of each window that is not padding, [1, height, width, 1]. */
function share({ attrs }: KernelCall, shape: readonly number[], amounts: Amounts): tf.Tensor {
  const [, height, width] = shape as Size4;
  const ones = runKernel(tf.Fill, {}, { shape: [1, height, width, 1], value: 1, dtype: 'float32' });
  const x = using([ones], () => pad(ones, amounts));
  return using([x], () => runKernel(tf.AvgPool, { x }, { ...attrs, ...unpadded }));
}

const maxPool: Kernel = {
  name: tf.MaxPool,
  run(call, stock) {
    const { x } = call.inputs as { x: tf.TensorInfo };
    const amounts = amountsOf(pool(call.attrs, x.shape));
    if (amounts === null) return stock(call);
    const wide = pad(x, amounts, Number.NEGATIVE_INFINITY);
    return using([wide], () => stock({ ...call, inputs: { x: wide }, attrs: { ...call.attrs, ...unpadded } }));
  },
};

const maxPoolGradient: Kernel = {
  name: tf.MaxPoolGrad,
  run(call, stock) {
    const { dy, input } = call.inputs as { dy: tf.TensorInfo; input: tf.TensorInfo };
    const amounts = amountsOf(pool(call.attrs, input.shape), dy);
    if (amounts === null) return stock(call);
    const wide = pad(input, amounts, Number.NEGATIVE_INFINITY);
    return using([wide], () => {
      const inputs = { ...call.inputs, input: wide };
      const gradient = stock({ ...call, inputs, attrs: { ...call.attrs, ...unpadded } }) as tf.Tensor;
      return using([gradient], () => unpad(gradient, amounts, input.shape));
    });
  },
};

const averagePool: Kernel = {
  name: tf.AvgPool,
  run(call, stock) {
    const { x } = call.inputs as { x: tf.TensorInfo };
    const amounts = amountsOf(pool(call.attrs, x.shape));
    if (amounts === null) return stock(call);
    const wide = pad(x, amounts);
    return using([wide], () => {
      const a = stock({ ...call, inputs: { x: wide }, attrs: { ...call.attrs, ...unpadded } }) as tf.Tensor;
      const b = share(call, x.shape, amounts);
      return using([a, b], () => runKernel(tf.RealDiv, { a, b }));
    });
  },
};

const averagePoolGradient: Kernel = {
  name: tf.AvgPoolGrad,
  run(call, stock) {
    const { dy, input } = call.inputs as { dy: tf.TensorInfo; input: tf.TensorInfo };
    const amounts = amountsOf(pool(call.attrs, input.shape), dy);
    if (amounts === null) return stock(call);
    const b = share(call, input.shape, amounts);
    return using([b], () => {
      const each = runKernel(tf.RealDiv, { a: dy, b });
      return using([each], () => {
        // Of the input, the stock kernel reads the shape only.
        const wide = { ...input, shape: padded(input.shape, amounts) };
        const attrs = { ...call.attrs, ...unpadded };
        const gradient = stock({ ...call, inputs: { dy: each, input: wide }, attrs }) as tf.Tensor;
        return using([gradient], () => unpad(gradient, amounts, input.shape));
      });
    });
  },
};

/** All kernels that take amounts of padding. */
export const padding: readonly Kernel[] = [
  forward(tf.Conv2D, false),
  forward(tf.FusedConv2D, false),
  forward(tf.DepthwiseConv2dNative, true),
  forward(tf.FusedDepthwiseConv2D, true),
  filterGradient(tf.Conv2DBackpropFilter, false),
  filterGradient(tf.DepthwiseConv2dNativeBackpropFilter, true),
  inputGradient(tf.Conv2DBackpropInput, false),
  inputGradient(tf.DepthwiseConv2dNativeBackpropInput, true),
  maxPool,
  maxPoolGradient,
  averagePool,
  averagePoolGradient,
];
