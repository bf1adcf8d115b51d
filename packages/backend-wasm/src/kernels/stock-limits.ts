/**
 * Where the stock kernels are right. They take the bytes of any tensor for those of the type that they were written
 * for, and write beyond the end of a smaller one; many do not look at sizes of 0. What is not listed here is right for
 * 32-bit floats alone. `every-kernel.test.ts` compares all of it with the CPU backend.
 */
import { type DataType, type TensorInfo, util } from '@tensorflow/tfjs-core';

type Inputs = Readonly<Record<string, TensorInfo | undefined>>;

const numbers = ['float32', 'int32'] as const;
const all = [...numbers, 'bool'] as const;

/** Kernels that only move values, of any type and any number, or look at the shape alone. */
const copyKernels = new Set(
  names(`BatchToSpaceND BroadcastArgs Cast Concat Diag ExpandDims Fill Identity LinSpace MirrorPad OnesLike Pack Range Reshape
    ResizeBilinearGrad SpaceToBatchND SplitV Tile Transpose Unique Unpack ZerosLike`),
);

/** Others that do without values. */
const shapeKernels = new Set(names('Bincount DenseBincount'));

/** Types that the inputs of other kernels may have, all alike, where that is not float32 alone. */
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
  // Their largest value starts at the least positive number; the result of a floor division has the wrong type.
  ...of([], 'Dilation2D Dilation2DBackpropFilter Dilation2DBackpropInput FloorDiv MaxPoolWithArgmax OneHot'),
]);

/** Inputs that have a type of their own. */
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

/** What else has to hold. */
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
  // It takes what lies before an image for its far end.
  Transform: (_, { fillMode }) => fillMode !== 'reflect',
  // It rounds what it fills with.
  RotateWithOffset: (_, { fillValue }) => [fillValue].flat().every(Number.isInteger),
};

/** The input that the stock kernel of a name takes for something else, if any. What holds strings is left to it. */
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
