/** Sums over the rows of matrices, in an order that depends on their shape only. */
import { OVERLAP } from '@ghl/core/backend';
import { checkNotEmpty } from '@ghl/core/plugin';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { type KernelCall, kernel } from './kernel.js';
import { makeOutput, runPass, workgroupSize } from './pass.js';

/**
 * Σₚ f(p, k) for k < `columns`, for one or several f in one pass over their inputs. A workgroup sums a piece of 32
 * columns, and an invocation every 8th row of it. A second pass sums the pieces. If there are enough columns to keep a
 * GPU busy, an invocation sums a whole column.
 *
 * @param terms WGSL of each f at element `i` of the inputs, in `column`.
 * @param outs The outputs, one for each f. Default: new tensors [columns].
 * @param combine WGSL of the combination of two values, in place of their sum. Its result for 0 and x must be x.
 */
export function sumColumns(
  backend: WebGPUBackend,
  name: string,
  [rows, columns]: readonly [rows: number, columns: number],
  inputs: Readonly<Record<string, TensorInfo>>,
  terms: readonly string[],
  outs: readonly TensorInfo[] = terms.map(() => makeOutput(backend, [columns])),
  combine = (a: string, b: string) => `${a} + ${b}`,
): readonly TensorInfo[] {
  const lanes = columns < 2 ** 14 && rows > 1 ? 8 : 1;
  const width = workgroupSize / lanes;
  const tiles = Math.ceil(columns / width);
  // At least 16 terms a lane, and few enough pieces for one more pass.
  const pieces = lanes === 1 ? 1 : Math.max(1, Math.min(Math.ceil(512 / tiles), Math.floor(rows / 128), 255));
  const sums = pieces === 1 ? outs : terms.map(() => makeOutput(backend, [pieces, columns]));
  const all = (line: (t: number) => string) => terms.map((_, t) => line(t)).join('\n');
  runPass(backend, {
    name,
    variant: `${combine('', '')} ${lanes} ${terms.join()}`,
    outputs: Object.fromEntries(sums.map((tensor, t) => [`result${t}`, { tensor }])),
    inputs: Object.fromEntries(Object.entries(inputs).map(([key, tensor]) => [key, { tensor }])),
    integers: { rows, columns, tiles, share: Math.ceil(rows / pieces) },
    workgroups: tiles * pieces,
    declarations: lanes === 1 ? '' : all((t) => `var<workgroup> sums${t}: array<f32, ${workgroupSize}>;`),
    body: `
      let lane = local / ${width};
      let column = group % uniforms.tiles * ${width} + local % ${width};
      let piece = group / uniforms.tiles;
      let end = min((piece + 1) * uniforms.share, uniforms.rows);
      ${all((t) => `var sum${t} = 0.0;`)}
      if (column < uniforms.columns) {
        for (var row = piece * uniforms.share + lane; row < end; row += ${lanes}) {
          let i = row * uniforms.columns + column;
          ${all((t) => `sum${t} = ${combine(`sum${t}`, terms[t]!)};`)}
        }
      }
      ${
        lanes === 1
          ? ''
          : `${all((t) => `sums${t}[local] = sum${t};`)}
      workgroupBarrier();
      for (var half = ${lanes / 2}; half > 0; half /= 2) {
        if (lane < half) {
          ${all((t) => `sums${t}[local] = ${combine(`sums${t}[local]`, `sums${t}[local + half * ${width}]`)};`)}
        }
        workgroupBarrier();
      }
      ${all((t) => `sum${t} = sums${t}[local];`)}`
      }
      if (lane == 0 && column < uniforms.columns) {
        ${all((t) => `result${t}[piece * uniforms.columns + column] = sum${t};`)}
      }`,
  });
  if (pieces > 1) {
    const pass = Object.fromEntries(sums.map((tensor, t) => [`part${t}`, tensor]));
    const parts = terms.map((_, t) => `part${t}[i]`);
    sumColumns(backend, name, [pieces, columns], pass, parts, outs, combine);
    for (const { dataId } of sums) backend.disposeData(dataId);
  }
  return outs;
}

export const overlap = kernel(
  OVERLAP,
  ({ inputs: { a, b }, backend }: KernelCall<{ a: TensorInfo; b: TensorInfo }, object>) => {
    checkNotEmpty(OVERLAP, { a, b });
    return sumColumns(backend, OVERLAP, a.shape as [number, number], { a, b }, ['a[i] * b[i]'])[0]!;
  },
);
