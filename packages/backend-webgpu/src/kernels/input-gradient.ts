/**
 * The input gradient of a convolution, as a product of matrices that are never stored: the patches of ∂y times the
 * rotated filter.
 *
 *     ∂x[b, h, w, c] = Σ_{i, j, k} ∂y[b, p, q, k] · W[i, j, c, k]   over p·s + i − top = h, q·s + j − left = w
 *
 * Rows are the positions (b, h, w), columns c, terms (i, j, k). All rows of a tile have the same (h mod s, w mod s).
 * They use the same taps, 1 of s²; the others are skipped.
 */
import { gradientInfo } from '@ghl/core/backend';
import { checkNotEmpty } from '@ghl/core/plugin';
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { Conv2DBackpropInput, type Conv2DBackpropInputAttrs } from '@tensorflow/tfjs-core';
import { channelsLast, type KernelCall } from './kernel.js';
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

export const inputGradient = channelsLast(
  Conv2DBackpropInput,
  ({
    inputs: { dy, filter },
    attrs,
    backend,
  }: KernelCall<{ dy: TensorInfo; filter: TensorInfo }, Conv2DBackpropInputAttrs>) => {
    checkNotEmpty(Conv2DBackpropInput, { dy, filter });
    type Shape4D = [number, number, number, number];
    const { inputShape } = attrs;
    const info = gradientInfo(Conv2DBackpropInput, dy, [inputShape, filter.shape as Shape4D], attrs);
    const { batchSize, inHeight, inWidth, inChannels, outHeight, outWidth, outChannels } = info;
    const { filterHeight, filterWidth, strideHeight, strideWidth, padInfo } = info;
    // The size of each class of rows. If the stride does not divide the size, some rows of a class do not exist.
    const [classHeight, classWidth] = [Math.ceil(inHeight / strideHeight), Math.ceil(inWidth / strideWidth)];
    const rows = batchSize * classHeight * classWidth;
    const panels: Panels = inChannels > panelColumns ? 2 : 1;
    const rowTiles = Math.ceil(rows / tileRows);
    const columnTiles = Math.ceil(inChannels / (panels * panelColumns));
    const tiles = rowTiles * columnTiles * strideHeight * strideWidth;
    const slices = Math.ceil(outChannels / depth);
    const split = shares(tiles, filterHeight * filterWidth * slices * depth);
    const [vectorsOfY, vectorsOfX] = [outChannels % 4 === 0, inChannels % 4 === 0];
    const typeOfY = vectorsOfY ? 'vec4<f32>' : 'f32';
    return gather(backend, Conv2DBackpropInput, split.shares, [inputShape], ([dx]) =>
      runPass(backend, {
        name: Conv2DBackpropInput,
        variant: `${panels}`,
        outputs: { dx: { tensor: dx!, type: vectorsOfX ? 'vec4<f32>' : 'f32' } },
        inputs: { dy: { tensor: dy, type: typeOfY }, filter_: { tensor: filter, type: typeOfY } },
        integers: {
          ...{ inHeight, inWidth, inChannels, outHeight, outWidth, outChannels, filterHeight, filterWidth },
          ...{ strideHeight, strideWidth, top: padInfo.top, left: padInfo.left },
          ...{ batch: batchSize, rows, rowTiles, columnTiles, classHeight, classWidth, slices, shares: split.shares },
        },
        size: invocations,
        workgroups: tiles * split.shares,
        ...shader(panels, vectorsOfX, vectorsOfY),
      }),
    )[0]!;
  },
);

