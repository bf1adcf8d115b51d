/**
 * The filter gradients of a convolution, for several cotangents in one pass over x. They are a product of matrices that
 * are never stored: the transposed patches of x times the concatenated cotangents v.
 *
 *     ∂W[i, j, c, k] = Σ_{b, p, q} x[b, p·s + i − top, q·s + j − left, c] · v[b, p, q, k]
 *
 * Rows are (i, j, c), columns k of one or two cotangents, terms the positions (b, p, q).
 */
import { UnsupportedError } from '@ghl/core';
import { checkShape, FILTER_GRADIENTS, gradientInfo } from '@ghl/core/backend';
import { checkNotEmpty } from '@ghl/core/plugin';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import {
  type backend_util,
  Conv2DBackpropFilter,
  type Conv2DBackpropFilterAttrs,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import { channelsLast, type KernelCall, kernel } from './kernel.js';
import { runPass } from './pass.js';
import {
  addSlice,
  declareTile,
  depth,
  each,
  gather,
  invocations,
  type Panels,
  panelColumns,
  rowOf,
  shares,
  startTile,
  tileRows,
  writeColumns,
} from './tile.js';

export const filterGradient = channelsLast(
  Conv2DBackpropFilter,
  ({ inputs: { x, dy }, attrs, backend }: KernelCall<{ x: TensorInfo; dy: TensorInfo }, Conv2DBackpropFilterAttrs>) =>
    gradients(backend, Conv2DBackpropFilter, x, [dy], attrs)[0]!,
);

export const filterGradients = kernel(
  FILTER_GRADIENTS,
  ({
    inputs: { x, ...cotangents },
    attrs,
    backend,
  }: KernelCall<{ x: TensorInfo; [dy: `dy${number}`]: TensorInfo }, Conv2DBackpropFilterAttrs>) => {
    if (attrs.dataFormat === 'NCHW') {
      throw new UnsupportedError(
        'UNSUPPORTED_DATA_FORMAT',
        `${FILTER_GRADIENTS} got data format 'NCHW'.`,
        "use 'NHWC' ('channelsLast'): several gradients of a filter at once on WebGPU have no other.",
      );
    }
    return gradients(backend, FILTER_GRADIENTS, x, Object.values(cotangents) as TensorInfo[], attrs);
  },
);

function gradients(
  backend: WebGPUBackend,
  name: string,
  x: TensorInfo,
  cotangents: readonly TensorInfo[],
  attrs: Conv2DBackpropFilterAttrs,
): TensorInfo[] {
  for (const dy of cotangents) checkNotEmpty(name, { x, dy });
  const shapes = [x.shape as [number, number, number, number], attrs.filterShape] as const;
  const info = gradientInfo(name, cotangents[0]!, shapes, attrs);
  for (const dy of cotangents) checkShape(name, 'dy', dy, info.outShape);
  return each(Math.ceil(cotangents.length / 2), (i) =>
    gradientsOf(backend, name, info, x, cotangents.slice(2 * i, 2 * i + 2)),
  ).flat();
}

/** For one cotangent, or two. */
function gradientsOf(
  backend: WebGPUBackend,
  name: string,
  info: backend_util.Conv2DInfo,
  x: TensorInfo,
  cotangents: readonly TensorInfo[],
): TensorInfo[] {
  const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels } = info;
  const { filterHeight, filterWidth, strideHeight, strideWidth, padInfo } = info;
  const rows = filterHeight * filterWidth * inChannels;
  const positions = batchSize * outHeight * outWidth;
  const panels: Panels = cotangents.length === 2 || outChannels > panelColumns ? 2 : 1;
  const columnsOfTile = (panels / cotangents.length) * panelColumns;
  const [rowTiles, columnTiles] = [Math.ceil(rows / tileRows), Math.ceil(outChannels / columnsOfTile)];
  const split = shares(rowTiles * columnTiles, positions);
  const vectorsOfX = inChannels % 4 === 0;
  const vectorsOfY = outChannels % 4 === 0;
  const typeOfY = vectorsOfY ? 'vec4<f32>' : 'f32';
  const code = shader(cotangents.length, panels, vectorsOfX, vectorsOfY);
  return gather(
    backend,
    name,
    split.shares,
    cotangents.map(() => info.filterShape),
    (outputs) =>
      runPass(backend, {
        name,
        variant: `${panels} ${cotangents.length}`,
        outputs: Object.fromEntries(outputs.map((tensor, i) => [`dw${i}`, { tensor, type: typeOfY }])),
        inputs: {
          x: { tensor: x, type: vectorsOfX ? 'vec4<f32>' : 'f32' },
          ...Object.fromEntries(cotangents.map((tensor, i) => [`v${i}`, { tensor, type: typeOfY }])),
        },
        integers: {
          ...{
            inHeight,
            inWidth,
            inChannels,
            outHeight,
            outWidth,
            outChannels,
            filterWidth,
            strideHeight,
            strideWidth,
          },
          ...{ top: padInfo.top, left: padInfo.left, rows, positions, rowTiles, columnTiles, share: split.share },
          // The step by 4 positions, as (b, p, q).
          ...{
            stepB: Math.floor(4 / (outHeight * outWidth)),
            stepP: Math.floor(4 / outWidth) % outHeight,
            stepQ: 4 % outWidth,
          },
        },
        size: invocations,
        workgroups: rowTiles * columnTiles * split.shares,
        ...code,
      }),
  );
}

