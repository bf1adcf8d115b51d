/**
 * The inputs that stock kernels support. They interpret the bytes of any tensor as their own type, and write beyond the
 * end of a smaller one. Many do not check for empty tensors. A kernel that is not listed here supports float32 only.
 * `every-kernel.test.ts` compares all kernels with the CPU backend.
 */
import { type DataType, type TensorInfo, util } from '@tensorflow/tfjs-core';

type Inputs = Readonly<Record<string, TensorInfo | undefined>>;

const numbers = ['float32', 'int32'] as const;
const all = [...numbers, 'bool'] as const;

/** Kernels that only copy values or read the shape. They support any type and empty tensors. */
const copyKernels = new Set(
  names(`BatchToSpaceND BroadcastArgs Cast Concat Diag ExpandDims Fill Identity LinSpace MirrorPad OnesLike Pack Range Reshape
    ResizeBilinearGrad SpaceToBatchND SplitV Tile Transpose Unique Unpack ZerosLike`),
);

/** Other kernels that support empty tensors. */
const shapeKernels = new Set(names('Bincount DenseBincount'));

/** The types of other kernels that support more than float32. All inputs have the same type. */
const commonTypes: Readonly<Record<string, readonly DataType[]>> = Object.fromEntries([
  ...of(all, 'ArgMax ArgMin CropAndResize GatherNd GatherV2 Max Min ResizeBilinear SparseToDense TensorScatterUpdate'),
  ...of(
    numbers,
    `Abs Add AddN Bincount Cumprod Cumsum DenseBincount Equal FlipLeftRight Greater GreaterEqual Less LessEqual Maximum
    Minimum Multiply NotEqual PadV2 Relu Relu6 Reverse ScatterNd SearchSorted Select Sign SparseFillEmptyRows
    SparseSegmentMean SparseSegmentSum Step Sub Sum TopK`,
  ),
  ...of(['bool'], 'All Any LogicalAnd LogicalNot LogicalOr LogicalXor'),
  ...of(['int32'], 'BitwiseAnd SparseReshape'),
  // Their maximum starts at the smallest positive number; the result of a floor division has the wrong type.
  ...of([], 'Dilation2D Dilation2DBackpropFilter Dilation2DBackpropInput FloorDiv MaxPoolWithArgmax OneHot'),
]);

/** Inputs with a separate type. */
const ownTypes: Readonly<Record<string, Readonly<Record<string, DataType>>>> = {
  Bincount: { x: 'int32' },
  CropAndResize: { boxes: 'float32', boxInd: 'int32' },
  DenseBincount: { x: 'int32' },
  GatherNd: { indices: 'int32' },
  GatherV2: { indices: 'int32' },
  ResizeBilinearGrad: { dy: 'float32' },
  ScatterNd: { indices: 'int32' },
  Select: { condition: 'bool' },
  SparseFillEmptyRows: { indices: 'int32', denseShape: 'int32' },
  SparseSegmentMean: { indices: 'int32', segmentIds: 'int32' },
  SparseSegmentSum: { indices: 'int32', segmentIds: 'int32' },
  SparseToDense: { sparseIndices: 'int32' },
  TensorScatterUpdate: { indices: 'int32' },
};

/** Further conditions. */
const conditions: Readonly<Record<string, (inputs: Inputs, attrs: Readonly<Record<string, unknown>>) => boolean>> = {
  // It repeats the slopes along the leading axes.
  Prelu: ({ x, alpha }) => {
    const slopes = alpha!.shape.slice(
      Math.max(
        0,
        alpha!.shape.findIndex((size) => size !== 1),
      ),
    );
    return util.arraysEqual(slopes, x!.shape.slice(x!.shape.length - slopes.length));
  },
  // It maps positions before an image to its far end.
  Transform: (_, { fillMode }) => fillMode !== 'reflect',
  // It rounds the fill value.
  RotateWithOffset: (_, { fillValue }) => [fillValue].flat().every(Number.isInteger),
};

/** The name of an input that the stock kernel does not support, if any. Strings are left to it. */
export function unsupportedInput(name: string, inputs: Inputs, attrs: object): string | undefined {
  const anything = copyKernels.has(name);
  const types: readonly DataType[] = anything ? all : (commonTypes[name] ?? ['float32']);
  let type: DataType | undefined;
  for (const [key, input] of Object.entries(inputs)) {
    if (input == null) continue;
    const { dtype, shape } = input;
    if (dtype === 'string') return undefined;
    const required = ownTypes[name]?.[key];
    if (required === undefined) type ??= dtype;
    const isSupported =
      required === undefined ? types.includes(dtype) && (anything || dtype === type) : dtype === required;
    if (!isSupported || (shape.includes(0) && !anything && !shapeKernels.has(name))) return key;
  }
  return conditions[name]?.(inputs, { ...attrs }) === false ? Object.keys(inputs)[0] : undefined;
}

function names(list: string): string[] {
  return list.split(/\s+/);
}

function of(types: readonly DataType[], list: string): [string, readonly DataType[]][] {
  return names(list).map((name) => [name, types]);
}
