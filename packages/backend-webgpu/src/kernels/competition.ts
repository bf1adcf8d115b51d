/**
 * Softmax competition: u = softmax(x/τ) of each row of x [P, K], as shares, signed, or 1 for the winner only, and Σₚ
 * u⊙x of each column. Since x − max x may
 * overflow for the largest numbers, u is computed from exp((x/2 − max x / 2) · (2/τ)).
 *
 * A team of invocations processes one row at a time, and keeps it in registers. Each invocation sums u⊙x of its columns
 * over the rows of its team. A second pass sums over the teams. Rows too wide for registers are read again, and u⊙x is
 * summed in a separate pass.
 */
import { COMPETITION, type CompetitionForm } from '@ghl/core/backend';
import { checkNotEmpty } from '@ghl/core/plugin';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { sumColumns } from './column-sums.js';
import { type KernelCall, kernel } from './kernel.js';
import { makeOutput, type Pass, runPass, workgroupSize } from './pass.js';

/** The most columns in the registers of an invocation. */
const mostPerInvocation = 8;

export const competition = kernel(
  COMPETITION,
  ({
    inputs: { x },
    attrs: { temperature, form = 'shares' },
    backend,
  }: KernelCall<{ x: TensorInfo }, { temperature: number; form?: CompetitionForm }>) => {
    checkNotEmpty(COMPETITION, { x });
    const [rows, columns] = x.shape as [number, number];
    const shares = makeOutput(backend, x.shape);
    let team = 16;
    while (team < workgroupSize && team * 4 < columns) team *= 2;
    const teams = workgroupSize / team;
    const perInvocation = Math.ceil(columns / team);
    const fused = perInvocation <= mostPerInvocation;
    const turns = Math.min(8, Math.ceil(rows / teams));
    const workgroups = Math.ceil(rows / teams / turns);
    const partCount = workgroups * teams;
    const parts = makeOutput(backend, [fused ? partCount : 0, columns]);
    const reduction = rowReduction(backend, team);
    runPass(backend, {
      name: COMPETITION,
      variant: `${form} ${team} ${fused ? perInvocation : 'wide'} ${reduction.enable.join()}`,
      outputs: { u: { tensor: shares }, ...(fused && { overlap: { tensor: parts } }) },
      inputs: { x: { tensor: x } },
      integers: { rows, columns, turns },
      floats: { sharpness: Math.min(2 / temperature, 2 ** 127) },
      workgroups,
      ...reduction,
      body: `
        ${reduction.start}
        let lane = local % ${team};
        let team = local / ${team};
        ${fused ? keepRow(form, perInvocation, team, teams) : readAgain(form, team, teams)}`,
    });
    const overlap = fused
      ? sumColumns(backend, COMPETITION, [partCount, columns], { parts }, ['parts[i]'])[0]!
      : sumColumns(backend, COMPETITION, [rows, columns], { u: shares, x }, ['u[i] * x[i]'])[0]!;
    backend.disposeData(parts.dataId);
    return [shares, overlap];
  },
);

/** Below any float32 except −∞. */
const least = '-3.40282346e38';

function keepRow(form: CompetitionForm, perInvocation: number, team: number, teams: number): string {
  const all = (line: (c: number) => string) => Array.from({ length: perInvocation }, (_, c) => line(c)).join('\n');
  return `
    ${all((c) => `var overlap${c} = 0.0; let column${c} = lane + ${c * team};`)}
    for (var turn = 0; turn < uniforms.turns; turn++) {
      let row = (group * uniforms.turns + turn) * ${teams} + team;
      ${all(
        (c) => `
      let inside${c} = (row < uniforms.rows) & (column${c} < uniforms.columns);
      let at${c} = row * uniforms.columns + column${c};
      let x${c} = select(${least}, x[select(0, at${c}, inside${c})], inside${c});`,
      )}
      var largest = ${least};
      ${all((c) => `largest = max(largest, x${c});`)}
      largest = rowMax(largest, local);
      ${winnerOf(
        form,
        all((c) => `first = max(first, select(${least}, -f32(column${c}), inside${c} & (x${c} == largest)));`),
      )}
      var total = 0.0;
      ${all(
        (c) => `
      let power${c} = select(0.0, exp((0.5 * x${c} - 0.5 * largest) * uniforms.sharpness), inside${c});
      total += power${c};`,
      )}
      total = rowSum(total, local);
      ${all(
        (c) => `if (inside${c}) {
        let gate = ${gateOf(form, `power${c} / total`, `column${c}`)};
        u[at${c}] = gate;
        overlap${c} += gate * x${c};
      }`,
      )}
    }
    ${all(
      (c) => `if (column${c} < uniforms.columns) {
      overlap[(group * ${teams} + team) * uniforms.columns + column${c}] = overlap${c};
    }`,
    )}`;
}