function shader(
  cotangents: number,
  panels: Panels,
  vectorsOfX: boolean,
  vectorsOfY: boolean,
): { declarations: string; body: string } {
  const columnsOfTile = (panels / cotangents) * panelColumns;
  const vectorsAcross = columnsOfTile / 4;
  const termsAtOnce = invocations / vectorsAcross;
  // Four rows at a time, which are four channels of one tap if channels are in vectors.
  const [int, bool] = vectorsOfX ? ['i32', 'bool'] : ['vec4<i32>', 'vec4<bool>'];
  return {
    declarations: declareTile(panels),
    body: `
      let columnTile = group % uniforms.columnTiles;
      let rowTile = group / uniforms.columnTiles % uniforms.rowTiles;
      let share = group / uniforms.columnTiles / uniforms.rowTiles;
      let begin = share * uniforms.share;
      let end = min(begin + uniforms.share, uniforms.positions);

      let rows = ${int}(rowTile * ${tileRows} + 4 * (local % 16))${vectorsOfX ? '' : ' + vec4<i32>(0, 1, 2, 3)'};
      let taps = rows / uniforms.inChannels;
      let channels = rows - taps * uniforms.inChannels;
      let tapH = taps / uniforms.filterWidth - uniforms.top;
      let tapW = taps % uniforms.filterWidth - uniforms.left;
      let first = begin + local / 16;
      var b = first / (uniforms.outHeight * uniforms.outWidth);
      var p = first / uniforms.outWidth % uniforms.outHeight;
      var q = first % uniforms.outWidth;

      let acrossY = local % ${vectorsAcross};
      let column = columnTile * ${columnsOfTile} + 4 * acrossY;
      ${startTile(panels)}
      for (var start = begin; start < end; start += ${depth}) {
        for (var k = local / 16; k < ${depth}; k += 4) {
          let h = p * uniforms.strideHeight + tapH;
          let w = q * uniforms.strideWidth + tapW;
          let inside = (rows < ${int}(uniforms.rows)) & (h >= ${int}()) & (h < ${int}(uniforms.inHeight)) &
            (w >= ${int}()) & (w < ${int}(uniforms.inWidth)) & ${bool}(start + k < end);
          let at = select(
            ${int}(),
            ((b * uniforms.inHeight + h) * uniforms.inWidth + w) * uniforms.inChannels + channels,
            inside,
          );
          left[k * 16 + local % 16] = select(
            vec4<f32>(),
            ${vectorsOfX ? 'x[at / 4]' : 'vec4<f32>(x[at.x], x[at.y], x[at.z], x[at.w])'},
            inside,
          );
          q += uniforms.stepQ;
          let overQ = q >= uniforms.outWidth;
          q -= select(0, uniforms.outWidth, overQ);
          p += uniforms.stepP + select(0, 1, overQ);
          let overP = p >= uniforms.outHeight;
          p -= select(0, uniforms.outHeight, overP);
          b += uniforms.stepB + select(0, 1, overP);
        }
        for (var k = local / ${vectorsAcross}; k < ${depth}; k += ${termsAtOnce}) {
          ${readColumns('(start + k) * uniforms.outChannels + column', 'start + k < end', vectorsOfY)}
          ${each(
            cotangents,
            (v) =>
              `right[k * ${8 * panels} + ${8 * v} + acrossY] = select(vec4<f32>(), ${vectorsOfY ? `v${v}[at / 4]` : `vec4<f32>(v${v}[at.x], v${v}[at.y], v${v}[at.z], v${v}[at.w])`}, inside);`,
          ).join('\n')}
        }
        ${addSlice(panels)}
      }
      ${each(
        8,
        (r) => `{
        let row = rowTile * ${tileRows} + ${rowOf(r)};
        if (row < uniforms.rows) {
          let to = share * uniforms.rows + row;
          ${each(panels, (panel) => {
            const v = cotangents === 2 ? panel : 0;
            const offset = cotangents === 2 ? 0 : panel * panelColumns;
            return `{
            let to4 = columnTile * ${columnsOfTile} + ${offset} + 4 * across;
            ${writeColumns(`dw${v}`, 'to', 'to4', 'uniforms.outChannels', `sum${panel}_${r}`, vectorsOfY)}
          }`;
          }).join('\n')}
        }
      }`,
      ).join('\n')}`,
  };
}

/** The addresses of 4 columns, and which of them exist. */
function readColumns(at: string, inside: string, vectors: boolean): string {
  if (vectors)
    return `
    let inside = ${inside} && column < uniforms.outChannels;
    let at = select(0, ${at}, inside);`;
  return `
    let inside = vec4<bool>(${inside}) & (column + vec4<i32>(0, 1, 2, 3) < vec4<i32>(uniforms.outChannels));
    let at = select(vec4<i32>(), ${at} + vec4<i32>(0, 1, 2, 3), inside);`;
}
