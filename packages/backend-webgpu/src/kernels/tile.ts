/**
 * The tile of a matrix product that a workgroup computes: 64 rows by one or two panels of 32 columns. Slices of 16
 * terms of its operands are copied to workgroup memory. Each of the 64 invocations keeps 8 rows by 4 columns of each
 * panel in registers.
 */
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { sumColumns } from './column-sums.js';
import { makeOutput } from './pass.js';

/** Invocations of a workgroup: 8 by 8. */
export const invocations = 64;
export const tileRows = 64;
export const panelColumns = 32;
/** Terms of a slice. */
export const depth = 16;

export type Panels = 1 | 2;

/** Repeats a line of unrolled code for 0 … n − 1. */
export const each = <T>(n: number, line: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => line(i));

/**
 * Workgroup memory: `left[k * 16 + r]` holds rows 4r … 4r + 3 of term k, `right[k * 8 * panels + 8 * panel + c]`
 * columns 4c … 4c + 3 of that panel.
 */
export function declareTile(panels: Panels): string {
  return `
    var<workgroup> left: array<vec4<f32>, ${depth * 16}>;
    var<workgroup> right: array<vec4<f32>, ${depth * 8 * panels}>;`;
}

/** Accumulators `sum<panel>_<row>`, each 4 columns of a row, and the position of the invocation in the tile. */
export function startTile(panels: Panels): string {
  return `
    let across = local % 8;
    let down = local / 8;
    ${each(panels, (p) => each(8, (r) => `var sum${p}_${r} = vec4<f32>();`).join(' ')).join('\n')}`;
}

/** Adds the product of a slice to the accumulators. */
export function addSlice(panels: Panels): string {
  return `
    workgroupBarrier();
    for (var k = 0; k < ${depth}; k++) {
      let a0 = left[k * 16 + down];
      let a1 = left[k * 16 + 8 + down];
      ${each(panels, (p) => `let b${p} = right[k * ${8 * panels} + ${8 * p} + across];`).join('\n')}
      ${each(panels, (p) =>
        each(8, (r) => `sum${p}_${r} = fma(vec4<f32>(a${r >> 2}[${r & 3}]), b${p}, sum${p}_${r});`).join('\n'),
      ).join('\n')}
    }
    workgroupBarrier();`;
}

/** The row of an accumulator in the tile, as WGSL. */
export const rowOf = (r: number): string => `${r < 4 ? '' : '32 + '}4 * down + ${r & 3}`;

/**
 * Writes 4 columns of a row.
 *
 * @param columns The number of columns of the result, as WGSL.
 * @param vectors Whether the result is an array of vectors; the number of columns is then a multiple of 4.
 */
export function writeColumns(
  result: string,
  row: string,
  column: string,
  columns: string,
  value: string,
  vectors: boolean,
) {
  if (vectors) return `if (${column} < ${columns}) { ${result}[(${row} * ${columns} + ${column}) / 4] = ${value}; }`;
  return each(
    4,
    (i) => `if (${column} + ${i} < ${columns}) { ${result}[${row} * ${columns} + ${column} + ${i}] = ${value}[${i}]; }`,
  ).join('\n');
}

/**
 * The number of shares of the terms that separate workgroups sum if there are too few tiles to keep a GPU busy, and the
 * terms of a share, a multiple of {@link depth}. It depends on the shape only, so that results are deterministic.
 */
export function shares(tiles: number, terms: number): { readonly shares: number; readonly share: number } {
  const count = Math.max(1, Math.min(Math.ceil(1024 / tiles), Math.floor(terms / 512)));
  const share = depth * Math.ceil(terms / count / depth);
  return { shares: Math.ceil(terms / share), share };
}

/**
 * Runs a product of which each share writes a complete partial result. A single share writes to the output. Several
 * write to consecutive parts, which a second pass sums.
 */
export function gather(
  backend: WebGPUBackend,
  name: string,
  count: number,
  shapes: readonly (readonly number[])[],
  run: (outputs: readonly TensorInfo[]) => void,
): TensorInfo[] {
  const outputs = shapes.map((shape) => makeOutput(backend, shape));
  if (count === 1) {
    run(outputs);
    return outputs;
  }
  const parts = shapes.map((shape) => makeOutput(backend, [count, ...shape]));
  run(parts);
  for (const [i, part] of parts.entries()) {
    const size = shapes[i]!.reduce((n, d) => n * d, 1);
    sumColumns(backend, name, [count, size], { part }, ['part[i]'], [outputs[i]!]);
    backend.disposeData(part.dataId);
  }
  return outputs;
}
