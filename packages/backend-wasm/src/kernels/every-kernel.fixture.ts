/** Calls of every kernel over types, axes, ranks and empty tensors. */
import { generator } from '@ghl/conformance/testing';
import { sizeOf } from './kernels.fixture.js';

export type NumberType = 'float32' | 'int32' | 'bool';
const types: readonly NumberType[] = ['float32', 'int32', 'bool'];

/** The data of a tensor, independent of a backend. */
export interface Operand {
  readonly shape: readonly number[];
  readonly dtype: NumberType;
  readonly values: readonly number[];
}

type Inputs = Readonly<Record<string, Operand>> | readonly Operand[];

/** One call of a kernel. */
export interface Call {
  readonly inputs: Inputs;
  readonly attrs: object;
  /** Whether to call the CPU backend once for each example, because it stops after the first. */
  readonly byExample?: boolean;
  /**
   * The call of the CPU backend, and the shape of its result, if its kernel is wrong for the call.
   */
  readonly reference?: { readonly inputs?: Inputs; readonly attrs?: object; readonly shape?: readonly number[] };
  /** The correct result, or the code of the error, if that of the CPU backend is wrong. */
  readonly expected?: Operand | string;
}

const draw = generator(1);

/** A number in [0, 1). */
const random = () => (draw() + 1) / 2;

/** Multiples of ½ from −3 to 3 for float32, integers for int32. */
export function some(dtype: NumberType, shape: readonly number[], least = -3, most = 3): Operand {
  const number = () => {
    if (dtype === 'bool') return Number(random() < 0.5);
    const step = dtype === 'float32' ? 2 : 1;
    return (Math.floor(random() * (step * (most - least) + 1)) + step * least) / step;
  };
  return { shape, dtype, values: Array.from({ length: sizeOf(shape) }, number) };
}

/** A shape with at least four axes. */
type Shape = [number, number, number, number, ...number[]];

/** Parses lists of numbers: commas separate the numbers, and - is an empty list. */
function list(text: string): [Shape, Shape, Shape, ...Shape[]] {
  return text.split(' ').map((each) => (each === '-' ? [] : each.split(',').map(Number))) as [Shape, Shape, Shape];
}

const lists = (text: string) => text.split(' | ').map(list);

/** An operand with these values, in this shape or in one row. */
function given(dtype: NumberType, values: readonly number[], shape: readonly number[] = [values.length]): Operand {
  return { shape, dtype, values };
}

/** Numbers that float32 rounds. */
const wide = [16777217, -16777219, 2147483647, -2147483648, 123456789, 0, 33554433, -1];
function large(shape: readonly number[], offset = 0): Operand {
  return given(
    'int32',
    Array.from({ length: sizeOf(shape) }, (_, i) => wide[(i + offset) % wide.length]!),
    shape,
  );
}

const call = (inputs: Inputs, attrs: object = {}, reference?: Call['reference']): Call => ({
  inputs,
  attrs,
  ...(reference && { reference }),
});

const shapes = list('- 1 7 3,5 2,3,4 2,1,3,2 2,2,1,3,2');
const empty = list('0 0,3 3,0 2,0,3');
const all = [...shapes, ...empty];

const each = <T>(list: readonly T[], make: (item: T) => readonly Call[]): Call[] => list.flatMap(make);

/** Calls with one tensor: every type and shape, and special or too large values of float32. */
const withAttrs = (attrs: readonly object[]): Call[] =>
  each(attrs, (some_) => [
    ...each(types, (dtype) => each(all, (shape) => [call({ x: some(dtype, shape) }, some_)])),
    // Without values that are too large for the stock sine and cosine.
    call({ x: given('float32', [Infinity, -Infinity, -0, 1e-30, -1e-30, 3e4, 0.5, -0.5, 1.5, 2.5]) }, some_),
  ]);
const withAttrsWide = (attrs: readonly object[]): Call[] => [
  ...withAttrs(attrs),
  ...each(attrs, (a) => [call({ x: large([2, 5]) }, a)]),
];
const unary = () => withAttrs([{}]);
const unaryWide = () => withAttrsWide([{}]);

const pairs = lists(
  '- - | 7 7 | 3,5 3,5 | 3,5 - | - 3,5 | 3,5 5 | 5 3,5 | 3,5 3,1 | 3,1 3,5 | 3,1 5 | 2,1,3 4,1 | 2,3,4 3,1 | 2,3,1,2 2,1,2,2 | 2,1,2,1,3 2,1,3,1 | 0 - | 0,3 3 | 1,3 0,1 | 2,0,3 2,1,1',
);

const binary = (): Call[] =>
  each(types, (first) =>
    each(types, (second) => each(pairs, ([a, b]) => [call({ a: some(first, a), b: some(second, b) })])),
  );
const binaryWide = (): Call[] => [
  ...binary(),
  call({ a: large([8]), b: some('int32', [8], 1, 3) }),
  call({ a: large([2, 8]), b: given('int32', [3], []) }),
  call({ a: some('int32', [8], 1, 3), b: large([8], 5) }),
  call({ a: large([8]), b: large([8]) }),
  call({
    a: given('float32', [Number.NaN, 1, Infinity, -Infinity, 0]),
    b: given('float32', [1, Number.NaN, Infinity, 1, -0]),
  }),
];

const axesOf = (rank: number): (number | number[])[] => [
  ...Array.from({ length: 2 * rank }, (_, i) => i - rank),
  ...(rank > 1 ? [[0, rank - 1], [-1, 0], [...Array(rank).keys()], [-2, -1]] : []),
  ...(rank > 2 ? list('0,2 1,-1 1,2') : []),
  [],
];

/** The results of reductions of no values, if defined. Those of the CPU backend are undefined. */
const neutral: Readonly<Record<string, number>> = { All: 1, Any: 0, Mean: Number.NaN, Prod: 1, Sum: 0 };

function ofNothing(
  name: string,
  { shape, dtype }: Operand,
  axis: number | number[],
  keepDims: boolean,
): Call['expected'] {
  const axes = [axis].flat().map((one) => (one + shape.length) % shape.length);
  const out = shape.flatMap((size, i) => (axes.includes(i) ? (keepDims ? [1] : []) : [size]));
  if (!(name in neutral) && !out.includes(0)) return 'EMPTY_TENSOR';
  const counts = /Arg/.test(name) || (/Sum|Prod/.test(name) && dtype === 'bool');
  const type = name === 'Mean' ? 'float32' : counts ? 'int32' : dtype;
  return given(type, Array(sizeOf(out)).fill(neutral[name]), out);
}

const reduction = (name: string): Call[] => {
  const key = name === 'Max' ? 'reductionIndices' : 'axis';
  return [
    ...each(types, (dtype) =>
      each(all, (shape) =>
        each(/Arg/.test(name) ? axesOf(shape.length).filter(Number.isInteger) : axesOf(shape.length), (axis) => {
          const [x, keepDims] = [some(dtype, shape), !/Arg/.test(name) && random() < 0.5];
          const one = call({ x }, { [key]: axis, keepDims });
          return [shape.includes(0) ? { ...one, expected: ofNothing(name, x, axis, keepDims) } : one];
        }),
      ),
    ),
    ...each([0, 1, -1], (axis) => [call({ x: large([2, 4]) }, { [key]: axis, keepDims: false })]),
    ...each([0, -1], (axis) => [
      call({ x: given('float32', [1, Number.NaN, 2, -1, -2, -3], [2, 3]) }, { [key]: axis, keepDims: false }),
    ]),
  ];
};

