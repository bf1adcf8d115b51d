/**
 * Products whose stock kernels are not deterministic. If the inner dimension is long and the result small, as in a
 * classifier, the stock kernel adds parts of a sum atomically, in the order of their completion. Its other programs
 * have a fixed order. Convolutions of one pixel, of the whole image, or with few outputs are such products too. The
 * stock kernels treat an empty batch as a batch of one; these return an empty tensor.
 */
import type { KernelOverride } from '@ghl/core/backend';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import {
  type BatchMatMulAttrs,
  backend_util,
  broadcast_util,
  type Conv2DAttrs,
  env,
  type KernelFunc,
  type TensorInfo,
  util,
} from '@tensorflow/tfjs-core';
import { makeEmpty } from '../kernels/pass.js';

const [flag, thresholdFlag] = ['WEBGPU_MATMUL_PROGRAM_TYPE', 'WEBGPU_THRESHOLD_TO_INCREASE_WORKGROUPS_FOR_MATMUL'];
/** Values of the flag: automatic, one workgroup for each number of the result, and small tiles. */
const [choosesItself, oneEach, smallTiles] = [-1, 0, 2];
/** The inner dimension from which the stock backend adds atomically. */
const long = 2000;

type KernelCall = Parameters<KernelFunc>[0];
/** Sizes of a product, and the shape and type of its result. */
type Product = Readonly<Record<'batch' | 'rows' | 'columns' | 'inner', number>> & Pick<TensorInfo, 'shape' | 'dtype'>;

function matrices({ inputs, attrs }: KernelCall): Product {
  const { a, b } = inputs as { a: TensorInfo; b: TensorInfo };
  const { transposeA, transposeB } = attrs as unknown as BatchMatMulAttrs;
  const [batchA, batchB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  const [rows, columns] = [a.shape.at(transposeA ? -1 : -2)!, b.shape.at(transposeB ? -2 : -1)!];
  return {
    batch: Math.max(util.sizeFromShape(batchA), util.sizeFromShape(batchB)),
    rows,
    columns,
    inner: a.shape.at(transposeA ? -2 : -1)!,
    dtype: a.dtype,
    shape: [...broadcast_util.assertAndGetBroadcastShape(batchA, batchB), rows, columns],
  };
}

/** The product that computes a convolution. */
function patches({ inputs, attrs }: KernelCall): Product {
  const { x, filter } = inputs as { x: TensorInfo; filter: TensorInfo };
  const { strides, pad, dataFormat, dilations, dimRoundingMode } = attrs as unknown as Conv2DAttrs;
  type Shape4D = [number, number, number, number];
  const info = backend_util.computeConv2DInfo(
    ...([x.shape, filter.shape] as [Shape4D, Shape4D]),
    ...([strides, dilations, pad, dimRoundingMode, false] as const),
    backend_util.convertConv2DDataFormat(dataFormat),
  );
  const { batchSize, inHeight, inWidth, outHeight, outWidth, outChannels, filterHeight, filterWidth, padInfo } = info;
  const rest = { inner: filterHeight * filterWidth * info.inChannels, shape: info.outShape, dtype: x.dtype };
  if (dataFormat === 'NCHW') return { batch: batchSize, rows: outChannels, columns: outHeight * outWidth, ...rest };
  const whole = filterHeight === inHeight && filterWidth === inWidth && padInfo.type === 'VALID';
  const [batch, rows] = whole ? [1, batchSize] : [batchSize, outHeight * outWidth];
  return { batch, rows, columns: outChannels, ...rest };
}

/** Whether the stock backend adds atomically, because it has too few tiles of 32 by 32 to keep a GPU busy. */
function isUnordered({ batch, rows, columns, inner }: Product, backend: WebGPUBackend): boolean {
  if (inner < long || batch !== 1) return false;
  const threshold = env().getNumber(thresholdFlag);
  const few = (threshold > 0 ? threshold : backend.thresholdToIncreaseWorkgroups) * (rows <= 8 ? 2 : 1);
  return Math.ceil(rows / 32) * Math.ceil(columns / 32) <= few;
}

function ordered(name: string, productOf: (call: KernelCall) => Product): KernelOverride {
  return {
    name,
    create: (stock) => (call) => {
      const product = productOf(call);
      const backend = call.backend as WebGPUBackend;
      if (product.shape.includes(0)) return makeEmpty(backend, product);
      if (env().getNumber(flag) !== choosesItself || !isUnordered(product, backend)) return stock!(call);
      env().set(flag, product.rows * product.columns <= 2048 ? oneEach : smallTiles);
      try {
        return stock!(call);
      } finally {
        env().set(flag, choosesItself);
      }
    },
  };
}

/** The kernels of this kind. */
export const orderedProducts: readonly KernelOverride[] = [
  ordered('BatchMatMul', matrices),
  ordered('_FusedMatMul', matrices),
  ordered('Conv2D', patches),
  ordered('FusedConv2D', patches),
];
