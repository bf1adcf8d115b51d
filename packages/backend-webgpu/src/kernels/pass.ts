/**
 * One pass over tensors on the GPU, in custom WGSL. The stock backend runs it, which preserves the order, the timing
 * and the memory management. Its code generator is not used, since it supports one output only.
 */
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import { type DataType, type TensorInfo, util } from '@tensorflow/tfjs-core';

/** A tensor as a shader sees it. */
export interface Buffer {
  readonly tensor: TensorInfo;
  /** Type of its elements. Default `f32`. */
  readonly type?: 'f32' | 'i32' | 'u32' | 'vec4<f32>';
}

/** The inputs, the outputs and the code of a pass. */
export interface Pass {
  /** The name in timings. */
  readonly name: string;
  /** Identifies the code, together with the name and the types of the buffers. */
  readonly variant?: string;
  /**
   * At least one; each is `var<storage, read_write>` under its name. An existing tensor keeps the values that the pass
   * does not write.
   */
  readonly outputs: Readonly<Record<string, Buffer>>;
  readonly inputs: Readonly<Record<string, Buffer>>;
  /** Fields of `uniforms`, as i32. Those in `floats` are f32. */
  readonly integers?: Readonly<Record<string, number>>;
  readonly floats?: Readonly<Record<string, number>>;
  /** Invocations of a workgroup. Default {@link workgroupSize}. */
  readonly size?: number;
  /** Workgroups. More may start, since a dimension holds at most 65,535: those return at once. */
  readonly workgroups: number;
  /** Extensions of WGSL that the code needs. */
  readonly enable?: readonly string[];
  /** Builtins in addition to `local`, the index of the invocation in its workgroup. */
  readonly builtins?: string;
  /**
   * Declarations before `main`, and its body. In the body, `group` is the index of the workgroup, and `local` that of
   * the invocation, both i32.
   */
  readonly declarations?: string;
  readonly body: string;
}

/** The default number of invocations of a workgroup, which every device supports. */
export const workgroupSize = 256;

/** WGSL that detects a NaN by its bits: comparisons may assume that there is none. */
export const isNan = 'fn isNan(v: f32) -> bool { return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u; }';

/** A new tensor without initial values. */
export function makeOutput(backend: WebGPUBackend, shape: readonly number[], dtype: DataType = 'float32'): TensorInfo {
  return backend.makeTensorInfo([...shape], dtype);
}

/** A new empty tensor. */
export function makeEmpty(backend: WebGPUBackend, { shape, dtype }: Pick<TensorInfo, 'shape' | 'dtype'>): TensorInfo {
  return backend.makeTensorInfo(shape, dtype, util.getTypedArrayFromDType(dtype as 'float32', 0));
}

/** Runs a pass. It is deterministic if its code is: each element has one writer. */
export function runPass(backend: WebGPUBackend, pass: Pass): void {
  const outputs = Object.entries(pass.outputs);
  const inputs = Object.entries(pass.inputs);
  const [[, first], ...others] = outputs as [[string, Buffer], ...[string, Buffer][]];
  const bound = [...others, ...inputs];
  const types = [...outputs, ...inputs].map(([, { type = 'f32' }]) => type);
  const key = ['ghl', pass.name, pass.variant ?? '', types.join()].join(' ');
  // The cache of the stock backend. For a key that is not in it, the stock backend would generate code.
  const { pipelineCache } = backend as unknown as { pipelineCache: Record<string, GPUComputePipeline> };
  if (!(key in pipelineCache)) {
    const { device } = backend;
    const module = device.createShaderModule({ code: shader(pass), label: pass.name });
    pipelineCache[key] = device.createComputePipeline({
      compute: { module, entryPoint: 'main' },
      label: pass.name,
      layout: 'auto',
    });
  }
  const program = {
    constructor: { name: pass.name },
    get shaderKey() {
      return key;
    },
    set shaderKey(_) {},
    outputShape: flat(first.tensor).shape,
    variableNames: bound.map(([name]) => name),
    workgroupSize: [pass.size ?? workgroupSize, 1, 1] as [number, number, number],
    dispatchLayout: { x: [0] },
    dispatch: [pass.workgroups, 1, 1] as [number, number, number],
    getUserCode: () => '',
  };
  backend.runWebGPUProgram(
    program,
    bound.map(([, { tensor }]) => flat(tensor)),
    first.tensor.dtype,
    [
      ...[pass.workgroups, ...Object.values(pass.integers ?? {})].map((value) => ({ type: 'int32', data: [value] })),
      ...Object.values(pass.floats ?? {}).map((value) => ({ type: 'float32', data: [value] })),
    ],
    flat(first.tensor),
  );
}

function flat({ dataId, shape, dtype }: TensorInfo): TensorInfo {
  return { dataId, shape: [util.sizeFromShape(shape)], dtype };
}

function shader(pass: Pass): string {
  const buffers = (all: Pass['inputs'], access: string) =>
    Object.entries(all).map(([name, { type = 'f32' }]) => `var<storage, ${access}> ${name}: array<${type}>;`);
  const bindings = [...buffers(pass.outputs, 'read_write'), ...buffers(pass.inputs, 'read')];
  // The stock backend first writes NaN, infinity, and for each buffer its size and a 1.
  const unused = Array.from({ length: 2 + 2 * bindings.length }, (_, i) => `unused${i}: i32`);
  const fields = [
    ...unused,
    ...['workgroups', ...Object.keys(pass.integers ?? {})].map((name) => `${name}: i32`),
    ...Object.keys(pass.floats ?? {}).map((name) => `${name}: f32`),
  ];
  return `
    ${(pass.enable ?? []).map((extension) => `enable ${extension};`).join('\n')}
    struct Uniforms { ${fields.join(', ')} }
    ${bindings.map((binding, i) => `@group(0) @binding(${i}) ${binding}`).join('\n')}
    @group(0) @binding(${bindings.length}) var<uniform> uniforms: Uniforms;
    ${pass.declarations ?? ''}
    @compute @workgroup_size(${pass.size ?? workgroupSize})
    fn main(
      @builtin(workgroup_id) workgroup: vec3<u32>,
      @builtin(num_workgroups) workgroups: vec3<u32>,
      @builtin(local_invocation_index) index: u32,
      ${pass.builtins ?? ''}
    ) {
      let group = i32(workgroup.x + workgroups.x * (workgroup.y + workgroups.y * workgroup.z));
      let local = i32(index);
      if (group >= uniforms.workgroups) { return; }
      ${pass.body}
    }`;
}
