/**
 * Batch normalisation by the statistics of the batch, and its gradient, each in two passes over memory.
 *
 *     y = (x − μ)·ρ,  ρ = 1/√(σ² + ε)          ∂x = (∂y − ⟨∂y⟩ − y·⟨∂y·y⟩)·ρ,  ⟨·⟩ the mean over positions
 *
 * μ and σ² come from the sums of d and d², where d is the difference of x from the first position: for large x, the
 * rounding of x² would exceed σ². Rounding may give a σ² below 0, which counts as 0. Since max() may also turn NaN into
 * 0, NaN is detected by its bits.
 */
import { BATCH_NORM, BATCH_NORM_GRADIENT } from '@ghl/core/backend';
import { checkNotEmpty } from '@ghl/core/plugin';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { sumColumns } from './column-sums.js';
import { type KernelCall, kernel } from './kernel.js';
import { type Buffer, isNan, makeOutput, runPass, workgroupSize } from './pass.js';

function sizes({ shape }: TensorInfo): [positions: number, channels: number] {
  return [shape.slice(0, -1).reduce((n, size) => n * size, 1), shape.at(-1)!];
}

export const batchNorm = kernel(
  BATCH_NORM,
  ({ inputs: { x }, attrs: { epsilon }, backend }: KernelCall<{ x: TensorInfo }, { epsilon: number }>) => {
    checkNotEmpty(BATCH_NORM, { x });
    const [positions, channels] = sizes(x);
    const sums = sumColumns(backend, BATCH_NORM, [positions, channels], { x }, [
      'x[i] - x[column]',
      '(x[i] - x[column]) * (x[i] - x[column])',
    ]);
    const [y, mean, variance, precision] = [x.shape, [channels], [channels], [channels]].map((shape) =>
      makeOutput(backend, shape),
    ) as [TensorInfo, TensorInfo, TensorInfo, TensorInfo];
    runPass(backend, {
      name: BATCH_NORM,
      variant: 'statistics',
      outputs: { mean: { tensor: mean }, variance: { tensor: variance }, scale: { tensor: precision } },
      inputs: { x: { tensor: x }, sum: { tensor: sums[0]! }, squares: { tensor: sums[1]! } },
      integers: { channels },
      floats: { positions, epsilon },
      workgroups: Math.ceil(channels / workgroupSize),
      declarations: isNan,
      body: `
        let i = group * ${workgroupSize} + local;
        if (i >= uniforms.channels) { return; }
        let shift = sum[i] / uniforms.positions;
        let difference = squares[i] / uniforms.positions - shift * shift;
        let lost = isNan(difference);
        let spread = max(0.0, difference);
        mean[i] = x[i] + shift;
        variance[i] = select(spread, difference, lost);
        scale[i] = select(1.0 / sqrt(spread + uniforms.epsilon), difference, lost);`,
    });
    perElement(backend, BATCH_NORM, y, { x }, { mean, scale: precision }, '(x[i] - mean[c]) * scale[c]');
    for (const { dataId } of sums) backend.disposeData(dataId);
    return [y, mean, variance, precision];
  },
);

export const batchNormGradient = kernel(
  BATCH_NORM_GRADIENT,
  ({
    inputs: { dy, y, precision },
    backend,
  }: KernelCall<{ dy: TensorInfo; y: TensorInfo; precision: TensorInfo }, object>) => {
    checkNotEmpty(BATCH_NORM_GRADIENT, { y });
    const sums = sumColumns(backend, BATCH_NORM_GRADIENT, sizes(y), { dy, y }, ['dy[i]', 'dy[i] * y[i]']);
    const dx = makeOutput(backend, y.shape);
    const [even, along] = sums as [TensorInfo, TensorInfo];
    perElement(
      backend,
      BATCH_NORM_GRADIENT,
      dx,
      { dy, y },
      { even, along, scale: precision },
      '(dy[i] - (even[c] + y[i] * along[c]) / uniforms.positions) * scale[c]',
    );
    for (const { dataId } of sums) backend.disposeData(dataId);
    return dx;
  },
);

/** Writes a value for each element `i` and its channel `c`, four at a time if the channels are a multiple of 4. */
function perElement(
  backend: WebGPUBackend,
  name: string,
  out: TensorInfo,
  whole: Readonly<Record<string, TensorInfo>>,
  perChannel: Readonly<Record<string, TensorInfo>>,
  value: string,
): void {
  const [positions, channels] = sizes(out);
  const [width, type] = channels % 4 === 0 ? ([4, 'vec4<f32>'] as const) : ([1, 'f32'] as const);
  const size = (positions * channels) / width;
  runPass(backend, {
    name,
    variant: 'elements',
    outputs: { result: { tensor: out, type } },
    inputs: Object.fromEntries(
      Object.entries({ ...whole, ...perChannel }).map(([key, tensor]): [string, Buffer] => [key, { tensor, type }]),
    ),
    integers: { size, channels: channels / width },
    floats: value.includes('uniforms.positions') ? { positions } : {},
    workgroups: Math.ceil(size / workgroupSize),
    body: `
      let i = group * ${workgroupSize} + local;
      if (i >= uniforms.size) { return; }
      let c = i % uniforms.channels;
      result[i] = ${value};`,
  });
}