function shader(panels: Panels, vectorsOfX: boolean, vectorsOfY: boolean): { declarations: string; body: string } {
  const vectorsAcross = 8 * panels;
  // Reads four terms of four rows at once, and transposes them: a row of `left` and `right` is a term.
  const turn = (into: string, at: string) =>
    each(
      4,
      (e) =>
        `${into}[(4 * kVector + ${e}) * ${at}] = vec4<f32>(value0[${e}], value1[${e}], value2[${e}], value3[${e}]);`,
    ).join('\n');
  const read = (e: number, buffer: string, at: string, inside: string) =>
    vectorsOfY
      ? `
        let inside${e} = ${inside} & (k < uniforms.outChannels);
        let value${e} = select(vec4<f32>(), ${buffer}[select(0, ${at} + k, inside${e}) / 4], inside${e});`
      : `
        let inside${e} = vec4<bool>(${inside}) & (k + vec4<i32>(0, 1, 2, 3) < vec4<i32>(uniforms.outChannels));
        let at${e} = select(vec4<i32>(), ${at} + k + vec4<i32>(0, 1, 2, 3), inside${e});
        let value${e} = select(
          vec4<f32>(),
          vec4<f32>(${buffer}[at${e}.x], ${buffer}[at${e}.y], ${buffer}[at${e}.z], ${buffer}[at${e}.w]),
          inside${e},
        );`;
  return {
    declarations: `
      ${declareTile(panels)}
      /** Position of a row: image, row and column of its class. */
      fn locate(row: i32) -> vec3<i32> {
        let line = row / uniforms.classWidth;
        let image = line / uniforms.classHeight;
        return vec3<i32>(image, line - image * uniforms.classHeight, row - line * uniforms.classWidth);
      }
      /** The one after it. */
      fn next(position: vec3<i32>) -> vec3<i32> {
        let overW = position.z + 1 == uniforms.classWidth;
        let overH = overW & (position.y + 1 == uniforms.classHeight);
        return vec3<i32>(
          position.x + select(0, 1, overH),
          select(position.y + select(0, 1, overW), 0, overH),
          select(position.z + 1, 0, overW),
        );
      }`,
    body: `
      let columnTile = group % uniforms.columnTiles;
      let rowTile = group / uniforms.columnTiles % uniforms.rowTiles;
      let rest = group / uniforms.columnTiles / uniforms.rowTiles;
      let classW = rest % uniforms.strideWidth;
      let classH = rest / uniforms.strideWidth % uniforms.strideHeight;
      let share = rest / uniforms.strideWidth / uniforms.strideHeight;
      // The taps of this class: every s-th from the first. Each decreases p or q by one, relative to the row.
      let firstH = (classH + uniforms.top) % uniforms.strideHeight;
      let firstW = (classW + uniforms.left) % uniforms.strideWidth;
      let shiftH = (classH + uniforms.top - firstH) / uniforms.strideHeight;
      let shiftW = (classW + uniforms.left - firstW) / uniforms.strideWidth;
      let tapsH = max(0, (uniforms.filterHeight - firstH + uniforms.strideHeight - 1) / uniforms.strideHeight);
      let tapsW = max(0, (uniforms.filterWidth - firstW + uniforms.strideWidth - 1) / uniforms.strideWidth);
      let allSlices = tapsH * tapsW * uniforms.slices;
      let begin = share * allSlices / uniforms.shares;
      let end = (share + 1) * allSlices / uniforms.shares;
      let firstTap = begin / uniforms.slices;
      var tapH = firstTap / max(1, tapsW);
      var tapW = firstTap - tapH * tapsW;
      var start = (begin - firstTap * uniforms.slices) * ${depth};

      let kVector = local / 16;
      let firstRow = rowTile * ${tileRows} + 4 * (local % 16);
      let position0 = locate(firstRow);
      ${each(3, (e) => `let position${e + 1} = next(position${e});`).join('\n')}
      let kVectorW = local / ${vectorsAcross};
      let firstColumn = columnTile * ${panels * panelColumns} + 4 * (local % ${vectorsAcross});
      ${startTile(panels)}
      for (var slice = begin; slice < end; slice++) {
        {
          let k = start + 4 * kVector;
          ${each(
            4,
            (e) => `
          let p${e} = position${e}.y + shiftH - tapH;
          let q${e} = position${e}.z + shiftW - tapW;
          ${read(
            e,
            'dy',
            `((position${e}.x * uniforms.outHeight + p${e}) * uniforms.outWidth + q${e}) * uniforms.outChannels`,
            `(firstRow + ${e} < uniforms.rows) & all(vec4<i32>(p${e}, q${e}, -1 - p${e}, -1 - q${e}) < vec4<i32>(uniforms.outHeight, uniforms.outWidth, 0, 0))`,
          )}`,
          ).join('')}
          ${turn('left', '16 + local % 16')}
        }
        ${panels === 2 ? '{' : `if (kVectorW < ${depth / 4}) {`}
          let kVector = kVectorW;
          let k = start + 4 * kVector;
          let tap = (firstH + tapH * uniforms.strideHeight) * uniforms.filterWidth + firstW + tapW * uniforms.strideWidth;
          let filterAt = (tap * uniforms.inChannels + firstColumn) * uniforms.outChannels;
          ${each(4, (e) =>
            read(e, 'filter_', `filterAt + ${e} * uniforms.outChannels`, `(firstColumn + ${e} < uniforms.inChannels)`),
          ).join('')}
          ${turn('right', `${vectorsAcross} + local % ${vectorsAcross}`)}
        }
        start += ${depth};
        let overK = start >= uniforms.outChannels;
        start = select(start, 0, overK);
        tapW += select(0, 1, overK);
        let overW = tapW == tapsW;
        tapW = select(tapW, 0, overW);
        tapH += select(0, 1, overW);
        ${addSlice(panels)}
      }
      var position = vec3<i32>();
      ${each(
        8,
        (r) => `{
        let row = rowTile * ${tileRows} + ${rowOf(r)};
        position = ${r % 4 === 0 ? 'locate(row)' : 'next(position)'};
        let h = position.y * uniforms.strideHeight + classH;
        let w = position.z * uniforms.strideWidth + classW;
        if (all(vec3<i32>(row, h, w) < vec3<i32>(uniforms.rows, uniforms.inHeight, uniforms.inWidth))) {
          let to = ((share * uniforms.batch + position.x) * uniforms.inHeight + h) * uniforms.inWidth + w;
          ${each(
            panels,
            (panel) => `{
            let to4 = columnTile * ${panels * panelColumns} + ${panel * panelColumns} + 4 * across;
            ${writeColumns('dx', 'to', 'to4', 'uniforms.inChannels', `sum${panel}_${r}`, vectorsOfX)}
          }`,
          ).join('\n')}
        }
      }`,
      ).join('\n')}`,
  };
}
