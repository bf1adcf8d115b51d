/**
 * Convolutions and their gradients, by the module: any stride, padding, dilation and number of channels. For each
 * cotangent v:
 *
 *     y[b, p, q, k]    = Σ_{i, j, c} x[b, p·s + i·d − top, q·s + j·d − left, c] · W[i, j, c, k]
 *     ∂W[i, j, c, k]   = Σ_{b, p, q} x[b, p·s + i·d − top, q·s + j·d − left, c] · v[b, p, q, k]
 *     ∂x[b, h, w, c]   = Σ_{i, j, k} ∂y[b, p, q, k] · W[i, j, c, k]   over p·s + i·d − top = h, q·s + j·d − left = w
 */
import { checkShape, FILTER_GRADIENTS, gradientInfo } from '@ghl/core/backend';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import {
  backend_util,
  Conv2D,
  type Conv2DAttrs,
  Conv2DBackpropFilter,
  type Conv2DBackpropFilterAttrs,
  Conv2DBackpropInput,
  type Conv2DBackpropInputAttrs,
  FusedConv2D,
  type FusedConv2DAttrs,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import type { KernelModule } from '../module.js';
import { add } from './element-wise.js';
import { applyEpilogue, type EpilogueInputs } from './epilogue.js';
import { address } from './heap.js';
import { checkConvolution, checkWindow, floatKernel, type KernelCall, type Shape4D } from './kernel.js';

type ForwardInputs = { readonly x: TensorInfo; readonly filter: TensorInfo };

const conv2dForward = floatKernel(Conv2D, (call: KernelCall<ForwardInputs, Conv2DAttrs>) => forward(Conv2D, call));

/** With an optional bias, activation and weights of PReLU. */
const fusedConv2dForward = floatKernel(
  FusedConv2D,
  (call: KernelCall<ForwardInputs & EpilogueInputs, FusedConv2DAttrs>) =>
    applyEpilogue(call, forward(FusedConv2D, call)),
);

function forward(
  name: string,
  { inputs: { x, filter }, attrs, backend, module }: KernelCall<ForwardInputs, Conv2DAttrs>,
): TensorInfo {
  const { strides, pad, dataFormat, dilations, dimRoundingMode } = attrs;
  checkConvolution(name, { x, filter }, dataFormat);
  const filterShape = filter.shape as Shape4D;
  const info = backend_util.computeConv2DInfo(
    x.shape as Shape4D,
    filterShape,
    strides,
    dilations,
    pad,
    dimRoundingMode,
  );
  checkWindow(name, info);
  const out = backend.makeOutput(info.outShape, 'float32');
  const geometry = forwardGeometry(info);
  const at = (tensor: TensorInfo, image = 0) => addressOfImage(backend, tensor, image);
  const images = winogradImages(module, geometry);
  if (images === 0) module.run('convolve', [...geometry, at(x), at(filter), at(out), 0]);
  for (const [first, count] of shares(info.batchSize, images)) {
    module.run('winograd', [count, ...geometry.slice(1), at(x, first), at(filter), at(out, first), 0]);
  }
  return out;
}

const conv2dInputGradient = floatKernel(
  Conv2DBackpropInput,
  ({
    inputs: { dy, filter },
    attrs,
    backend,
    module,
  }: KernelCall<{ dy: TensorInfo; filter: TensorInfo }, Conv2DBackpropInputAttrs>) => {
    checkConvolution(Conv2DBackpropInput, { dy, filter }, attrs.dataFormat);
    const { inputShape } = attrs;
    const info = gradientInfo(Conv2DBackpropInput, dy, [inputShape, filter.shape as Shape4D], attrs);
    const out = backend.makeOutput(inputShape, 'float32');
    const at = (tensor: TensorInfo, image = 0) => addressOfImage(backend, tensor, image);
    const geometry = forwardGeometry(info);
    const images = winogradImages(module, geometry);
    if (images === 0) module.run('convolve', [...inputGradientGeometry(info), at(dy), at(filter), at(out), 0]);
    for (const [first, count] of shares(info.batchSize, images)) {
      module.run('winogradInputGradient', [count, ...geometry.slice(1), at(out, first), at(filter), at(dy, first), 0]);
    }
    return out;
  },
);

const conv2dFilterGradient = floatKernel(
  Conv2DBackpropFilter,
  ({
    inputs: { x, dy },
    attrs,
    backend,
    module,
  }: KernelCall<{ x: TensorInfo; dy: TensorInfo }, Conv2DBackpropFilterAttrs>) =>
    filterGradients(Conv2DBackpropFilter, x, [dy], attrs, { backend, module })[0]!,
);

const conv2dFilterGradients = floatKernel(
  FILTER_GRADIENTS,
  ({
    inputs: { x, ...cotangents },
    attrs,
    backend,
    module,
  }: KernelCall<{ x: TensorInfo; [dy: `dy${number}`]: TensorInfo }, Conv2DBackpropFilterAttrs>) =>
    filterGradients(FILTER_GRADIENTS, x, Object.values(cotangents) as TensorInfo[], attrs, { backend, module }),
);

function filterGradients(
  name: string,
  x: TensorInfo,
  cotangents: readonly TensorInfo[],
  attrs: Conv2DBackpropFilterAttrs,
  { backend, module }: Pick<KernelCall<never, never>, 'backend' | 'module'>,
): TensorInfo[] {
  for (const dy of cotangents) checkConvolution(name, { x, dy }, attrs.dataFormat);
  const { filterShape } = attrs;
  const info = gradientInfo(name, cotangents[0]!, [x.shape as Shape4D, filterShape], attrs);
  for (const dy of cotangents) checkShape(name, 'dy', dy, info.outShape);
  const geometry = forwardGeometry(info);
  const at = (tensor: TensorInfo | undefined, image = 0) =>
    tensor === undefined ? 0 : addressOfImage(backend, tensor, image);
  const images = winogradImages(module, geometry);
  const outs = cotangents.map(() => backend.makeOutput(filterShape, 'float32'));
  for (let i = 0; i < cotangents.length; i += 2) {
    const [v0, v1] = [cotangents[i], cotangents[i + 1]];
    if (images === 0) {
      module.run('convolutionFilterGradient', [...geometry, at(x), 0, at(v0), at(v1), at(outs[i]), at(outs[i + 1])]);
    }
    for (const [first, count] of shares(info.batchSize, images)) {
      const sums =
        first === 0
          ? outs.slice(i, i + 2)
          : [v0, v1].slice(0, outs.length - i).map(() => backend.makeOutput(filterShape, 'float32'));
      module.run('winogradFilterGradient', [
        ...[count, ...geometry.slice(1), at(x, first), 0, at(v0, first), at(v1, first)],
        ...[at(sums[0]), at(sums[1])],
      ]);
      if (first === 0) continue;
      for (const [j, sum] of sums.entries()) {
        add(module, util.sizeFromShape(filterShape), at(outs[i + j]), at(sum), at(outs[i + j]));
        backend.disposeData(sum.dataId);
      }
    }
  }
  return outs;
}

/** The first fields of assembly/convolution.ts, in their order. */
type Geometry = readonly number[];

/** The last fields: one frame, one frame of the filter. */
const FLAT = [1, 1, 1, 1, 1, 0, 1];

function forwardGeometry(info: backend_util.Conv2DInfo): Geometry {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels, padInfo } = info;
  const { filterHeight, filterWidth, strideHeight, strideWidth, dilationHeight, dilationWidth } = info;
  return [
    ...[batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels],
    ...[filterHeight, filterWidth, strideHeight, strideWidth, dilationHeight, dilationWidth],
    ...[padInfo.top, padInfo.left, 1, 1, 0],
    ...FLAT,
  ];
}

