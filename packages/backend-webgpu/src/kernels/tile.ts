/**
 * The tile of a matrix product that a workgroup forms: 64 rows by one or two panels of 32 columns. Its operands go
 * through workgroup memory in slices of 16 terms; each of the 64 invocations keeps 8 rows by 4 columns of each panel in
 * registers.
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

/** Numbers 0 … n − 1, for code that is written out. */
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

/** Accumulators `sum<panel>_<row>`, each 4 columns of a row, and the place of the invocation in the tile. */
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

/** Rows of the tile that the accumulators of an invocation belong to, as WGSL. */
export const rowOf = (r: number): string => `${r < 4 ? '' : '32 + '}4 * down + ${r & 3}`;

/**
 * Writes 4 columns of a row.
 *
 * @param columns How many there are in the result, WGSL; with `vectors` a multiple of 4, and the result is of vectors.
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
 * In how many shares the terms are summed by workgroups of their own where the tiles are too few to keep a GPU busy,
 * and the terms of a share, a multiple of {@link depth}. Depends on the shape only, as the bits of the result do.
 */
export function shares(tiles: number, terms: number): { readonly shares: number; readonly share: number } {
  const count = Math.max(1, Math.min(Math.ceil(1024 / tiles), Math.floor(terms / 512)));
  const share = depth * Math.ceil(terms / count / depth);
  return { shares: Math.ceil(terms / share), share };
}

/**
 * Runs a product whose every share writes a whole result of its own: into the output itself where there is one share,
 * else one behind the other, to be added up.
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
