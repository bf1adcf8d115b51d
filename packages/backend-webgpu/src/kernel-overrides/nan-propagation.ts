/**
 * Kernels that propagate NaN. WGSL does not guarantee it: on some GPUs, the stock `exp` of NaN is ∞, and `sigmoid` is
 * 0, so that a diverged run looks valid. These kernels detect a NaN by its bits.
 */
import type { KernelOverride } from '@ghl/core/backend';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import { type KernelFunc, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { isNan, makeEmpty, makeOutput, runPass, workgroupSize } from '../kernels/pass.js';

type KernelCall = Parameters<KernelFunc>[0];

const [seluScale, seluAlpha] = [1.0507009873554805, 1.6732632423543772];

/** The result of each kernel unless `a` is NaN, in WGSL. */
const unary: Readonly<Record<string, string>> = {
  Exp: 'exp(a)',
  Expm1: 'exp(a) - 1.0',
  Log: 'select(select(log(a), -uniforms.infinity, a == 0.0), uniforms.nan, a < 0.0)',
  Log1p: 'select(select(log(1.0 + a), -uniforms.infinity, a == -1.0), uniforms.nan, a < -1.0)',
  Sigmoid: '1.0 / (1.0 + exp(-a))',
  Softplus: 'select(log(1.0 + exp(min(a, 14.0))), a, a > 14.0)',
  Elu: 'select(exp(min(a, 0.0)) - 1.0, a, a >= 0.0)',
  Selu: `${seluScale} * select(${seluAlpha} * (exp(min(a, 0.0)) - 1.0), a, a >= 0.0)`,
  Relu6: 'clamp(a, 0.0, 6.0)',
  Cosh: '0.5 * exp(a) + 0.5 * exp(-a)',
  Sinh: '0.5 * exp(a) - 0.5 * exp(-a)',
  Acosh: 'select(acosh(a), uniforms.nan, a < 1.0)',
  // The usual formula cancels below 0, and its square overflows.
  Asinh: 'sign(a) * select(asinh(abs(a)), log(abs(a)) + 0.6931472, abs(a) > 1e9)',
  Atanh: 'select(select(atanh(a), a * uniforms.infinity, abs(a) == 1.0), uniforms.nan, abs(a) > 1.0)',
};

/** The activations of fused products and convolutions. */
const activations: Readonly<Record<string, string>> = { elu: 'Elu', relu6: 'Relu6', sigmoid: 'Sigmoid' };

function elementWise(name: string): KernelOverride {
  return {
    name,
    create: (stock) => (call: KernelCall) => {
      const { x } = call.inputs as { x: TensorInfo };
      const backend = call.backend as WebGPUBackend;
      if (x.dtype !== 'float32' || x.shape.includes(0) || backend.shouldExecuteOnCPU([x])) return stock!(call);
      return apply(backend, name, x);
    },
  };
}

/** A fused product or convolution with such an activation, as two kernels. */
function activated(name: string): KernelOverride {
  return {
    name,
    create: (stock) => (call: KernelCall) => {
      const activation = activations[call.attrs?.activation as string];
      if (activation === undefined) return stock!(call);
      const linear = stock!({ ...call, attrs: { ...call.attrs, activation: 'linear' } }) as TensorInfo;
      if (linear.shape.includes(0)) return linear;
      const backend = call.backend as WebGPUBackend;
      const out = apply(backend, activation, linear);
      backend.disposeData(linear.dataId);
      return out;
    },
  };
}

function apply(backend: WebGPUBackend, name: string, x: TensorInfo): TensorInfo {
  const out = makeOutput(backend, x.shape);
  const count = util.sizeFromShape(x.shape);
  runPass(backend, {
    name,
    outputs: { result: { tensor: out } },
    inputs: { values: { tensor: x } },
    integers: { count },
    floats: { infinity: Number.POSITIVE_INFINITY, nan: Number.NaN },
    workgroups: Math.ceil(count / workgroupSize),
    declarations: isNan,
    body: `
      let i = group * ${workgroupSize} + local;
      if (i < uniforms.count) {
        let a = values[i];
        result[i] = select(${unary[name]}, a, isNan(a));
      }`,
  });
  return out;
}

/** uₖ = exp(xₖ − max x) / Σⱼ exp(xⱼ − max x) over the last axis; a row with a NaN or an ∞ becomes NaN. */
const softmax: KernelOverride = {
  name: 'Softmax',
  create: (stock) => (call: KernelCall) => {
    const { logits: x } = call.inputs as { logits: TensorInfo };
    const backend = call.backend as WebGPUBackend;
    if (x.shape.includes(0)) return makeEmpty(backend, { shape: x.shape, dtype: 'float32' });
    const columns = x.shape.at(-1);
    if (x.dtype !== 'float32' || columns === undefined) return stock!(call);
    const rows = util.sizeFromShape(x.shape) / columns;
    const out = makeOutput(backend, x.shape);
    const reduce = (f: (a: string, b: string) => string) => `
      workgroupBarrier();
      for (var half = ${workgroupSize / 2}; half > 0; half /= 2) {
        if (local < half) { shared_[local] = ${f('shared_[local]', 'shared_[local + half]')}; }
        workgroupBarrier();
      }`;
    runPass(backend, {
      name: 'Softmax',
      outputs: { result: { tensor: out } },
      inputs: { values: { tensor: x } },
      integers: { columns },
      floats: { least: -3.4028234663852886e38, nan: Number.NaN },
      workgroups: rows,
      declarations: `${isNan} var<workgroup> shared_: array<f32, ${workgroupSize}>; var<workgroup> unsound: atomic<u32>;`,
      body: `
        let start = group * uniforms.columns;
        var most = uniforms.least;
        for (var k = local; k < uniforms.columns; k += ${workgroupSize}) {
          let value = values[start + k];
          if (isNan(value) || value > -uniforms.least) { atomicStore(&unsound, 1u); }
          most = max(most, value);
        }
        shared_[local] = most;
        ${reduce((a, b) => `max(${a}, ${b})`)}
        let largest = shared_[0];
        let lost = atomicLoad(&unsound) != 0u;
        workgroupBarrier();
        var sum = 0.0;
        for (var k = local; k < uniforms.columns; k += ${workgroupSize}) { sum += exp(values[start + k] - largest); }
        shared_[local] = sum;
        ${reduce((a, b) => `${a} + ${b}`)}
        let total = shared_[0];
        for (var k = local; k < uniforms.columns; k += ${workgroupSize}) {
          result[start + k] = select(exp(values[start + k] - largest) / total, uniforms.nan, lost);
        }`,
    });
    return out;
  },
};

/** The kernels of this kind. */
export const nanOverrides: readonly KernelOverride[] = [
  ...Object.keys(unary).map(elementWise),
  softmax,
  ...['_FusedMatMul', 'FusedConv2D', 'FusedDepthwiseConv2D'].map(activated),
];
