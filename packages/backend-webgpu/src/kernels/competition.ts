/**
 * Competition: u = softmax(x/τ) of each row of x [P, K], and Σₚ u⊙x of each column. x − max x would overflow where both
 * are as large as numbers can be, so u is made of exp((x/2 − max x / 2) · (2/τ)).
 *
 * A team of invocations takes a row at a time, and keeps it in registers from its maximum to its shares. Each
 * invocation adds up u⊙x of its columns over the rows of its team; what the teams have is added up after. Rows too wide
 * for that are read again instead, and u⊙x is added up in a pass of its own.
 */
import { COMPETITION } from '@ghl/core/backend';
import { checkNotEmpty } from '@ghl/core/plugin';
import type { WebGPUBackend } from '@tensorflow/tfjs-backend-webgpu';
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { sumColumns } from './column-sums.js';
import { type KernelCall, kernel } from './kernel.js';
import { makeOutput, type Pass, runPass, workgroupSize } from './pass.js';

/** Most columns that an invocation keeps. */
const mostKept = 8;

export const competition = kernel(
  COMPETITION,
  ({ inputs: { x }, attrs: { temperature }, backend }: KernelCall<{ x: TensorInfo }, { temperature: number }>) => {
    checkNotEmpty(COMPETITION, { x });
    const [rows, columns] = x.shape as [number, number];
    const shares = makeOutput(backend, x.shape);
    let team = 16;
    while (team < workgroupSize && team * 4 < columns) team *= 2;
    const teams = workgroupSize / team;
    const kept = Math.ceil(columns / team);
    const fused = kept <= mostKept;
    const turns = Math.min(8, Math.ceil(rows / teams));
    const workgroups = Math.ceil(rows / teams / turns);
    const found = workgroups * teams;
    const parts = makeOutput(backend, [fused ? found : 0, columns]);
    const reduction = rowReduction(backend, team);
    runPass(backend, {
      name: COMPETITION,
      variant: `${team} ${fused ? kept : 'wide'} ${reduction.enable.join()}`,
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
        ${fused ? keep(kept, team, teams) : readAgain(team, teams)}`,
    });
    const overlap = fused
      ? sumColumns(backend, COMPETITION, [found, columns], { parts }, ['parts[i]'])[0]!
      : sumColumns(backend, COMPETITION, [rows, columns], { u: shares, x }, ['u[i] * x[i]'])[0]!;
    backend.disposeData(parts.dataId);
    return [shares, overlap];
  },
);

/** Below any float32, but for −∞. */
const least = '-3.40282346e38';

function keep(kept: number, team: number, teams: number): string {
  const all = (line: (c: number) => string) => Array.from({ length: kept }, (_, c) => line(c)).join('\n');
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
      var total = 0.0;
      ${all(
        (c) => `
      let power${c} = select(0.0, exp((0.5 * x${c} - 0.5 * largest) * uniforms.sharpness), inside${c});
      total += power${c};`,
      )}
      total = rowSum(total, local);
      ${all(
        (c) => `if (inside${c}) {
        let share = power${c} / total;
        u[at${c}] = share;
        overlap${c} += share * x${c};
      }`,
      )}
    }
    ${all(
      (c) => `if (column${c} < uniforms.columns) {
      overlap[(group * ${teams} + team) * uniforms.columns + column${c}] = overlap${c};
    }`,
    )}`;
}

function readAgain(team: number, teams: number): string {
  const columns = `for (var column = lane; column < end; column += ${team})`;
  return `
    for (var turn = 0; turn < uniforms.turns; turn++) {
      let row = (group * uniforms.turns + turn) * ${teams} + team;
      let end = select(0, uniforms.columns, row < uniforms.rows);
      let first = row * uniforms.columns;
      var largest = ${least};
      ${columns} { largest = max(largest, x[first + column]); }
      largest = rowMax(largest, local);
      var total = 0.0;
      ${columns} { total += exp((0.5 * x[first + column] - 0.5 * largest) * uniforms.sharpness); }
      total = rowSum(total, local);
      ${columns} { u[first + column] = exp((0.5 * x[first + column] - 0.5 * largest) * uniforms.sharpness) / total; }
    }`;
}

/**
 * WGSL of `rowMax` and `rowSum`, over the invocations of a team, in a fixed order: by subgroups where the device has
 * them and a team is made of whole ones, else by a tree in workgroup memory. They take turns in two arrays, so that
 * neither has to wait for the other's readers. WGSL does not say which invocations make a subgroup; in a workgroup of
 * one dimension, all devices known take neighbours, which `activate()` checks.
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
      var<workgroup> totals: array<f32, ${workgroupSize}>;
      ${bySubgroups ? 'var<private> perSubgroup: i32;' : ''}
      ${reduce('rowMax', 'largests', (a, b) => `max(${a}, ${b})`, 'subgroupMax')}
      ${reduce('rowSum', 'totals', (a, b) => `${a} + ${b}`, 'subgroupAdd')}`,
  };
}
