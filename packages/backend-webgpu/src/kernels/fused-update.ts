/**
 * The whole update of a weight: a program computes the increment v, and the kernel writes W + v or max(W + v, 0). For
 * an entry i of unit k = i mod K:
 *
 *     eligibility  v = Σ − W·m_k         gradient  v = −g       one  v = 1
 *     maxAbs       v = v / max abs(v)    rms       v = √mean(v²)        over the whole weight; 0 / 0 = 0
 *     magnitude    v = −sign(g)·abs(v)   flip      v = −sign(g)·v
 *     scale a      v = a·v               decay a   v = v − a·W
 *     clip a       v = min(max(v, −a), a)           power a   v = sign(v)·abs(v)^a
 *     bounds a, b  v = min(max(W + v, a), b) − W
 *
 * and with a factor f_k for each unit, from a norm of its weights:
 *
 *     unitMaxAbs   v = v / max abs(v_k)             unitRms   v = √mean(v_k²)
 *     normalizeUnits  v = f_k·v                     unitStep a, b  v = a·(abs(‖w_k‖ − 1) + 1e-10)^b·v
 *     unitNorm a   v = f_k·(W + v) − W
 *
 * Each norm is a separate pass over v up to that operation. The bits tell whether all values are finite: WGSL
 * comparisons may assume that there is no NaN and no infinity.
 */
import { ALL_FINITE, CHOOSE, FUSED_UPDATE } from '@ghl/core/backend';
import { checkNotEmpty, type Operation } from '@ghl/core/plugin';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import { sumColumns } from './column-sums.js';
import { type KernelCall, kernel } from './kernel.js';
import { type Buffer, isNan, makeOutput, runPass, workgroupSize } from './pass.js';

interface FusedUpdateInputs {
  readonly weights: TensorInfo;
  readonly sums?: TensorInfo;
  readonly overlap?: TensorInfo;
  readonly gradient?: TensorInfo;
}

/** The most workgroups of a pass. Each writes one number. */
const mostWorkgroups = 512;

export const fusedUpdate = kernel(
  FUSED_UPDATE,
  ({
    inputs,
    attrs: { program, units = inputs.overlap?.shape[0] ?? 1, nonNegative = false },
    backend,
  }: KernelCall<FusedUpdateInputs, { program: readonly Operation[]; units?: number; nonNegative?: boolean }>) => {
    checkNotEmpty(FUSED_UPDATE, { weights: inputs.weights });
    const size = util.sizeFromShape(inputs.weights.shape);
    const workgroups = Math.min(mostWorkgroups, Math.ceil(size / workgroupSize));
    const partials = makeOutput(backend, [workgroups]);
    const normCount = normIndex(program, program.length, units);
    const norms = makeOutput(backend, [Math.max(1, normCount)]);
    const given = { ...inputs, units, norms, partials };
    const out = makeOutput(backend, inputs.weights.shape);
    const ok = makeOutput(backend, [], 'bool');

    for (const [until, operation] of program.entries()) {
      const at = normIndex(program, until, units);
      if (isUnitNorm(operation)) measureUnits(backend, program.slice(0, until), operation, at, given);
      if (!isNorm(operation)) continue;
      const largest = operation[0] === 'maxAbs';
      // The bits of non-negative numbers have the order of the numbers, and NaN is the largest.
      pass(backend, program.slice(0, until), given, {
        variant: largest ? 'largest' : 'squares',
        before: largest ? 'var all = 0u;' : 'var all = 0.0;',
        each: largest ? 'all = max(all, bitcast<u32>(v) & 0x7fffffffu);' : 'all += v * v;',
        type: largest ? 'u32' : 'f32',
        combine: largest ? 'max(all[local], all[local + half])' : 'all[local] + all[local + half]',
      });
      fold(
        backend,
        partials,
        { norms: { tensor: norms, type: 'u32' } },
        {
          variant: operation[0],
          size,
          at,
          combine: largest
            ? 'all = max(all, partials[i]);'
            : 'all = bitcast<u32>(bitcast<f32>(all) + bitcast<f32>(partials[i]));',
          write: largest
            ? 'norms[uniforms.at] = all;'
            : 'norms[uniforms.at] = bitcast<u32>(sqrt(bitcast<f32>(all) / f32(uniforms.size)));',
        },
      );
    }
    pass(
      backend,
      program,
      { ...given, out },
      {
        variant: `write${nonNegative ? ' not below 0' : ''}`,
        before: 'var all = 0u;',
        each: `
          let moved = w + v;
          out[i] = ${nonNegative ? 'select(moved, 0.0, moved < 0.0)' : 'moved'};
          all |= select(0u, 1u, bad || !finite(moved));`,
        type: 'u32',
        combine: 'all[local] | all[local + half]',
      },
    );
    fold(
      backend,
      partials,
      { ok: { tensor: ok, type: 'i32' } },
      {
        variant: 'ok',
        size,
        combine: 'all |= partials[i];',
        write: 'ok[0] = select(0, 1, all == 0u && uniforms.size > 0);',
      },
    );
    for (const { dataId } of [partials, norms]) backend.disposeData(dataId);
    return [out, ok];
  },
);

