/**
 * Convolutions and pooling of volumes, [batch, depth, height, width, channels], and their gradients. They are the
 * kernels of images, whose patches and windows also have frames (see assembly/convolution.ts and assembly/pooling.ts).
 */
import { DataError } from '@ghl/core';
import { checkShape } from '@ghl/core/backend';
import { checkNotEmpty } from '@ghl/core/plugin';
import {
  AvgPool3D,
  type AvgPool3DAttrs,
  AvgPool3DGrad,
  type AvgPool3DGradAttrs,
  backend_util,
  Conv3D,
  type Conv3DAttrs,
  Conv3DBackpropFilterV2,
  type Conv3DBackpropFilterV2Attrs,
  Conv3DBackpropInputV2,
  type Conv3DBackpropInputV2Attrs,
  MaxPool3D,
  type MaxPool3DAttrs,
  MaxPool3DGrad,
  type MaxPool3DGradAttrs,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import { address } from './heap.js';
import { checkFloats, type Kernel, type KernelCall, kernel } from './kernel.js';

type Shape5D = [number, number, number, number, number];
type Info = backend_util.Conv3DInfo;

/**
 * Throws if a window is larger than its padded volume, for which TensorFlow.js computes an empty output.
 *
 * @throws DataError `INPUT_TOO_SMALL`.
 */
function checkWindow(kernel: string, info: Info): void {
  const { inDepth, inHeight, inWidth, outDepth, outHeight, outWidth } = info;
  if (inDepth * inHeight * inWidth === 0 || outDepth * outHeight * outWidth > 0) return;
  const window = `${info.effectiveFilterDepth} × ${info.effectiveFilterHeight} × ${info.effectiveFilterWidth}`;
  throw new DataError(
    'INPUT_TOO_SMALL',
    `${kernel} got a volume of ${inDepth} × ${inHeight} × ${inWidth} for a window of ${window}.`,
    "use larger volumes, a smaller window, or padding 'same'.",
  );
}

const conv3dForward = kernel(
  Conv3D,
  ({
    inputs: { x, filter },
    attrs: { strides, pad, dilations },
    backend,
    module,
  }: KernelCall<{ x: TensorInfo; filter: TensorInfo }, Conv3DAttrs>) => {
    checkFloats(Conv3D, { x, filter });
    checkNotEmpty(Conv3D, { x, filter });
    const shapes = [x.shape as Shape5D, filter.shape as Shape5D] as const;
    const info = backend_util.computeConv3DInfo(...shapes, strides, dilations, pad);
    checkWindow(Conv3D, info);
    const out = backend.makeOutput(info.outShape, 'float32');
    const at = [x, filter, out].map((tensor) => address(backend, tensor));
    module.run('convolve', [...geometry(info), ...at, 0]);
    return out;
  },
);

const conv3dInputGradient = kernel(
  Conv3DBackpropInputV2,
  ({
    inputs: { dy, filter },
    attrs: { strides, pad, inputShape },
    backend,
    module,
  }: KernelCall<{ dy: TensorInfo; filter: TensorInfo }, Conv3DBackpropInputV2Attrs>) => {
    checkFloats(Conv3DBackpropInputV2, { dy, filter });
    checkNotEmpty(Conv3DBackpropInputV2, { dy, filter });
    const info = backend_util.computeConv3DInfo(inputShape, filter.shape as Shape5D, strides, 1, pad);
    checkShape(Conv3DBackpropInputV2, 'dy', dy, info.outShape);
    const out = backend.makeOutput(inputShape, 'float32');
    const at = [dy, filter, out].map((tensor) => address(backend, tensor));
    module.run('convolve', [...inputGradientGeometry(info), ...at, 0]);
    return out;
  },
);

const conv3dFilterGradient = kernel(
  Conv3DBackpropFilterV2,
  ({
    inputs: { x, dy },
    attrs: { strides, pad, filterShape },
    backend,
    module,
  }: KernelCall<{ x: TensorInfo; dy: TensorInfo }, Conv3DBackpropFilterV2Attrs>) => {
    checkFloats(Conv3DBackpropFilterV2, { x, dy });
    checkNotEmpty(Conv3DBackpropFilterV2, { x, dy });
    const info = backend_util.computeConv3DInfo(x.shape as Shape5D, filterShape, strides, 1, pad);
    checkShape(Conv3DBackpropFilterV2, 'dy', dy, info.outShape);
    const out = backend.makeOutput(filterShape, 'float32');
    const [xAt, dyAt, outAt] = [x, dy, out].map((tensor) => address(backend, tensor)) as [number, number, number];
    module.run('convolutionFilterGradient', [...geometry(info), xAt, 0, dyAt, 0, outAt, 0]);
    return out;
  },
);

/** The first fields of assembly/convolution.ts. */
function geometry(info: Info): number[] {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels, padInfo } = info;
  const { filterHeight, filterWidth, strideHeight, strideWidth, dilationHeight, dilationWidth } = info;
  const { inDepth, outDepth, filterDepth, strideDepth, dilationDepth } = info;
  return [
    ...[batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels],
    ...[filterHeight, filterWidth, strideHeight, strideWidth, dilationHeight, dilationWidth],
    ...[padInfo.top, padInfo.left, 1, 1, 0],
    ...[inDepth, outDepth, filterDepth, strideDepth, dilationDepth, padInfo.front, 1],
  ];
}

