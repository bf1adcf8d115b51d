/**
 * Convolutions and their gradients, on our own module: any stride, padding, dilation and number of channels.
 *
 *     y[b, p, q, k]    = Σ_{i, j, c} x[b, p·s + i·d − top, q·s + j·d − left, c] · W[i, j, c, k]
 *     ∂W[i, j, c, k]   = Σ_{b, p, q} x[b, p·s + i·d − top, q·s + j·d − left, c] · v[b, p, q, k]     for each cotangent v
 *     ∂x[b, h, w, c]   = Σ_{i, j, k} ∂y[b, p, q, k] · W[i, j, c, k]   over p·s + i·d − top = h, q·s + j·d − left = w
 */
import { FILTER_GRADIENTS } from '@ghl/core';
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
} from '@tensorflow/tfjs-core';
import type { KernelModule } from '../module.js';
import { address, checkConvolution, type KernelCall, kernel, type Shape4D } from './heap.js';

type ForwardInputs = { readonly x: TensorInfo; readonly filter: TensorInfo };

export const conv2dForward = kernel(Conv2D, (call: KernelCall<ForwardInputs, Conv2DAttrs>) => forward(Conv2D, call));

/** With a bias, an activation and PReLU's weights, as far as they are there. */
export const fusedConv2dForward = kernel(
  FusedConv2D,
  (
    call: KernelCall<ForwardInputs & { bias?: TensorInfo; preluActivationWeights?: TensorInfo }, FusedConv2DAttrs>,
    stock,
  ) => {
    const { inputs, attrs } = call;
    const plain = inputs.bias === undefined && inputs.preluActivationWeights === undefined;
    return plain && attrs.activation === 'linear' ? forward(FusedConv2D, call) : stock(call);
  },
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
  const out = backend.makeOutput(info.outShape, 'float32');
  const geometry = forwardGeometry(info);
  const at = (tensor: TensorInfo) => address(backend, tensor);
  const convolve = suitsWinograd(module, geometry) ? 'winograd' : 'convolve';
  module.run(convolve, [...geometry, at(x), at(filter), at(out), 0]);
  return out;
}

export const conv2dInputGradient = kernel(
  Conv2DBackpropInput,
  ({
    inputs: { dy, filter },
    attrs: { strides, pad, dataFormat, dimRoundingMode, inputShape },
    backend,
    module,
  }: KernelCall<{ dy: TensorInfo; filter: TensorInfo }, Conv2DBackpropInputAttrs>) => {
    checkConvolution(Conv2DBackpropInput, { dy, filter }, dataFormat);
    const filterShape = filter.shape as Shape4D;
    const info = backend_util.computeConv2DInfo(inputShape, filterShape, strides, 1, pad, dimRoundingMode);
    const out = backend.makeOutput(inputShape, 'float32');
    const at = (tensor: TensorInfo) => address(backend, tensor);
    const geometry = forwardGeometry(info);
    if (suitsWinograd(module, geometry)) {
      module.run('winogradInputGradient', [...geometry, at(out), at(filter), at(dy), 0]);
    } else {
      module.run('convolve', [...inputGradientGeometry(info), at(dy), at(filter), at(out), 0]);
    }
    return out;
  },
);

export const conv2dFilterGradient = kernel(
  Conv2DBackpropFilter,
  ({
    inputs: { x, dy },
    attrs,
    backend,
    module,
  }: KernelCall<{ x: TensorInfo; dy: TensorInfo }, Conv2DBackpropFilterAttrs>) =>
    filterGradients(Conv2DBackpropFilter, x, [dy], attrs, { backend, module })[0]!,
);

export const conv2dFilterGradients = kernel(
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
  { strides, pad, dataFormat, dimRoundingMode, filterShape }: Conv2DBackpropFilterAttrs,
  { backend, module }: Pick<KernelCall<never, never>, 'backend' | 'module'>,
): TensorInfo[] {
  for (const dy of cotangents) checkConvolution(name, { x, dy }, dataFormat);
  const info = backend_util.computeConv2DInfo(x.shape as Shape4D, filterShape, strides, 1, pad, dimRoundingMode);
  const geometry = forwardGeometry(info);
  const at = (tensor: TensorInfo | undefined) => (tensor === undefined ? 0 : address(backend, tensor));
  const outs = cotangents.map(() => backend.makeOutput(filterShape, 'float32'));
  const gradient = suitsWinograd(module, geometry) ? 'winogradFilterGradient' : 'convolutionFilterGradient';
  for (let i = 0; i < cotangents.length; i += 2) {
    const [v0, v1] = [cotangents[i], cotangents[i + 1]];
    module.run(gradient, [...geometry, at(x), 0, at(v0), at(v1), at(outs[i]), at(outs[i + 1])]);
  }
  return outs;
}

/** The first fields of assembly/convolution.ts, in their order. */
type Geometry = readonly number[];

function forwardGeometry(info: backend_util.Conv2DInfo): Geometry {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels, padInfo } = info;
  const { filterHeight, filterWidth, strideHeight, strideWidth, dilationHeight, dilationWidth } = info;
  return [
    ...[batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels],
    ...[filterHeight, filterWidth, strideHeight, strideWidth, dilationHeight, dilationWidth],
    ...[padInfo.top, padInfo.left, 1, 1, 0],
  ];
}

/** The convolution of ∂y, spread out by the stride, with the filter turned round. */
function inputGradientGeometry(info: backend_util.Conv2DInfo): Geometry {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels, padInfo } = info;
  const { filterHeight, filterWidth, strideHeight, strideWidth } = info;
  return [
    ...[batchSize, outHeight, outWidth, outChannels, inHeight, inWidth, inChannels],
    ...[filterHeight, filterWidth, 1, 1, 1, 1],
    ...[filterHeight - 1 - padInfo.top, filterWidth - 1 - padInfo.left, strideHeight, strideWidth, 1],
  ];
}

/** Whether Winograd's way is allowed and wins. */
function suitsWinograd(module: KernelModule, geometry: Geometry): boolean {
  const [, , , channels, height, width, filters, kh, kw, sh, sw, dh, dw] = geometry as number[];
  const fits = kh === 3 && kw === 3 && [sh, sw, dh, dw].every((one) => one === 1);
  if (!module.winograd || !fits || channels! < 16 || filters! < 16) return false;
  // Multiplications saved by tiles that may reach beyond the edge; the transforms cost as much as the first third of them.
  return (9 * height! * width!) / (36 * Math.ceil(height! / 4) * Math.ceil(width! / 4)) >= 1.5;
}