const finiteByBits = 'fn finite(value: f32) -> bool { return (bitcast<u32>(value) & 0x7f800000u) != 0x7f800000u; }';

/** Numbers that an invocation checks before there is a second workgroup. */
const mostLooked = 16;

/** One pass if one workgroup suffices, as for the statistics of a layer; else each workgroup writes its result. */
export const allFinite = kernel(
  ALL_FINITE,
  ({ inputs: { x, before }, backend }: KernelCall<{ x: TensorInfo; before?: TensorInfo }, object>) => {
    checkNotEmpty(ALL_FINITE, { x });
    const size = util.sizeFromShape(x.shape);
    const workgroups = Math.min(mostWorkgroups, Math.ceil(size / (mostLooked * workgroupSize)));
    const ok: Buffer = { tensor: makeOutput(backend, [], 'bool'), type: 'i32' };
    const partials = workgroups === 1 ? null : makeOutput(backend, [workgroups]);
    runPass(backend, {
      name: ALL_FINITE,
      variant: `${before === undefined ? '' : 'or as before '}${partials === null ? 'whole' : 'parts'}`,
      outputs: partials === null ? { ok } : { partials: { tensor: partials, type: 'u32' } },
      inputs: { x: { tensor: x }, ...(before && { before: { tensor: before } }) },
      integers: { size },
      workgroups,
      declarations: `
        var<workgroup> all: array<u32, ${workgroupSize}>;
        ${finiteByBits}
        ${isNan}`,
      body: `
        var mine = 0u;
        for (var i = group * ${workgroupSize} + local; i < uniforms.size; i += uniforms.workgroups * ${workgroupSize}) {
          let same = ${before === undefined ? 'false' : '!isNan(x[i]) && bitcast<u32>(x[i]) == bitcast<u32>(before[i])'};
          mine |= select(1u, 0u, finite(x[i]) || same);
        }
        all[local] = mine;
        workgroupBarrier();
        for (var half = ${workgroupSize / 2}; half > 0; half /= 2) {
          if (local < half) { all[local] |= all[local + half]; }
          workgroupBarrier();
        }
        if (local == 0) { ${partials === null ? 'ok[0] = select(0, 1, all[0] == 0u);' : 'partials[group] = all[0];'} }`,
    });
    if (partials !== null) {
      const write = 'ok[0] = select(0, 1, all == 0u);';
      fold(backend, partials, { ok }, { variant: 'finite', size, combine: 'all |= partials[i];', write });
      backend.disposeData(partials.dataId);
    }
    return ok.tensor;
  },
);

/**
 * If the new values have no other reference, a pass writes the old values over them unless the flag is set. Otherwise,
 * it writes the chosen values to a new tensor.
 */