/** Cumulative sums and products, for which the CPU backend supports no negative axis. */
const running = (): Call[] =>
  each([false, true], (exclusive) =>
    each([false, true], (reverse) =>
      each(types, (dtype) =>
        each(all, (shape) =>
          each(
            Array.from({ length: 2 * shape.length }, (_, i) => i - shape.length),
            (axis) => {
              const attrs = { exclusive, reverse };
              const from0 = axis < 0 ? axis + shape.length : axis;
              return [call({ x: some(dtype, shape, -2, 2) }, { axis, ...attrs }, { attrs: { axis: from0, ...attrs } })];
            },
          ),
        ),
      ),
    ),
  );

const ofTypes = (make: (dtype: NumberType) => readonly Call[]): Call[] => each(types, make);

/** The attributes of a convolution or of a pool. */
const window = { strides: [1, 1], pad: 'same', dataFormat: 'NHWC', dilations: [1, 1] };
const pool = { filterSize: [2, 2], strides: [2, 2], pad: 'valid' };
const images = list('2,5,4,3 1,1,1,1');
const noImages = list('0,5,4,3 2,5,4,0');
const boxes = given('float32', [0, 0, 1, 1, 0.1, 0.2, 0.9, 0.7, 0.5, 0.5, 1.2, 1.4], [3, 4]);

const suppression = (attrs: object): Call[] => {
  const corners = [0, 0, 1, 1, 0, 0.1, 1, 1.1, 0, -0.1, 1, 0.9, 0, 10, 1, 11, 0, 10.1, 1, 11.1, 0, 100, 1, 101];
  const scores = [0.9, 0.75, 0.6, 0.95, 0.5, 0.3];
  const common = { maxOutputSize: 4, iouThreshold: 0.5, scoreThreshold: 0.2, ...attrs };
  return [
    call({ boxes: given('float32', corners, [6, 4]), scores: given('float32', scores) }, common),
    call(
      { boxes: given('float32', corners, [6, 4]), scores: given('float32', scores) },
      { ...common, maxOutputSize: 0 },
    ),
    call(
      { boxes: given('float32', corners, [6, 4]), scores: given('float32', scores) },
      { ...common, scoreThreshold: 2 },
    ),
    call(
      { boxes: given('float32', corners, [6, 4]), scores: given('float32', scores) },
      { ...common, iouThreshold: 0 },
    ),
    call({ boxes: given('float32', corners, [6, 4]), scores: some('int32', [6], 1, 4) }, common),
    call({ boxes: some('int32', [6, 4], 0, 9), scores: given('float32', scores) }, common),
    call({ boxes: some('int32', [6, 4], 0, 9), scores: some('bool', [6]) }, common),
    call({ boxes: some('float32', [0, 4]), scores: some('float32', [0]) }, common),
  ];
};

const resize = (): Call[] =>
  ofTypes((dtype) =>
    each([...images, ...noImages], (shape) =>
      each(list('3,7 10,8 1,1 5,4 0,3'), (size) =>
        each(
          [
            [false, false],
            [true, false],
            [false, true],
          ],
          ([alignCorners, halfPixelCenters]) => [
            call({ images: some(dtype, shape) }, { alignCorners, halfPixelCenters, size }),
          ],
        ),
      ),
    ),
  );
/** The CPU backend exchanges height and width, uses the first image for all images, and may not end. */
const resizeGradient = (): Call[] =>
  ofTypes((dtype) =>
    ofTypes((of) =>
      each(list('1,5,4,3 1,3,2,2 0,5,4,3 1,5,4,0'), (shape) =>
        each(list('3,7 10,8 1,1 5,4 0,4'), ([height, width]) =>
          each([false, true], (alignCorners) => [
            call(
              { images: some(of, shape), dy: some(dtype, [shape[0], height, width, shape[3]]) },
              { alignCorners },
              { shape },
            ),
          ]),
        ),
      ),
    ),
  );

