/** The layers on which the cases try plugins. */
import { type Connection, conv1d, conv2d, dense, depthwiseConv2d } from '@ghl/core/engine';
import { type LayerGeometry, postShapeOf } from './reference.js';

/** The core connection of a geometry. */
export function connectionOf({ kind, kernelShape, ...options }: LayerGeometry): Connection {
  const make = {
    dense: () => dense(kernelShape as [number, number]),
    conv1d: () => conv1d(kernelShape as [number, number, number], options),
    conv2d: () => conv2d(kernelShape as [number, number, number, number], options),
    depthwiseConv2d: () => depthwiseConv2d(kernelShape as [number, number, number, number], options),
  };
  return make[kind]();
}

/** A layer with the shape of its input. */
export interface Sample {
  readonly geometry: LayerGeometry;
  readonly preShape: readonly number[];
}

/** The name of a sample in messages. */
export const nameOf = ({ geometry: { kind, kernelShape, ...options }, preShape }: Sample): string =>
  `${kind} [${kernelShape.join(', ')}] on [${preShape.join(', ')}] with ${JSON.stringify(options)}`;

/** A few layers for rules, which together have every connection, a stride, every padding, and dilation. */
export const ruleSamples: readonly Sample[] = [
  { geometry: { kind: 'dense', kernelShape: [5, 4] }, preShape: [6, 5] },
  { geometry: { kind: 'dense', kernelShape: [3, 4] }, preShape: [2, 3, 3] },
  { geometry: { kind: 'conv1d', kernelShape: [3, 2, 4], strides: 2, padding: 'same' }, preShape: [2, 8, 2] },
  { geometry: { kind: 'conv1d', kernelShape: [2, 2, 3], dilations: 3, padding: [[2, 0]] }, preShape: [2, 7, 2] },
  { geometry: { kind: 'conv2d', kernelShape: [1, 1, 3, 4] }, preShape: [2, 3, 3, 3] },
  { geometry: { kind: 'conv2d', kernelShape: [3, 3, 2, 4], padding: 1 }, preShape: [2, 4, 4, 2] },
  { geometry: { kind: 'conv2d', kernelShape: [3, 2, 2, 4], strides: 2, padding: 'same' }, preShape: [2, 5, 4, 2] },
  { geometry: { kind: 'conv2d', kernelShape: [3, 3, 1, 4], strides: [1, 2], dilations: 2 }, preShape: [2, 6, 6, 1] },
  { geometry: { kind: 'depthwiseConv2d', kernelShape: [3, 3, 2, 2], padding: 1 }, preShape: [2, 4, 4, 2] },
  {
    geometry: { kind: 'depthwiseConv2d', kernelShape: [2, 2, 3, 2], strides: 2, dilations: 2, padding: 'same' },
    preShape: [2, 5, 6, 3],
  },
];

const strides2d = [1, 2, [2, 1]] as const;
const dilations2d = [1, 2, [1, 3]] as const;
const paddings2d = [
  'valid',
  'same',
  1,
  [
    [0, 1],
    [2, 0],
  ],
] as const;

function grid(
  kind: LayerGeometry['kind'],
  kernels: readonly (readonly number[])[],
  preShape: (kernel: readonly number[]) => number[],
  paddings: readonly LayerGeometry['padding'][],
  strides: readonly LayerGeometry['strides'][],
  dilations: readonly LayerGeometry['dilations'][],
): Sample[] {
  return kernels
    .flatMap((kernelShape) =>
      paddings.flatMap((padding) =>
        strides.flatMap((stride) =>
          dilations.map((dilation): Sample => {
            const geometry = { kind, kernelShape, padding, strides: stride, dilations: dilation } as LayerGeometry;
            return { geometry, preShape: preShape(kernelShape) };
          }),
        ),
      ),
    )
    .filter(({ geometry, preShape: shape }) => postShapeOf(geometry, shape).every((size) => size > 0));
}

/** The grid on which a backend's kernels are compared with the reference, by connection. */
export const backendSamples: Readonly<Record<LayerGeometry['kind'], readonly Sample[]>> = {
  dense: [
    { geometry: { kind: 'dense', kernelShape: [1, 1] }, preShape: [1, 1] },
    { geometry: { kind: 'dense', kernelShape: [5, 3] }, preShape: [7, 5] },
    { geometry: { kind: 'dense', kernelShape: [37, 19] }, preShape: [13, 37] },
    { geometry: { kind: 'dense', kernelShape: [64, 130] }, preShape: [32, 64] },
    { geometry: { kind: 'dense', kernelShape: [9, 4] }, preShape: [2, 3, 9] },
  ],
  conv1d: [
    ...grid(
      'conv1d',
      [
        [1, 2, 3],
        [3, 2, 4],
        [4, 1, 2],
      ],
      ([, channels]) => [2, 11, channels as number],
      ['valid', 'same', 2, [[3, 0]]],
      [1, 2, 3],
      [1, 2, 3],
    ),
    { geometry: { kind: 'conv1d', kernelShape: [5, 9, 17], strides: 2, padding: 'same' }, preShape: [2, 11, 9] },
  ],
  conv2d: [
    ...grid(
      'conv2d',
      [
        [1, 1, 2, 3],
        [3, 3, 2, 4],
        [4, 3, 3, 5],
      ],
      ([, , channels]) => [2, 9, 8, channels as number],
      paddings2d,
      strides2d,
      dilations2d,
    ),
    // Widths near the tiles of vector units, and 3×3 layers with stride 1, which have special algorithms.
    { geometry: { kind: 'conv2d', kernelShape: [3, 3, 17, 33], padding: 'same' }, preShape: [1, 9, 7, 17] },
    { geometry: { kind: 'conv2d', kernelShape: [3, 3, 8, 16] }, preShape: [3, 10, 9, 8] },
    { geometry: { kind: 'conv2d', kernelShape: [3, 3, 4, 8], padding: 1 }, preShape: [1, 8, 8, 4] },
    { geometry: { kind: 'conv2d', kernelShape: [5, 5, 3, 24], padding: 2 }, preShape: [2, 6, 5, 3] },
  ],
  depthwiseConv2d: grid(
    'depthwiseConv2d',
    [
      [1, 1, 2, 2],
      [3, 3, 5, 1],
      [3, 2, 2, 3],
    ],
    ([, , channels]) => [2, 7, 8, channels as number],
    paddings2d,
    strides2d,
    dilations2d,
  ),
};