export const choose = kernel(
  CHOOSE,
  ({ inputs: { ok, value, before }, backend }: KernelCall<Record<'ok' | 'value' | 'before', TensorInfo>, object>) => {
    const size = util.sizeFromShape(value.shape);
    const { refCount, resource, values } = backend.tensorMap.get(value.dataId);
    const inPlace = refCount === 1 && resource != null && values == null;
    const out = inPlace ? value : makeOutput(backend, value.shape, value.dtype);
    const type = value.dtype === 'float32' ? 'f32' : 'i32';
    runPass(backend, {
      name: CHOOSE,
      variant: inPlace ? 'in place' : 'apart',
      outputs: { out: { tensor: out, type } },
      inputs: {
        ok: { tensor: ok, type: 'i32' },
        before: { tensor: before, type },
        ...(!inPlace && { value: { tensor: value, type } }),
      },
      integers: { size },
      workgroups: Math.min(mostWorkgroups, Math.ceil(size / workgroupSize)),
      body: `
        ${inPlace ? 'if (ok[0] != 0) { return; }' : ''}
        for (var i = group * ${workgroupSize} + local; i < uniforms.size; i += uniforms.workgroups * ${workgroupSize}) {
          out[i] = ${inPlace ? 'before[i]' : 'select(before[i], value[i], ok[0] != 0)'};
        }`,
    });
    if (inPlace) backend.incRef(value.dataId);
    return { dataId: out.dataId, shape: value.shape, dtype: value.dtype };
  },
);

const isNorm = ([name]: Operation): boolean => name === 'maxAbs' || name === 'rms';

const isUnitNorm = ([name]: Operation): boolean =>
  ['unitMaxAbs', 'unitRms', 'normalizeUnits', 'unitStep', 'unitNorm'].includes(name);

/** Where the norms of an operation begin: those of earlier operations are one number, or one for each unit. */
function normIndex(program: readonly Operation[], until: number, units: number): number {
  const before = program.slice(0, until);
  return before.filter(isNorm).length + before.filter(isUnitNorm).length * units;
}

/** Writes the factor of each unit for an operation, from the norms of v up to the operation. */
function measureUnits(
  backend: WebGPUBackend,
  before: readonly Operation[],
  [name, a = 1, b = 1]: Operation,
  at: number,
  inputs: PassInputs,
): void {
  const { weights, units, norms } = inputs;
  const size = util.sizeFromShape(weights.shape);
  const rows = size / units;
  const values = name === 'unitStep' ? weights : makeOutput(backend, [size]);
  if (name !== 'unitStep') {
    const write = {
      variant: `values ${name === 'unitNorm'}`,
      before: 'var all = 0u;',
      each: `out[i] = ${name === 'unitNorm' ? 'w + v' : 'v'}; all = select(0u, 1u, bad);`,
      type: 'u32',
      combine: 'all[local] | all[local + half]',
    };
    pass(backend, before, { ...inputs, out: values }, write);
  }
  // The bits of non-negative numbers have the order of the numbers, and NaN is the largest.
  const larger = (x: string, y: string) => `bitcast<f32>(max(bitcast<u32>(${x}), bitcast<u32>(${y})))`;
  const [whole] =
    name === 'unitMaxAbs'
      ? sumColumns(
          backend,
          FUSED_UPDATE,
          [rows, units],
          { values },
          ['bitcast<f32>(bitcast<u32>(values[i]) & 0x7fffffffu)'],
          undefined,
          larger,
        )
      : sumColumns(backend, FUSED_UPDATE, [rows, units], { values }, ['values[i] * values[i]']);
  const totals =
    name === 'normalizeUnits'
      ? sumColumns(backend, FUSED_UPDATE, [units, 1], { whole: whole! }, [
          'whole[i]',
          'select(0.0, 1.0, whole[i] > 0.0)',
        ])
      : [];
  const factor: Partial<Record<Operation[0], string>> = {
    unitMaxAbs: 'whole[i]',
    unitRms: 'sqrt(whole[i] / f32(uniforms.rows))',
    normalizeUnits: 'select(sqrt(total[0] / count[0] / whole[i]), 0.0, whole[i] == 0.0 && finite(total[0]))',
    unitStep: 'uniforms.a * pow(abs(sqrt(whole[i]) - 1.0) + 1e-10, uniforms.b)',
    unitNorm: 'select(select(uniforms.a / sqrt(whole[i]), 0.0, whole[i] == 0.0), whole[i], !finite(whole[i]))',
  };
  const [total, count] = totals;
  runPass(backend, {
    name: FUSED_UPDATE,
    variant: `factors ${name}`,
    outputs: { norms: { tensor: norms, type: 'u32' } },
    inputs: {
      whole: { tensor: whole! },
      ...(total && count && { total: { tensor: total }, count: { tensor: count } }),
    },
    integers: { units, rows, at },
    floats: { a, b },
    workgroups: Math.min(mostWorkgroups, Math.ceil(units / workgroupSize)),
    declarations: finiteByBits,
    body: `
      for (var i = group * ${workgroupSize} + local; i < uniforms.units; i += uniforms.workgroups * ${workgroupSize}) {
        norms[uniforms.at + i] = bitcast<u32>(${factor[name]});
      }`,
  });
  for (const { dataId } of [...(name === 'unitStep' ? [] : [values]), whole!, ...totals]) backend.disposeData(dataId);
}