/** The calls of each kernel, in alphabetical order. Other kernels are tested in other files (see `elsewhere`). */
export const calls: Readonly<Record<string, (name: string) => readonly Call[]>> = {
  Abs: unaryWide,
  Acos: unary,
  Acosh: unary,
  Add: binaryWide,
  AddN: () => [
    ...ofTypes((dtype) =>
      each([...shapes, ...empty], (shape) =>
        each([1, 2, 3, 5], (count) => [call(Array.from({ length: count }, () => some(dtype, shape)))]),
      ),
    ),
    call([large([8]), some('int32', [8]), some('int32', [8])]),
  ],
  All: reduction,
  Any: reduction,
  ArgMax: reduction,
  ArgMin: reduction,
  Asin: unary,
  Asinh: unary,
  Atan: unary,
  Atan2: binary,
  Atanh: unary,
  AvgPool: () =>
    ofTypes((dtype) =>
      each([...images, ...noImages], (shape) => [call({ x: some(dtype, shape) }, { ...pool, pad: 'same' })]),
    ),
  AvgPoolGrad: () =>
    ofTypes((dtype) =>
      each(list('2,4,4,3 0,4,4,3 2,4,4,0'), ([n, h, w, c]) => [
        call({ dy: some(dtype, [n!, 2, 2, c!]), input: some(dtype, [n!, h!, w!, c!]) }, pool),
      ]),
    ),
  BatchMatMul: () => [
    ...ofTypes((a) =>
      ofTypes((b) =>
        each([false, true], (transposeA) =>
          each([false, true], (transposeB) =>
            each(
              lists(
                '1,2,3 1,3,4 | 3,2,3 3,3,4 | 1,2,3 3,3,4 | 3,2,3 1,3,4 | 1,0,3 1,3,4 | 1,2,0 1,0,4 | 1,2,3 1,3,0 | 0,2,3 0,3,4',
              ),
              ([[n, r, k], [m, , c]]) => [
                call(
                  {
                    a: some(a, transposeA ? [n, k, r] : [n, r, k]),
                    b: some(b, transposeB ? [m, c, k] : [m, k, c]),
                  },
                  { transposeA, transposeB },
                ),
              ],
            ),
          ),
        ),
      ),
    ),
    call({ a: large([1, 2, 2]), b: some('int32', [1, 2, 2], -1, 1) }, { transposeA: false, transposeB: false }),
  ],
  BatchToSpaceND: () =>
    ofTypes((dtype) => [
      call(
        { x: some(dtype, [4, 2, 2, 3]) },
        {
          blockShape: [2, 2],
          crops: list('0,0 0,0'),
        },
      ),
      call(
        { x: some(dtype, [4, 2, 3, 1]) },
        {
          blockShape: [2, 2],
          crops: list('1,0 0,2'),
        },
      ),
      call({ x: some(dtype, [6, 2]) }, { blockShape: [3], crops: list('1,1') }),
      call({ x: some(dtype, [6, 2, 5]) }, { blockShape: [3], crops: list('1,1') }),
      call(
        { x: some(dtype, [4, 2, 2, 0]) },
        {
          blockShape: [2, 2],
          crops: list('0,0 0,0'),
        },
      ),
      call(
        { x: some(dtype, [0, 2, 2, 3]) },
        {
          blockShape: [2, 2],
          crops: list('0,0 0,0'),
        },
      ),
    ]),
  Bincount: () =>
    ofTypes((dtype) => [
      call({ x: given('int32', [1, 0, 2, 1, 1]), weights: some(dtype, [5]) }, { size: 3 }),
      call({ x: given('int32', [1, 0, 2, 1, 9]), weights: some(dtype, [5]) }, { size: 3 }),
      call({ x: given('int32', [1, 0, 2, 1, 1]), weights: some(dtype, [0]) }, { size: 4 }),
      call({ x: given('int32', []), weights: some(dtype, [0]) }, { size: 4 }),
      call({ x: given('int32', [1, 0, 2, 1, 1]), weights: some(dtype, [5]) }, { size: 0 }),
      call({ x: given('bool', [1, 0, 1, 1, 1]), weights: some(dtype, [5]) }, { size: 3 }),
      call({ x: given('float32', [1, 0, 2, 1, 1]), weights: some(dtype, [5]) }, { size: 3 }),
    ]),
  BitwiseAnd: () => [
    ...each(pairs, ([a, b]) => [call({ a: some('int32', a), b: some('int32', b) })]),
    call({ a: large([8]), b: large([8], 3) }),
  ],
  BroadcastArgs: () => [
    call({ s0: given('int32', [2, 1, 3]), s1: given('int32', [4, 1]) }),
    call({ s0: given('int32', []), s1: given('int32', [4, 1]) }),
    call({ s0: given('int32', []), s1: given('int32', []) }),
  ],
  Cast: () => withAttrsWide(types.map((dtype) => ({ dtype }))),
  Ceil: unaryWide,
  ClipByValue: () =>
    withAttrsWide([
      { clipValueMin: -1, clipValueMax: 2 },
      { clipValueMin: 1e-7, clipValueMax: 1 },
      { clipValueMin: 0.5, clipValueMax: 0.75 },
    ]),
  Concat: () => [
    ...ofTypes((dtype) =>
      each(
        [
          [0, list('2,3 1,3')],
          [1, list('2,3 2,1 2,4')],
          [-1, list('2,3 2,1')],
          [-2, list('2,3 1,3')],
          [0, list('0,3 2,3')],
          [0, list('2,3 0,3')],
          [1, list('2,0 2,3 2,1')],
          [1, list('2,0 2,0')],
          [0, list('0,3 0,3')],
          [0, list('4')],
          [2, list('2,1,3 2,1,2')],
        ] as const,
        ([axis, list]) => [
          call(
            list.map((shape) => some(dtype, shape)),
            { axis },
          ),
        ],
      ),
    ),
    ...ofTypes((a) => ofTypes((b) => [call([some(a, [2, 3]), some(b, [1, 3])], { axis: 0 })])),
  ],
  Conv2D: () =>
    ofTypes((x) =>
      ofTypes((w) =>
        each([...images, ...noImages], (shape) => [
          call({ x: some(x, shape), filter: some(w, [3, 3, shape[3], 2]) }, window),
          call({ x: some(x, shape), filter: some(w, [3, 3, shape[3], 0]) }, window),
        ]),
      ),
    ),
  Conv2DBackpropFilter: () =>
    ofTypes((x) =>
      ofTypes((dy) =>
        each(list('2,5,4,3 0,5,4,3 2,5,4,0'), ([n, h, w, c]) => [
          call(
            { x: some(x, [n!, h!, w!, c!]), dy: some(dy, [n!, h!, w!, 2]) },
            { ...window, filterShape: [3, 3, c, 2] },
          ),
        ]),
      ),
    ),
  Conv2DBackpropInput: () =>
    ofTypes((w) =>
      ofTypes((dy) =>
        each(list('2,5,4,3 0,5,4,3 2,5,4,0'), ([n, h, wi, c]) => [
          call(
            { dy: some(dy, [n!, h!, wi!, 2]), filter: some(w, [3, 3, c!, 2]) },
            { ...window, inputShape: [n, h, wi, c] },
          ),
        ]),
      ),
    ),
  Cos: unary,
  Cosh: unary,
  CropAndResize: () =>
    ofTypes((dtype) =>
      each(['bilinear', 'nearest'], (method) => [
        ...each(list('3,4 1,1 0,2'), (cropSize) => [
          call(
            { image: some(dtype, [2, 5, 4, 3]), boxes, boxInd: given('int32', [1, 0, 1]) },
            { cropSize, method, extrapolationValue: 0.5 },
          ),
        ]),
        call(
          { image: some(dtype, [2, 5, 4, 3]), boxes: some('float32', [0, 4]), boxInd: given('int32', []) },
          { cropSize: [2, 2], method, extrapolationValue: 0 },
        ),
        call(
          { image: some(dtype, [2, 5, 4, 0]), boxes, boxInd: given('int32', [1, 0, 1]) },
          { cropSize: [2, 2], method, extrapolationValue: 0 },
        ),
        call(
          { image: some(dtype, [2, 5, 4, 3]), boxes: some('int32', [3, 4], 0, 1), boxInd: given('int32', [1, 0, 1]) },
          { cropSize: [2, 2], method, extrapolationValue: 0 },
        ),
        call(
          { image: some(dtype, [2, 5, 4, 3]), boxes, boxInd: given('float32', [1, 0, 1]) },
          { cropSize: [2, 2], method, extrapolationValue: 0 },
        ),
      ]),
    ),
  Cumprod: running,
  Cumsum: running,
  DenseBincount: () =>
    ofTypes((dtype) =>
      each([false, true], (binaryOutput) => [
        // For one row, the CPU backend counts where it should only mark.
        ...each([3, 0], (size) =>
          each([5, 0], (count) => {
            const [values, weights] = [[1, 0, 2, 1, 1], some(dtype, [count])];
            const inputs = {
              x: given('int32', values, [1, 5]),
              weights: { ...weights, shape: [Math.sign(count), count] },
            };
            return [call({ x: given('int32', values), weights }, { size, binaryOutput }, { inputs, shape: [size] })];
          }),
        ),
        call(
          { x: given('int32', [1, 0, 2, 1, 1, 0], [2, 3]), weights: some(dtype, [2, 3]) },
          { size: 4, binaryOutput },
        ),
        call(
          { x: given('int32', [1, 0, 2, 1, 1, 9], [2, 3]), weights: some(dtype, [0, 3]) },
          { size: 4, binaryOutput },
        ),
        call({ x: given('int32', [], [0, 3]), weights: some(dtype, [0, 3]) }, { size: 4, binaryOutput }),
        call({ x: given('int32', [], [2, 0]), weights: some(dtype, [2, 0]) }, { size: 4, binaryOutput }),
        call({ x: given('bool', [1, 0, 1, 1, 1]), weights: some(dtype, [5]) }, { size: 3, binaryOutput }),
        call({ x: given('float32', [1, 0, 2, 1, 1]), weights: some(dtype, [5]) }, { size: 3, binaryOutput }),
      ]),
    ),
  DepthToSpace: () =>
    ofTypes((dtype) => [
      call({ x: some(dtype, [1, 2, 3, 12]) }, { blockSize: 2, dataFormat: 'NHWC' }),
      call({ x: some(dtype, [2, 2, 2, 9]) }, { blockSize: 3, dataFormat: 'NHWC' }),
      call({ x: some(dtype, [0, 2, 2, 4]) }, { blockSize: 2, dataFormat: 'NHWC' }),
      call({ x: some(dtype, [1, 0, 2, 4]) }, { blockSize: 2, dataFormat: 'NHWC' }),
    ]),
  DepthwiseConv2dNative: () =>
    ofTypes((x) =>
      ofTypes((w) =>
        each([...images, ...noImages], (shape) => [
          call({ x: some(x, shape), filter: some(w, [3, 3, shape[3], 2]) }, window),
          call({ x: some(x, shape), filter: some(w, [3, 3, shape[3], 0]) }, window),
        ]),
      ),
    ),
  DepthwiseConv2dNativeBackpropFilter: () =>
    ofTypes((x) =>
      ofTypes((dy) =>
        each(list('2,5,4,3 0,5,4,3 2,5,4,0'), ([n, h, w, c]) => [
          call(
            { x: some(x, [n!, h!, w!, c!]), dy: some(dy, [n!, h!, w!, c! * 2]) },
            { ...window, filterShape: [3, 3, c, 2] },
          ),
        ]),
      ),
    ),
  DepthwiseConv2dNativeBackpropInput: () =>
    ofTypes((w) =>
      ofTypes((dy) =>
        each(list('2,5,4,3 0,5,4,3 2,5,4,0'), ([n, h, wi, c]) => [
          call(
            { dy: some(dy, [n!, h!, wi!, c! * 2]), filter: some(w, [3, 3, c!, 2]) },
            { ...window, inputShape: [n, h, wi, c] },
          ),
        ]),
      ),
    ),
  Diag: () => ofTypes((dtype) => each(list('4 2,3 1 0 2,0 -'), (shape) => [call({ x: some(dtype, shape) })])),
  Dilation2D: () =>
    ofTypes((x) =>
      ofTypes((w) =>
        each([...images, ...noImages], (shape) =>
          each(['same', 'valid'], (pad) =>
            pad === 'valid' && shape[1] === 1
              ? []
              : [
                  call(
                    { x: some(x, shape), filter: some(w, [2, 2, shape[3]]) },
                    { strides: [1, 1], pad, dilations: [1, 1] },
                  ),
                ],
          ),
        ),
      ),
    ),
  Dilation2DBackpropFilter: () =>
    ofTypes((x) =>
      ofTypes((dy) =>
        each([...images, ...noImages], (shape) => [
          call(
            { x: some(x, shape), filter: some(x, [2, 2, shape[3]]), dy: some(dy, shape) },
            { strides: [1, 1], pad: 'same', dilations: [1, 1] },
          ),
        ]),
      ),
    ),
  Dilation2DBackpropInput: () =>
    ofTypes((x) =>
      ofTypes((dy) =>
        each([...images, ...noImages], (shape) => [
          call(
            { x: some(x, shape), filter: some(x, [2, 2, shape[3]]), dy: some(dy, shape) },
            { strides: [1, 1], pad: 'same', dilations: [1, 1] },
          ),
        ]),
      ),
    ),
  Elu: unary,
  EluGrad: () =>
    ofTypes((a) =>
      ofTypes((b) => each(list('7 2,3 0 0,3 -'), (shape) => [call({ dy: some(a, shape), y: some(b, shape) })])),
    ),
  Equal: binaryWide,
  Erf: unary,
  Exp: unary,
  ExpandDims: () =>
    ofTypes((dtype) =>
      each(list('- 3 2,3 0,3'), (shape) =>
        each(
          Array.from({ length: 2 * shape.length + 2 }, (_, i) => i - shape.length - 1),
          (dim) => [call({ input: some(dtype, shape) }, { dim })],
        ),
      ),
    ),
  Expm1: unary,
  Fill: () =>
    ofTypes((dtype) => each(all, (shape) => each([0, 1, 3, -2], (value) => [call({}, { shape, value, dtype })]))),
  FlipLeftRight: () =>
    ofTypes((dtype) => each([...images, ...noImages], (shape) => [call({ image: some(dtype, shape) })])),
  Floor: unaryWide,
  FloorDiv: binaryWide,
  FusedBatchNorm: () =>
    ofTypes((x) =>
      ofTypes((m) =>
        each(list('2,3,2,4 5,4 0,3,2,4 2,3,2,0'), (shape) => {
          const channels = [shape.at(-1)!];
          const [mean, variance] = [some(m, channels), some(m, channels, 1, 3)];
          return [
            call({ x: some(x, shape), mean, variance }, { varianceEpsilon: 0.5 }),
            call(
              { x: some(x, shape), mean, variance, offset: some(m, channels), scale: some(m, channels) },
              { varianceEpsilon: 0.5 },
            ),
            call({ x: some(x, shape), mean, variance, scale: some(m, channels) }, { varianceEpsilon: 0.5 }),
          ];
        }),
      ),
    ),
  FusedConv2D: () =>
    ofTypes((x) =>
      ofTypes((b) =>
        each(['linear', 'relu', 'elu', 'prelu', 'leakyrelu', 'sigmoid'], (activation) =>
          each(list('2,5,4,3 0,5,4,3'), (shape) => [
            call(
              {
                x: some(x, shape),
                filter: some('float32', [3, 3, 3, 2]),
                bias: some(b, [2]),
                ...(activation === 'prelu' && { preluActivationWeights: some('float32', [2]) }),
              },
              { ...window, activation, leakyreluAlpha: 0.25 },
            ),
          ]),
        ),
      ),
    ),
  FusedDepthwiseConv2D: () =>
    ofTypes((x) =>
      ofTypes((b) =>
        each(['linear', 'relu', 'prelu'], (activation) =>
          each(list('2,5,4,3 0,5,4,3'), (shape) => [
            call(
              {
                x: some(x, shape),
                filter: some('float32', [3, 3, 3, 1]),
                bias: some(b, [3]),
                ...(activation === 'prelu' && { preluActivationWeights: some('float32', [3]) }),
              },
              { ...window, activation },
            ),
          ]),
        ),
      ),
    ),
  GatherNd: () =>
    ofTypes((dtype) => [
      call({ params: some(dtype, [3, 4]), indices: given('int32', [0, 1, 2, 3, 1, 1], [3, 2]) }),
      call({ params: some(dtype, [3, 4]), indices: given('int32', [2, 0], [2, 1]) }),
      call({ params: some(dtype, [3, 4, 2]), indices: given('int32', [0, 1, 2, 3], [2, 1, 2]) }),
      call({ params: some(dtype, [3, 4]), indices: given('int32', [], [0, 2]) }),
      {
        ...call({ params: some(dtype, [3, 0]), indices: given('int32', [2, 0], [2, 1]) }),
        expected: given(dtype, [], [2, 0]),
      },
      call({ params: some(dtype, [3, 4]), indices: given('float32', [2, 0], [2, 1]) }),
    ]),
  GatherV2: () =>
    ofTypes((dtype) => [
      ...each([0, 1, 2, -1, -2, -3], (axis) => [
        call({ x: some(dtype, [3, 4, 5]), indices: given('int32', [2, 0, 1, 1], [2, 2]) }, { axis, batchDims: 0 }),
        call({ x: some(dtype, [3, 4, 5]), indices: given('int32', [], [0]) }, { axis, batchDims: 0 }),
        call({ x: some(dtype, [3, 4, 5]), indices: given('int32', [2], []) }, { axis, batchDims: 0 }),
      ]),
      ...each([1, 2], (axis) => [
        call({ x: some(dtype, [2, 4, 5]), indices: given('int32', [2, 0, 1, 3], [2, 2]) }, { axis, batchDims: 1 }),
      ]),
      call({ x: some(dtype, [3, 0]), indices: given('int32', [2, 0]) }, { axis: 0, batchDims: 0 }),
      call({ x: some(dtype, [0, 3]), indices: given('int32', [2, 0]) }, { axis: 1, batchDims: 0 }),
      call({ x: some(dtype, [3, 4]), indices: given('bool', [1, 0, 1]) }, { axis: 0, batchDims: 0 }),
      call({ x: some(dtype, [3, 4]), indices: given('float32', [1, 0, 2]) }, { axis: 0, batchDims: 0 }),
    ]),
  Greater: binaryWide,
  GreaterEqual: binaryWide,
  Identity: unaryWide,
  IsFinite: unaryWide,
  IsInf: unaryWide,
  IsNan: unaryWide,
  LRN: () =>
    ofTypes((dtype) =>
      each([...images, ...noImages], (shape) => [
        call({ x: some(dtype, shape) }, { depthRadius: 1, bias: 1, alpha: 0.5, beta: 0.75 }),
      ]),
    ),
  LRNGrad: () =>
    ofTypes((dtype) =>
      each([...images, ...noImages], (shape) => [
        call(
          { x: some(dtype, shape), y: some('float32', shape), dy: some('float32', shape) },
          { depthRadius: 1, bias: 1, alpha: 0.5, beta: 0.75 },
        ),
        call(
          { x: some('float32', shape), y: some('float32', shape), dy: some(dtype, shape) },
          { depthRadius: 1, bias: 1, alpha: 0.5, beta: 0.75 },
        ),
      ]),
    ),
  LeakyRelu: () => withAttrs([{ alpha: 0.25 }]),
  Less: binaryWide,
  LessEqual: binaryWide,
  LinSpace: () =>
    each([1, 2, 5], (num) => [call({}, { start: -1, stop: 3, num }), call({}, { start: 3, stop: 3, num })]),
  Log: unary,
  Log1p: unary,
  LogicalAnd: binary,
  LogicalNot: unary,
  LogicalOr: binary,
  // No operation of TensorFlow.js uses it, and the CPU backend has no such kernel.
  LogicalXor: () =>
    ofTypes((dtype) => [
      {
        ...call({ a: given(dtype, [0, 0, 1, 1]), b: given(dtype, [0, 1, 0, 1]) }),
        expected: dtype === 'bool' ? given('bool', [0, 1, 1, 0]) : 'UNSUPPORTED_DTYPE',
      },
    ]),
  Max: reduction,
  MaxPool: () =>
    ofTypes((dtype) =>
      each([...images, ...noImages], (shape) => [
        call({ x: some(dtype, shape) }, { ...pool, pad: 'same' }),
        call({ x: some(dtype, shape) }, { ...pool, filterSize: [1, 1], strides: [1, 1], pad: 'same' }),
      ]),
    ),
  MaxPoolGrad: () =>
    ofTypes((dtype) =>
      ofTypes((of) =>
        each(list('2,4,4,3 0,4,4,3 2,4,4,0'), ([n, h, w, c]) => {
          // One value of each window is 1, and all others 0.
          const place = (i: number) => [Math.floor(i / c / w) % h, Math.floor(i / c) % w] as const;
          const hit = (i: number) => place(i)[0] % 2 === i % 2 && place(i)[1] % 2 === 1;
          const input = Array.from({ length: n * h * w * c }, (_, i) => Number(hit(i)));
          return [
            call(
              {
                dy: some(of, [n, 2, 2, c]),
                input: given(dtype, input, [n, h, w, c]),
                output: given(dtype, Array(n * 4 * c).fill(1), [n, 2, 2, c]),
              },
              pool,
            ),
          ];
        }),
      ),
    ),
  MaxPoolWithArgmax: () =>
    ofTypes((dtype) =>
      each([...images, ...noImages], (shape) =>
        each([false, true], (includeBatchInIndex) => [
          call({ x: some(dtype, shape) }, { ...pool, pad: 'same', includeBatchInIndex }),
        ]),
      ),
    ),
  Maximum: binaryWide,
  Mean: reduction,
  Min: reduction,
  Minimum: binaryWide,
  MirrorPad: () =>
    ofTypes((dtype) =>
      each(['reflect', 'symmetric'], (mode) => [
        call(
          { x: some(dtype, [3, 4]) },
          {
            paddings: list('1,2 2,1'),
            mode,
          },
        ),
        call({ x: some(dtype, [5]) }, { paddings: list('3,0'), mode }),
        call(
          { x: some(dtype, [2, 3, 2]) },
          {
            paddings: list('1,1 0,2 1,0'),
            mode,
          },
        ),
        call(
          { x: some(dtype, [2, 3, 2, 2]) },
          {
            paddings: list('0,0 1,1 1,1 0,0'),
            mode,
          },
        ),
        call(
          { x: some(dtype, [2, 2, 2, 2, 2]) },
          {
            paddings: list('0,1 1,1 1,1 0,0 0,0'),
            mode,
          },
        ),
        call(
          { x: some(dtype, [0, 3]) },
          {
            paddings: list('0,0 1,1'),
            mode,
          },
        ),
      ]),
    ),
  Mod: binaryWide,
  Multinomial: () =>
    // One outcome has probability 1, since the random generators differ.
    each([true, false], (normalized) => [
      call(
        { logits: given('float32', normalized ? [0, 1, 0, 1, 0, 0] : [-1e4, 0, -1e4, 0, -1e4, -1e4], [2, 3]) },
        { numSamples: 4, seed: 7, normalized },
      ),
      call({ logits: given('float32', [], [0, 3]) }, { numSamples: 4, seed: 7, normalized }),
      call({ logits: given('float32', [0, 1, 0, 1], [2, 2]) }, { numSamples: 0, seed: 7, normalized }),
      ...(normalized
        ? each(['int32', 'bool'] as NumberType[], (dtype) => [
            call({ logits: given(dtype, [0, 1, 0, 1, 0, 0], [2, 3]) }, { numSamples: 4, seed: 7, normalized }),
          ])
        : []),
    ]),
  Multiply: () => binaryWide().slice(0, -2),
  Neg: unaryWide,
  NonMaxSuppressionV3: () => suppression({}),
  NonMaxSuppressionV4: () => [
    ...suppression({ padToMaxOutputSize: false }),
    ...suppression({ padToMaxOutputSize: true }),
  ],
  NonMaxSuppressionV5: () => [...suppression({ softNmsSigma: 0 }), ...suppression({ softNmsSigma: 0.5 })],
  NotEqual: binaryWide,
  OneHot: () =>
    each(types, (dtype) =>
      each(list('- 4 2,3 0 0,3'), (shape) =>
        each([3, 1], (depth) =>
          each(list('1,0 0,1 2,-1 0.5,0.25'), ([onValue, offValue]) => [
            call({ indices: some('int32', shape, -1, 3) }, { depth, onValue, offValue, dtype }),
          ]),
        ),
      ),
    ),
  OnesLike: unary,
  Pack: () =>
    ofTypes((dtype) =>
      each(list('- 3 2,3 0,3'), (shape) =>
        each(
          Array.from({ length: 2 * shape.length + 2 }, (_, i) => i - shape.length - 1),
          (axis) =>
            each([1, 3], (count) => [
              call(
                Array.from({ length: count }, () => some(dtype, shape)),
                { axis },
                {
                  attrs: { axis: axis < 0 ? axis + shape.length + 1 : axis },
                },
              ),
            ]),
        ),
      ),
    ),
  PadV2: () =>
    ofTypes((dtype) =>
      each([0, 1, -2, 0.5], (constantValue) => [
        call({ x: some(dtype, [4]) }, { paddings: list('1,2'), constantValue }),
        call(
          { x: some(dtype, [3, 4]) },
          {
            paddings: list('1,0 0,2'),
            constantValue,
          },
        ),
        call(
          { x: some(dtype, [2, 3, 2]) },
          {
            paddings: list('1,0 0,2 1,1'),
            constantValue,
          },
        ),
        call(
          { x: some(dtype, [2, 2, 3, 2]) },
          {
            paddings: list('0,0 1,0 0,2 0,0'),
            constantValue,
          },
        ),
        call(
          { x: some(dtype, [2, 2, 3, 2]) },
          {
            paddings: list('1,1 1,0 0,2 2,1'),
            constantValue,
          },
        ),
        call(
          { x: some(dtype, [2, 2, 2, 2, 2]) },
          {
            paddings: list('0,1 1,0 0,0 0,2 1,1'),
            constantValue,
          },
        ),
        call(
          { x: some(dtype, [0, 3]) },
          {
            paddings: list('1,0 0,2'),
            constantValue,
          },
        ),
        call(
          { x: some(dtype, [0, 3]) },
          {
            paddings: list('0,0 0,2'),
            constantValue,
          },
        ),
      ]),
    ),
  Pow: binary,
  Prelu: () =>
    ofTypes((x) =>
      ofTypes((alpha) =>
        each(
          lists('2,3,4 4 | 2,3,4 3,4 | 2,3,4 2,3,4 | 2,3,4 1,1,4 | 2,3,4 1,3,1 | 2,3,4 - | 5 1 | 0,3 3 | 2,0 1,1'),
          ([left, right]) => [call({ x: some(x, left), alpha: some(alpha, right) })],
        ),
      ),
    ),
  Prod: reduction,
  Range: () =>
    each(['float32', 'int32'], (dtype) => [
      call({}, { start: 0, stop: 5, step: 2, dtype }),
      call({}, { start: 3, stop: -3, step: -1, dtype }),
      call({}, { start: 3, stop: 3, step: 1, dtype }),
    ]),
  RealDiv: binaryWide,
  Reciprocal: unary,
  Relu: unaryWide,
  Relu6: unaryWide,
  Reshape: () =>
    ofTypes((dtype) => [
      call({ x: some(dtype, [2, 6]) }, { shape: [3, -1] }),
      call({ x: some(dtype, [2, 0]) }, { shape: [0, 5] }),
      call({ x: some(dtype, []) }, { shape: [1, 1] }),
    ]),
  ResizeBilinear: resize,
  ResizeBilinearGrad: resizeGradient,
  ResizeNearestNeighbor: resize,
  ResizeNearestNeighborGrad: resizeGradient,
  Reverse: () =>
    ofTypes((dtype) =>
      each(all, (shape) => each(axesOf(shape.length), (dims) => [call({ x: some(dtype, shape) }, { dims })])),
    ),
  RotateWithOffset: () =>
    ofTypes((dtype) =>
      each([...images, ...noImages], (shape) =>
        each([0.3, -1.2, 0], (radians) =>
          each([0, 1, 0.5, [1, 2, 3]], (fillValue) => [
            call({ image: some(dtype, shape) }, { radians, fillValue, center: 0.5 }),
          ]),
        ),
      ),
    ),
  Round: unaryWide,
  Rsqrt: unary,
  ScatterNd: () =>
    ofTypes((dtype) => [
      call({ indices: given('int32', [4, 3, 1, 7], [4, 1]), updates: some(dtype, [4]) }, { shape: [8] }),
      call({ indices: given('int32', [4, 4, 1, 7], [4, 1]), updates: some(dtype, [4, 2]) }, { shape: [8, 2] }),
      call({ indices: given('int32', [0, 1, 1, 2], [2, 2]), updates: some(dtype, [2]) }, { shape: [2, 3] }),
      call({ indices: given('int32', [], [0, 1]), updates: some(dtype, [0]) }, { shape: [8] }),
      call({ indices: given('int32', [], [0, 1]), updates: some(dtype, [0, 2]) }, { shape: [8, 2] }),
      call({ indices: given('int32', [0], [1, 1]), updates: some(dtype, [1, 0]) }, { shape: [8, 0] }),
    ]),
  SearchSorted: () =>
    ofTypes((dtype) =>
      each(['left', 'right'], (side) => {
        const sorted = (list: number[], shape: number[]) =>
          given(
            dtype,
            list.map((v) => (dtype === 'bool' ? Number(v > 2) : v)),
            shape,
          );
        return [
          call({ sortedSequence: sorted([0, 1, 3, 5], [1, 4]), values: some(dtype, [1, 3]) }, { side }),
          call({ sortedSequence: sorted([0, 1, 3, 1, 2, 3], [2, 3]), values: some(dtype, [2, 4]) }, { side }),
          call({ sortedSequence: sorted([], [2, 0]), values: some(dtype, [2, 4]) }, { side }),
          call({ sortedSequence: sorted([0, 1, 3, 1, 2, 3], [2, 3]), values: some(dtype, [2, 0]) }, { side }),
        ];
      }),
    ),
  Select: () =>
    ofTypes((t) =>
      ofTypes((e) =>
        each(list('- 1 5 3,4 2,3,4 0 0,3 3,0'), (shape) => [
          call({ condition: some('bool', shape), t: some(t, shape), e: some(e, shape) }),
          ...(shape.length > 1
            ? [call({ condition: some('bool', [shape[0]!]), t: some(t, shape), e: some(e, shape) })]
            : []),
        ]),
      ),
    ),
  Selu: unary,
  Sigmoid: unary,
  Sign: unaryWide,
  Sin: unary,
  Sinh: unary,
  Slice: () =>
    ofTypes((dtype) => [
      call({ x: some(dtype, [5]) }, { begin: [1], size: [3] }),
      call({ x: some(dtype, [3, 4]) }, { begin: [1, 2], size: [2, -1] }),
      call({ x: some(dtype, [3, 4]) }, { begin: [1, 0], size: [1, 4] }),
      call({ x: some(dtype, [2, 3, 4]) }, { begin: [0, 1, 2], size: [2, 1, 2] }),
      call({ x: some(dtype, [2, 3, 2, 4]) }, { begin: [0, 1, 0, 2], size: [2, 1, 2, 2] }),
      call({ x: some(dtype, [2, 2, 2, 2, 3]) }, { begin: [0, 1, 0, 1, 1], size: [2, 1, 2, 1, 2] }),
      call({ x: some(dtype, [3, 4]) }, { begin: [1, 2], size: [0, 2] }),
      call({ x: some(dtype, [0, 4]) }, { begin: [0, 2], size: [0, 2] }),
    ]),
  Softmax: () =>
    ofTypes((dtype) =>
      each(
        all.filter((shape) => shape.length > 0),
        (shape) => [
          call({ logits: some(dtype, shape) }, { dim: shape.length - 1 }),
          call({ logits: some(dtype, shape) }, { dim: -1 }, { attrs: { dim: shape.length - 1 } }),
        ],
      ),
    ),
  Softplus: unary,
  SpaceToBatchND: () =>
    ofTypes((dtype) => [
      call(
        { x: some(dtype, [1, 4, 4, 1]) },
        {
          blockShape: [2, 2],
          paddings: list('0,0 0,0'),
        },
      ),
      call(
        { x: some(dtype, [2, 3, 4, 2]) },
        {
          blockShape: [2, 2],
          paddings: list('1,0 0,2'),
        },
      ),
      call({ x: some(dtype, [2, 3]) }, { blockShape: [2], paddings: list('1,0') }),
      call({ x: some(dtype, [2, 3, 4]) }, { blockShape: [2], paddings: list('0,1') }),
      call(
        { x: some(dtype, [1, 2, 2, 1, 3]) },
        {
          blockShape: [2, 2],
          paddings: list('0,0 0,0'),
        },
      ),
      call(
        { x: some(dtype, [0, 4, 4, 1]) },
        {
          blockShape: [2, 2],
          paddings: list('0,0 0,0'),
        },
      ),
      call(
        { x: some(dtype, [1, 4, 4, 0]) },
        {
          blockShape: [2, 2],
          paddings: list('0,0 0,0'),
        },
      ),
    ]),
  SparseFillEmptyRows: () =>
    ofTypes((dtype) => [
      call({
        indices: given('int32', [0, 0, 1, 0, 1, 3, 3, 2], [4, 2]),
        values: some(dtype, [4]),
        denseShape: given('int32', [5, 6]),
        defaultValue: some(dtype, []),
      }),
      call({
        indices: given('int32', [0, 0, 1, 0], [2, 2]),
        values: some(dtype, [2]),
        denseShape: given('int32', [2, 6]),
        defaultValue: some(dtype, []),
      }),
      call({
        indices: given('int32', [], [0, 2]),
        values: some(dtype, [0]),
        denseShape: given('int32', [2, 6]),
        defaultValue: some(dtype, []),
      }),
      call({
        indices: given('int32', [], [0, 2]),
        values: some(dtype, [0]),
        denseShape: given('int32', [0, 6]),
        defaultValue: some(dtype, []),
      }),
    ]),
  SparseReshape: () => [
    call({
      inputIndices: given('int32', [0, 0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 1, 2, 3], [5, 3]),
      inputShape: given('int32', [2, 3, 6]),
      newShape: given('int32', [9, -1]),
    }),
    call({
      inputIndices: given('int32', [], [0, 3]),
      inputShape: given('int32', [2, 3, 6]),
      newShape: given('int32', [36]),
    }),
  ],
  SparseSegmentMean: () =>
    ofTypes((dtype) => [
      call({ data: some(dtype, [4, 3]), indices: given('int32', [0, 1, 3]), segmentIds: given('int32', [0, 0, 1]) }),
      call({ data: some(dtype, [4]), indices: given('int32', [0, 1, 3]), segmentIds: given('int32', [0, 2, 2]) }),
      call({ data: some(dtype, [4, 3]), indices: given('int32', []), segmentIds: given('int32', []) }),
      call({ data: some(dtype, [4, 0]), indices: given('int32', [0, 1, 3]), segmentIds: given('int32', [0, 0, 1]) }),
    ]),
  SparseSegmentSum: () =>
    ofTypes((dtype) => [
      call({ data: some(dtype, [4, 3]), indices: given('int32', [0, 1, 3]), segmentIds: given('int32', [0, 0, 1]) }),
      call({ data: some(dtype, [4]), indices: given('int32', [0, 1, 3]), segmentIds: given('int32', [0, 2, 2]) }),
      call({ data: some(dtype, [4, 3]), indices: given('int32', []), segmentIds: given('int32', []) }),
      call({ data: some(dtype, [4, 0]), indices: given('int32', [0, 1, 3]), segmentIds: given('int32', [0, 0, 1]) }),
    ]),
  SparseToDense: () =>
    ofTypes((dtype) => [
      call(
        {
          sparseIndices: given('int32', [0, 1, 1, 2], [2, 2]),
          sparseValues: some(dtype, [2]),
          defaultValue: some(dtype, []),
        },
        { outputShape: [2, 3] },
      ),
      call(
        {
          sparseIndices: given('int32', [4, 1], [2, 1]),
          sparseValues: some(dtype, [2]),
          defaultValue: some(dtype, []),
        },
        { outputShape: [6] },
      ),
      call(
        { sparseIndices: given('int32', [4, 1], [2, 1]), sparseValues: some(dtype, []), defaultValue: some(dtype, []) },
        { outputShape: [6] },
      ),
      call(
        { sparseIndices: given('int32', [], [0, 1]), sparseValues: some(dtype, [0]), defaultValue: some(dtype, []) },
        { outputShape: [6] },
      ),
      call(
        { sparseIndices: given('int32', [], [0, 1]), sparseValues: some(dtype, [0]), defaultValue: some(dtype, []) },
        { outputShape: [0] },
      ),
    ]),
  SplitV: () =>
    ofTypes((dtype) => [
      call({ x: some(dtype, [4, 6]) }, { numOrSizeSplits: 2, axis: 0 }),
      call({ x: some(dtype, [4, 6]) }, { numOrSizeSplits: 3, axis: -1 }),
      call({ x: some(dtype, [4, 6]) }, { numOrSizeSplits: [1, 2, -1], axis: 1 }),
      call({ x: some(dtype, [4, 6]) }, { numOrSizeSplits: [0, 6], axis: 1 }),
      call({ x: some(dtype, [0, 6]) }, { numOrSizeSplits: 2, axis: 1 }),
    ]),
  Sqrt: unary,
  Square: unaryWide,
  SquaredDifference: () => binaryWide().slice(0, -5),
  Step: () => withAttrsWide([{ alpha: 0 }, { alpha: 0.5 }]),
  StridedSlice: () => {
    const masks = { beginMask: 0, endMask: 0, ellipsisMask: 0, newAxisMask: 0, shrinkAxisMask: 0 };
    return ofTypes((dtype) => [
      call({ x: some(dtype, [6]) }, { begin: [1], end: [6], strides: [2], ...masks }),
      call({ x: some(dtype, [6]) }, { begin: [-1], end: [-6], strides: [-2], ...masks }),
      call({ x: some(dtype, [3, 5]) }, { begin: [0, 1], end: [3, 5], strides: [2, 2], ...masks }),
      call({ x: some(dtype, [3, 5]) }, { begin: [2, 4], end: [0, 0], strides: [-1, -2], ...masks }),
      call({ x: some(dtype, [3, 5]) }, { begin: [1, 0], end: [2, 5], strides: [1, 1], ...masks, shrinkAxisMask: 1 }),
      call({ x: some(dtype, [2, 3, 4]) }, { begin: [0, 0, 1], end: [2, 3, 4], strides: [1, 2, 2], ...masks }),
      call(
        { x: some(dtype, [2, 3, 2, 4]) },
        { begin: [0, 0, 0, 1], end: [2, 3, 2, 4], strides: [1, 2, 1, 2], ...masks },
      ),
      call(
        { x: some(dtype, [2, 3, 2, 2, 4]) },
        { begin: [0, 0, 0, 0, 1], end: [2, 3, 2, 2, 4], strides: [1, 2, 1, 1, 2], ...masks },
      ),
      call({ x: some(dtype, [3, 5]) }, { begin: [2, 4], end: [2, 4], strides: [1, 1], ...masks }),
      call({ x: some(dtype, [0, 5]) }, { begin: [0, 0], end: [0, 5], strides: [1, 2], ...masks }),
    ]);
  },
  Sub: binaryWide,
  Sum: reduction,
  Tan: unary,
  Tanh: unary,
  TensorScatterUpdate: () =>
    ofTypes((dtype) => [
      call({ tensor: some(dtype, [8]), indices: given('int32', [4, 3, 1, 7], [4, 1]), updates: some(dtype, [4]) }),
      call({ tensor: some(dtype, [4, 2]), indices: given('int32', [0, 3], [2, 1]), updates: some(dtype, [2, 2]) }),
      call({ tensor: some(dtype, [8]), indices: given('int32', [], [0, 1]), updates: some(dtype, [0]) }),
      call({ tensor: some(dtype, [8, 0]), indices: given('int32', [0], [1, 1]), updates: some(dtype, [1, 0]) }),
    ]),
  Tile: () =>
    ofTypes((dtype) => [
      call({ x: some(dtype, [3]) }, { reps: [4] }),
      call({ x: some(dtype, [2, 3]) }, { reps: [2, 3] }),
      call({ x: some(dtype, [2, 1, 3]) }, { reps: [1, 4, 2] }),
      call({ x: some(dtype, [2, 1, 1, 3, 2]) }, { reps: [1, 2, 2, 1, 3] }),
      call({ x: some(dtype, [2, 3]) }, { reps: [0, 3] }),
      call({ x: some(dtype, [0, 3]) }, { reps: [2, 3] }),
    ]),
  TopK: () =>
    ofTypes((dtype) =>
      each(list('7 3,5 2,2,6 0,4'), (shape) =>
        each([0, 1, 2, 4], (k) => [call({ x: some(dtype, shape) }, { k, sorted: true })]),
      ),
    ),
  Transform: () =>
    ofTypes((dtype) =>
      each(['nearest', 'bilinear'], (interpolation) =>
        each(['constant', 'reflect', 'wrap', 'nearest'], (fillMode) =>
          each(list('1,5,4,3 1,1,1,1 1,5,4,0'), (shape) => [
            call(
              { image: some(dtype, shape), transforms: given('float32', [1, 0.2, -0.4, 0.1, 1, 0.7, 0, 0], [1, 8]) },
              { interpolation, fillMode, fillValue: 1, outputShape: [4, 3] },
            ),
          ]),
        ),
      ),
    ),
  Transpose: () =>
    ofTypes((dtype) =>
      each(
        lists(
          '3,4 1,0 | 3,4 0,1 | 5 0 | - - | 2,3,4 2,0,1 | 2,3,4 0,2,1 | 2,3,4,2 3,1,0,2 | 2,1,4,2 3,1,0,2 | 2,3,2,2,2 4,1,0,3,2 | 2,3,2,2,2,2 4,5,1,0,3,2 | 0,3 1,0 | 2,0,3 2,0,1',
        ),
        ([shape, perm]) => [call({ x: some(dtype, shape) }, { perm })],
      ),
    ),
  Unique: () =>
    ofTypes((dtype) => [
      call({ x: some(dtype, [7]) }, { axis: 0 }),
      call({ x: some(dtype, [3, 4], 0, 1) }, { axis: 0 }),
      call({ x: some(dtype, [3, 4], 0, 1) }, { axis: 1 }),
      call({ x: some(dtype, [3, 4], 0, 1) }, { axis: -1 }),
      call({ x: some(dtype, [0]) }, { axis: 0 }),
    ]),
  Unpack: () =>
    ofTypes((dtype) =>
      each(list('3 2,3 2,3,2 0,3 3,0'), (shape) =>
        each(
          Array.from({ length: 2 * shape.length }, (_, i) => i - shape.length),
          (axis) => [call({ value: some(dtype, shape) }, { axis })],
        ),
      ),
    ),
  UnsortedSegmentSum: () =>
    ofTypes((dtype) => [
      call({ x: some(dtype, [4, 2]), segmentIds: given('int32', [2, 0, 2, 1]) }, { numSegments: 3 }),
      call({ x: some(dtype, [4]), segmentIds: given('int32', [2, 0, 2, 1]) }, { numSegments: 4 }),
      call({ x: some(dtype, [0, 2]), segmentIds: given('int32', []) }, { numSegments: 3 }),
      call({ x: some(dtype, [4, 0]), segmentIds: given('int32', [2, 0, 2, 1]) }, { numSegments: 3 }),
      {
        ...call({ x: some(dtype, [4, 2]), segmentIds: given('int32', [2, 0, 2, 1]) }, { numSegments: 0 }),
        expected: given('float32', [], [0, 2]),
      },
    ]),
  ZerosLike: unary,
  _FusedMatMul: () =>
    ofTypes((a) =>
      ofTypes((b) =>
        each(['linear', 'relu', 'elu', 'prelu', 'leakyrelu', 'sigmoid'], (activation) =>
          each(lists('2,3 3,4 | 0,3 3,4 | 2,0 0,4 | 2,3 3,0'), ([[r, k], [, c]]) => [
            call(
              {
                a: some(a, [1, r, k]),
                b: some('float32', [1, k, c]),
                bias: some(b, [c]),
                ...(activation === 'prelu' && { preluActivationWeights: some('float32', [c]) }),
              },
              { transposeA: false, transposeB: false, activation, leakyreluAlpha: 0.25 },
            ),
          ]),
        ),
      ),
    ),
};