/** The convolution of ∂y, dilated by the stride, with the rotated filter. */
function inputGradientGeometry(info: backend_util.Conv2DInfo): Geometry {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels, padInfo } = info;
  const { filterHeight, filterWidth, strideHeight, strideWidth } = info;
  return [
    ...[batchSize, outHeight, outWidth, outChannels, inHeight, inWidth, inChannels],
    ...[filterHeight, filterWidth, 1, 1, 1, 1],
    ...[filterHeight - 1 - padInfo.top, filterWidth - 1 - padInfo.left, strideHeight, strideWidth, 1],
    ...FLAT,
  ];
}

/** The most bytes of transformed images that Winograd's algorithm stores at once, for a batch and for one image. */
const [AT_ONCE, AT_MOST] = [2 ** 26, 2 ** 29];

/** The number of images that Winograd's algorithm processes at once if it is allowed and faster; else 0. */
function winogradImages(module: KernelModule, geometry: Geometry): number {
  const [, , , channels, height, width, filters, kh, kw, sh, sw, dh, dw] = geometry as number[];
  const fits = kh === 3 && kw === 3 && [sh, sw, dh, dw].every((one) => one === 1);
  if (!module.winograd || !fits || channels! < 16 || filters! < 16) return 0;
  const tiles = Math.ceil(height! / 4) * Math.ceil(width! / 4);
  // The multiplications that tiles save, which may extend beyond the edge. The transforms cost a third of them.
  if ((9 * height! * width!) / (36 * tiles) < 1.5) return 0;
  // 36 points of a tile, in rows of 208 floats for up to 192 channels (assembly/winograd.ts).
  const bytes = 36 * tiles * Math.ceil(Math.max(channels!, filters!) / 192) * 208 * 4;
  return bytes > AT_MOST ? 0 : Math.max(1, Math.floor(AT_ONCE / bytes));
}

/** Divides a batch into almost equal shares of at most `most` images: the first image of each, and the number. */
function shares(batch: number, most: number): [first: number, count: number][] {
  if (most === 0) return [];
  const length = Math.ceil(batch / Math.ceil(batch / most));
  return Array.from({ length: Math.ceil(batch / length) }, (_, i) => [
    i * length,
    Math.min(length, batch - i * length),
  ]);
}

/** The address of an image of a batch. */
function addressOfImage(backend: BackendWasm, tensor: TensorInfo, image: number): number {
  return address(backend, tensor) + 4 * image * util.sizeFromShape(tensor.shape.slice(1));
}

export const kernels = [
  conv2dForward,
  fusedConv2dForward,
  conv2dInputGradient,
  conv2dFilterGradient,
  conv2dFilterGradients,
];