/** The inputs of a pass over the weights, and the numbers that passes exchange. */
interface PassInputs extends FusedUpdateInputs {
  readonly units: number;
  readonly norms: TensorInfo;
  readonly partials: TensorInfo;
  readonly out?: TensorInfo;
}

/** Operations with the same code have the same form. */
const formOf = ([name, by, and]: Operation): string =>
  name === 'bounds' ? `${name} ${Number.isFinite(by)} ${Number.isFinite(and)}` : name;

const readsWeights: readonly Operation[0][] = ['decay', 'bounds', 'unitNorm'];

/** A pass that computes v of each entry, and one number for each workgroup. */
function pass(
  backend: WebGPUBackend,
  program: readonly Operation[],
  { norms, partials, out, units, ...inputs }: PassInputs,
  code: Record<'variant' | 'before' | 'each' | 'type' | 'combine', string>,
): void {
  const names = program.map(([name]) => name);
  const reads = {
    weights:
      out !== undefined ||
      names.some((name) => readsWeights.includes(name) || (name === 'eligibility' && inputs.overlap !== undefined)),
    sums: names.includes('eligibility'),
    overlap: names.includes('eligibility') && inputs.overlap !== undefined,
    gradient: names.some((name) => name === 'gradient' || name === 'magnitude' || name === 'flip'),
    norms: program.some((operation) => isNorm(operation) || isUnitNorm(operation)),
  };
  const size = util.sizeFromShape(inputs.weights.shape);
  const measured = program.flatMap((operation, o) => (isNorm(operation) ? [o] : []));
  const ofUnits = program.flatMap((operation, o) => (isUnitNorm(operation) ? [o] : []));
  const indexOf = (o: number) => {
    const before = (all: readonly number[]) => all.filter((other) => other < o).length;
    return `${before(measured)} + ${before(ofUnits)} * uniforms.units`;
  };
  const lines = names.map((name, o) => {
    switch (name) {
      case 'eligibility':
        return reads.overlap ? 'v = sums[i] - w * overlap[i % uniforms.units];' : 'v = sums[i];';
      case 'gradient':
        return 'v = -g;';
      case 'one':
        return 'v = 1.0;';
      case 'maxAbs':
      case 'unitMaxAbs':
        return `v = select(v / norm${o}, 0.0, norm${o} == 0.0);`;
      case 'rms':
      case 'unitRms':
        return `v = norm${o};`;
      case 'normalizeUnits':
      case 'unitStep':
        return `v *= norm${o};`;
      case 'unitNorm':
        return `v = (w + v) * norm${o} - w;`;
      case 'clip':
        return `bad = bad || isNan(v); v = clamp(v, -uniforms.by${o}, uniforms.by${o});`;
      case 'power':
        return `bad = bad || isNan(v); v = sign(v) * select(pow(abs(v), uniforms.by${o}), 0.0, v == 0.0);`;
      case 'bounds':
        return `
          bad = bad || isNan(w + v);
          v = w + v;
          ${Number.isFinite(program[o]?.[2]) ? `v = min(v, uniforms.and${o});` : ''}
          ${Number.isFinite(program[o]?.[1]) ? `v = max(v, uniforms.by${o});` : ''}
          v -= w;`;
      case 'magnitude':
        return 'v = -sign(g) * abs(v);';
      case 'flip':
        return 'v = -sign(g) * v;';
      case 'scale':
        return `v *= uniforms.by${o};`;
      default:
        return `v -= uniforms.by${o} * w;`;
    }
  });
  const signs = names.some((name) => name === 'magnitude' || name === 'flip');
  runPass(backend, {
    name: FUSED_UPDATE,
    variant: `${code.variant} ${program.map(formOf).join()}`,
    outputs: { partials: { tensor: partials, type: 'u32' }, ...(out && { out: { tensor: out } }) },
    inputs: Object.fromEntries(
      Object.entries({ ...inputs, norms })
        .filter(([name]) => reads[name as keyof typeof reads])
        .map(([name, tensor]): [string, Buffer] => [name, { tensor: tensor!, type: name === 'norms' ? 'u32' : 'f32' }]),
    ),
    integers: { size, units },
    floats: Object.fromEntries(
      program.flatMap(([, by, and], o) => [
        ...(by === undefined ? [] : [[`by${o}`, by] as const]),
        ...(and === undefined ? [] : [[`and${o}`, and] as const]),
      ]),
    ),
    workgroups: partials.shape[0]!,
    declarations: `
      var<workgroup> all: array<${code.type}, ${workgroupSize}>;
      ${finiteByBits}
      ${isNan}`,
    body: `
      ${measured.map((o) => `let norm${o} = bitcast<f32>(norms[${indexOf(o)}]);`).join('\n')}
      ${code.before.replace('all', 'mine')}
      for (var i = group * ${workgroupSize} + local; i < uniforms.size; i += uniforms.workgroups * ${workgroupSize}) {
        ${reads.weights ? 'let w = weights[i];' : ''}
        ${reads.gradient ? 'let g = gradient[i];' : ''}
        ${ofUnits.map((o) => `let norm${o} = bitcast<f32>(norms[${indexOf(o)} + i % uniforms.units]);`).join('\n')}
        // The sign of NaN is undefined, and so are a limit and a power of it.
        var bad = ${[...[...measured, ...ofUnits].map((o) => `!finite(norm${o})`), ...(signs ? ['isNan(g)'] : []), 'false'].join(' || ')};
        var v = 0.0;
        ${lines.join('\n')}
        ${code.each.replaceAll('all', 'mine')}
      }
      all[local] = mine;
      workgroupBarrier();
      for (var half = ${workgroupSize / 2}; half > 0; half /= 2) {
        if (local < half) { all[local] = ${code.combine}; }
        workgroupBarrier();
      }
      if (local == 0) { partials[group] = ${code.type === 'u32' ? 'all[0]' : 'bitcast<u32>(all[0])'}; }`,
  });
}

/** Combines the numbers of all workgroups in one invocation. */
function fold(
  backend: WebGPUBackend,
  partials: TensorInfo,
  output: Readonly<Record<string, Buffer>>,
  code: {
    readonly variant: string;
    readonly size: number;
    readonly at?: number;
    readonly combine: string;
    readonly write: string;
  },
): void {
  runPass(backend, {
    name: FUSED_UPDATE,
    variant: `fold ${code.variant}`,
    outputs: output,
    inputs: { partials: { tensor: partials, type: 'u32' } },
    integers: { count: partials.shape[0]!, size: code.size, at: code.at ?? 0 },
    size: 1,
    workgroups: 1,
    body: `
      var all = 0u;
      for (var i = 0; i < uniforms.count; i++) { ${code.combine} }
      ${code.write}`,
  });
}