/** The additional kernels: calls of float32, and results of empty tensors. Other files test their values. */
export const own: Readonly<Record<string, readonly Call[]>> = {
  GhlAllFinite: of([4, 0], (n) => ({ x: [n, 3] }), {}, given('bool', [1], [])),
  GhlBatchNorm: of([4, 0], (n) => ({ x: [n, 3] }), { epsilon: 1e-3 }, 'EMPTY_TENSOR'),
  GhlBatchNormGrad: of([4, 0], (n) => ({ dy: [n, 3], y: [n, 3], precision: [3] }), {}, 'EMPTY_TENSOR'),
  GhlCompetition: of([4, 0], (n) => ({ x: [n, 3] }), { temperature: 1 }, 'EMPTY_TENSOR'),
  GhlConv2DBackpropFilter: of(
    [4, 0],
    (n) => ({ x: [n, 5, 4, 3], dy0: [n, 5, 4, 2], dy1: [n, 5, 4, 2] }),
    { ...window, filterShape: [3, 3, 3, 2] },
    'EMPTY_TENSOR',
  ),
  GhlDropout: of(
    [4, 0],
    (n) => ({ x: [n, 3] }),
    { key: [1, 2], threshold: 2 ** 30, scale: 2 },
    given('float32', [], [0, 3]),
  ),
  GhlMove: of(
    [4, 0],
    (n) => ({ weights: [n, 3], gradient: [n, 3] }),
    { program: [['gradient']] },
    given('float32', [], [0, 3]),
  ),
  GhlOverlap: of([4, 0], (n) => ({ a: [n, 3], b: [n, 3] }), {}, given('float32', [0, 0, 0])),
  GhlReluGrad: of([4, 0], (n) => ({ dy: [n, 3], y: [n, 3] }), {}, given('float32', [], [0, 3])),
  GhlUpperProduct: of(
    [4, 0],
    (n) => ({ a: [n, 3], b: [n, 2] }),
    { transposeA: true, upper: 'none' },
    given('float32', [0, 0, 0, 0, 0, 0], [3, 2]),
  ),
};

function of(
  sizes: readonly number[],
  shapesOf: (n: number) => Readonly<Record<string, readonly number[]>>,
  attrs: object,
  expected: NonNullable<Call['expected']>,
): Call[] {
  return sizes.map((n) => ({
    inputs: Object.fromEntries(Object.entries(shapesOf(n)).map(([key, shape]) => [key, some('float32', shape)])),
    attrs,
    ...(n === 0 && { expected }),
  }));
}

/** The kernels that other files test, by file. No file tests those of strings. */
export const elsewhere: Readonly<Record<string, readonly string[]>> = {
  'fused.test.ts': ['GhlChoose'],
  'volumes.test.ts': [
    'AvgPool3D',
    'AvgPool3DGrad',
    'Conv3D',
    'Conv3DBackpropFilterV2',
    'Conv3DBackpropInputV2',
    'MaxPool3D',
    'MaxPool3DGrad',
  ],
  '': ['StringNGrams', 'StringSplit', 'StringToHashBucketFast'],
};