/** The convolution of ∂y, dilated by the stride, with the rotated filter. */
function inputGradientGeometry(info: Info): number[] {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels, padInfo } = info;
  const { filterHeight, filterWidth, strideHeight, strideWidth } = info;
  const { inDepth, outDepth, filterDepth, strideDepth } = info;
  return [
    ...[batchSize, outHeight, outWidth, outChannels, inHeight, inWidth, inChannels],
    ...[filterHeight, filterWidth, 1, 1, 1, 1],
    ...[filterHeight - 1 - padInfo.top, filterWidth - 1 - padInfo.left, strideHeight, strideWidth, 1],
    ...[outDepth, inDepth, filterDepth, 1, 1, filterDepth - 1 - padInfo.front, strideDepth],
  ];
}

/** The first fields of assembly/pooling.ts. */
function poolGeometry(info: Info): number[] {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, padInfo } = info;
  const { filterHeight, filterWidth, strideHeight, strideWidth } = info;
  const { inDepth, outDepth, filterDepth, strideDepth } = info;
  return [
    ...[batchSize, inHeight, inWidth, inChannels, outHeight, outWidth],
    ...[filterHeight, filterWidth, strideHeight, strideWidth, padInfo.top, padInfo.left],
    ...[inDepth, outDepth, filterDepth, strideDepth, padInfo.front],
  ];
}

function pool(name: string, run: 'maxPool' | 'averagePool'): Kernel {
  return kernel(
    name,
    ({
      inputs: { x },
      attrs: { filterSize, strides, pad, dimRoundingMode },
      backend,
      module,
    }: KernelCall<{ x: TensorInfo }, MaxPool3DAttrs | AvgPool3DAttrs>) => {
      checkFloats(name, { x });
      const info = backend_util.computePool3DInfo(x.shape as Shape5D, filterSize, strides, 1, pad, dimRoundingMode);
      checkWindow(name, info);
      const out = backend.makeOutput(info.outShape, 'float32');
      if (util.sizeFromShape(info.outShape) === 0) return out;
      module.run(run, [...poolGeometry(info), address(backend, x), address(backend, out), 0, 0]);
      return out;
    },
  );
}

const maxPool3d = pool(MaxPool3D, 'maxPool');
const avgPool3d = pool(AvgPool3D, 'averagePool');

const maxPool3dGradient = kernel(
  MaxPool3DGrad,
  ({
    inputs: { dy, input, output },
    attrs: { filterSize, strides, pad, dimRoundingMode },
    backend,
    module,
  }: KernelCall<{ dy: TensorInfo; input: TensorInfo; output: TensorInfo }, MaxPool3DGradAttrs>) => {
    checkFloats(MaxPool3DGrad, { dy, input, output });
    checkNotEmpty(MaxPool3DGrad, { dy, input, output });
    const info = backend_util.computePool3DInfo(input.shape as Shape5D, filterSize, strides, 1, pad, dimRoundingMode);
    checkShape(MaxPool3DGrad, 'dy', dy, info.outShape);
    checkShape(MaxPool3DGrad, 'output', output, info.outShape);
    const out = backend.makeOutput(input.shape, 'float32');
    const at = [input, output, dy, out].map((tensor) => address(backend, tensor));
    module.run('maxPoolGradient', [...poolGeometry(info), ...at]);
    return out;
  },
);

const avgPool3dGradient = kernel(
  AvgPool3DGrad,
  ({
    inputs: { dy, input },
    attrs: { filterSize, strides, pad, dimRoundingMode },
    backend,
    module,
  }: KernelCall<{ dy: TensorInfo; input: TensorInfo }, AvgPool3DGradAttrs>) => {
    checkFloats(AvgPool3DGrad, { dy, input });
    checkNotEmpty(AvgPool3DGrad, { dy, input });
    const info = backend_util.computePool3DInfo(input.shape as Shape5D, filterSize, strides, 1, pad, dimRoundingMode);
    checkShape(AvgPool3DGrad, 'dy', dy, info.outShape);
    const out = backend.makeOutput(input.shape, 'float32');
    const at = [dy, out].map((tensor) => address(backend, tensor));
    module.run('averagePoolGradient', [...poolGeometry(info), 0, 0, ...at]);
    return out;
  },
);

export const kernels = [
  conv3dForward,
  conv3dInputGradient,
  conv3dFilterGradient,
  maxPool3d,
  avgPool3d,
  maxPool3dGradient,
  avgPool3dGradient,
];