function readAgain(form: CompetitionForm, team: number, teams: number): string {
  const columns = `for (var column = lane; column < end; column += ${team})`;
  return `
    for (var turn = 0; turn < uniforms.turns; turn++) {
      let row = (group * uniforms.turns + turn) * ${teams} + team;
      let end = select(0, uniforms.columns, row < uniforms.rows);
      let start = row * uniforms.columns;
      var largest = ${least};
      ${columns} { largest = max(largest, x[start + column]); }
      largest = rowMax(largest, local);
      ${winnerOf(form, `${columns} { first = max(first, select(${least}, -f32(column), x[start + column] == largest)); }`)}
      var total = 0.0;
      ${columns} { total += exp((0.5 * x[start + column] - 0.5 * largest) * uniforms.sharpness); }
      total = rowSum(total, local);
      ${columns} {
        u[start + column] = ${gateOf(form, 'exp((0.5 * x[start + column] - 0.5 * largest) * uniforms.sharpness) / total', 'column')};
      }
    }`;
}

/** WGSL that finds the first column with the largest number of the row, if the gate depends on it. */
function winnerOf(form: CompetitionForm, search: string): string {
  if (form === 'shares') return '';
  return `var first = ${least};
      ${search}
      let winner = i32(-rowFirst(first, local));`;
}

/** WGSL of the gate of a column. */
function gateOf(form: CompetitionForm, share: string, column: string): string {
  if (form === 'winner') return `select(0.0, 1.0, ${column} == winner)`;
  return form === 'signed' ? `select(-1.0, 1.0, ${column} == winner) * ${share}` : share;
}

/**
 * WGSL of `rowMax`, `rowFirst` (also a maximum) and `rowSum`, over the invocations of a team, in a fixed order: by
 * subgroups if the device has them and a team consists of whole subgroups, else by a tree in workgroup memory. Each
 * function uses its own array, so that none waits for the readers of another. WGSL does not define which invocations
 * form a subgroup. In a workgroup of one dimension, all known devices take neighbours, which `activate()` checks.
 */
function rowReduction(
  backend: WebGPUBackend,
  team: number,
): Required<Pick<Pass, 'enable' | 'builtins' | 'declarations'>> & { readonly start: string } {
  const { device } = backend;
  const { subgroupMaxSize = 128 } = (device.adapterInfo ?? {}) as { subgroupMaxSize?: number };
  const bySubgroups = device.features.has('subgroups') && subgroupMaxSize <= team;
  const reduce = (name: string, array: string, combine: (a: string, b: string) => string, subgroup: string) =>
    bySubgroups
      ? `
      fn ${name}(value: f32, local: i32) -> f32 {
        let part = ${subgroup}(value);
        if (local % perSubgroup == 0) { ${array}[local / perSubgroup] = part; }
        workgroupBarrier();
        let parts = ${team} / perSubgroup;
        let first = local / ${team} * parts;
        var all = ${array}[first];
        for (var i = 1; i < parts; i++) { all = ${combine('all', `${array}[first + i]`)}; }
        return all;
      }`
      : `
      fn ${name}(value: f32, local: i32) -> f32 {
        ${array}[local] = value;
        workgroupBarrier();
        for (var half = ${team / 2}; half > 0; half /= 2) {
          if (local % ${team} < half) { ${array}[local] = ${combine(`${array}[local]`, `${array}[local + half]`)}; }
          workgroupBarrier();
        }
        return ${array}[local / ${team} * ${team}];
      }`;
  return {
    enable: bySubgroups ? ['subgroups'] : [],
    builtins: bySubgroups ? '@builtin(subgroup_size) subgroupSize: u32,' : '',
    start: bySubgroups ? 'perSubgroup = i32(subgroupSize);' : '',
    declarations: `
      var<workgroup> largests: array<f32, ${workgroupSize}>;
      var<workgroup> firsts: array<f32, ${workgroupSize}>;
      var<workgroup> totals: array<f32, ${workgroupSize}>;
      ${bySubgroups ? 'var<private> perSubgroup: i32;' : ''}
      ${reduce('rowMax', 'largests', (a, b) => `max(${a}, ${b})`, 'subgroupMax')}
      ${reduce('rowFirst', 'firsts', (a, b) => `max(${a}, ${b})`, 'subgroupMax')}
      ${reduce('rowSum', 'totals', (a, b) => `${a} + ${b}`, 'subgroupAdd')}`,
  };
}
