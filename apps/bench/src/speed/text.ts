/** A comparison of speeds as text. */
import Table from 'cli-table3';
import type { ProfileRow } from './profile.js';
import { VARIANTS, type Variant } from './pytorch-reference.js';
import type { BackendsSummary, Speed, SpeedSummary } from './summary.js';

/** Rows of a profile are shown down to this share of a step; the rest is one row. */
const LEAST_SHARE = 0.005;

/** A load average above which other processes were running. */
const BUSY = 0.5;

/** Tables, and sentences between them. */
export function speedText(summary: SpeedSummary): string {
  const { network, dataset, batch, backend, threads, steps, recipes, pytorch } = summary;
  const { gemmPeakGflops, ghlToBackprop, ghlToBackpropSpread, notes, loadBefore } = summary;
  const mark = 'median ± median absolute deviation';
  return [
    `${network}, batch ${batch}, ${dataset}: ${steps} timed steps each on ${backend}, ${count(threads, 'thread')}; ${mark}`,
    speeds(
      Object.entries(recipes).map(([name, speed]) => [name, speed, String(speed.leakedTensors)]),
      ['leaked tensors'],
    ),
    `GEMM peak ${gemmPeakGflops.toFixed(1)} GFLOP/s, the best product of two square matrices in between`,
    ...(ghlToBackprop === null || ghlToBackpropSpread === null
      ? []
      : [
          `GHL/BP ${ghlToBackprop.toFixed(3)} ± ${ghlToBackpropSpread.toFixed(3)}, of steps made right after each other`,
        ]),
    ...notes,
    ...(loadBefore > BUSY
      ? [`Other processes were at work before (load ${loadBefore.toFixed(1)}): times may be too long.`]
      : []),
    ...(pytorch === undefined ? [] : against(pytorch)),
    ...Object.entries(recipes).flatMap(([name, { profile }]) =>
      profile === undefined
        ? []
        : ['', `Where a step of ${name} spends its time, ${moved(profile)}`, profileTable(profile)],
    ),
  ].join('\n');
}

/** One table of all backends, then why the rest did not run. */
export function backendsText({ network, batch, backends }: BackendsSummary): string {
  const heads = ['backend', 'recipe', 'images/s', 'ms a step', 'GHL/BP', 'host MiB', 'device MiB'];
  const fixed = (value: number | null, digits: number) => value?.toFixed(digits) ?? '–';
  const rows = Object.entries(backends).flatMap(([backend, result]) =>
    'reason' in result
      ? []
      : Object.entries(result.recipes).map(([recipe, speed]) => [
          backend,
          recipe,
          speed.imagesPerSecond.toFixed(1),
          `${speed.msPerStep.toFixed(1)} ± ${speed.msSpread.toFixed(1)}`,
          recipe === 'ghl' ? fixed(result.ghlToBackprop, 3) : '–',
          speed.peakRssMiB.toFixed(0),
          fixed(speed.peakDeviceMiB, 0),
        ]),
  );
  return [
    `${network}, batch ${batch}: each backend in a separate process; median ± median absolute deviation`,
    tableOf(heads, rows, 2),
    ...Object.entries(backends).flatMap(([backend, result]) =>
      'reason' in result
        ? [`${backend} did not run: ${result.reason}`, `  help: ${result.help}`]
        : [result.device, ...result.notes].flatMap((note) => (note === null ? [] : [`${backend}: ${note}`])),
    ),
  ].join('\n');
}

function speeds(rows: readonly (readonly [string, Speed, ...string[]])[], more: readonly string[]): string {
  return tableOf(
    ['', 'ms a step', 'images/s', 'GFLOP/s', '÷ GEMM peak', 'peak MiB', ...more],
    rows.map(([name, speed, ...others]) => [
      name,
      `${speed.msPerStep.toFixed(1)} ± ${speed.msSpread.toFixed(1)}`,
      speed.imagesPerSecond.toFixed(speed.imagesPerSecond < 100 ? 1 : 0),
      speed.effectiveGflops.toFixed(1),
      speed.ofGemmPeak.toFixed(2),
      speed.peakRssMiB.toFixed(0),
      ...others,
    ]),
  );
}

function against({ versions, threads, gemmPeakGflops, ways, oursToTheirs }: NonNullable<SpeedSummary['pytorch']>) {
  const order = Object.keys(VARIANTS) as Variant[];
  return [
    '',
    `PyTorch ${versions.torch}, Python ${versions.python}, ${count(threads, 'thread')}, interleaved with ours`,
    speeds(
      order.map((variant) => [VARIANTS[variant], ways[variant]]),
      [],
    ),
    `GEMM peak ${gemmPeakGflops.toFixed(1)} GFLOP/s`,
    '',
    'How many times as fast as PyTorch: its time ÷ ours, median of the pairs',
    tableOf(
      ['', ...order.map((variant) => VARIANTS[variant])],
      Object.entries(oursToTheirs).map(([name, quotients]) => [
        name,
        ...order.map((variant) => quotients[variant].toFixed(2)),
      ]),
    ),
  ];
}

function moved(profile: readonly ProfileRow[]): string {
  const [calls, megabytes] = [sum(profile, ({ calls }) => calls), sum(profile, ({ megabytes }) => megabytes)];
  return `in ${calls.toFixed(0)} kernels with ${megabytes.toFixed(0)} MB in and out`;
}

const sum = (rows: readonly ProfileRow[], of: (row: ProfileRow) => number) =>
  rows.reduce((all, row) => all + of(row), 0);

function profileTable(profile: readonly ProfileRow[]): string {
  const visible = profile.filter(({ share }) => share >= LEAST_SHARE);
  const rest = profile.filter(({ share }) => share < LEAST_SHARE);
  const numbers = (calls: number, ms: number, share: number, megabytes: number) => [
    calls.toFixed(calls % 1 === 0 ? 0 : 1),
    ms.toFixed(2),
    (100 * share).toFixed(1),
    megabytes.toFixed(1),
  ];
  return tableOf(
    ['kernel', 'layer', 'pass', 'calls', 'ms a step', 'share %', 'MB in and out'],
    [
      ...visible.map(({ kernel, layer, pass, calls, ms, share, megabytes }) => [
        kernel ?? 'outside of kernels',
        layer ?? '–',
        pass ?? '–',
        ...numbers(calls, ms, share, megabytes),
      ]),
      ...(rest.length === 0
        ? []
        : [
            [
              `${rest.length} smaller ones`,
              '–',
              '–',
              ...numbers(
                sum(rest, ({ calls }) => calls),
                sum(rest, ({ ms }) => ms),
                sum(rest, ({ share }) => share),
                sum(rest, ({ megabytes }) => megabytes),
              ),
            ],
          ]),
    ],
    3,
  );
}

/** @param left Number of columns with words. */
function tableOf(head: readonly string[], rows: readonly (readonly string[])[], left = 1): string {
  const table = new Table({
    head: [...head],
    colAligns: head.map((_, i) => (i < left ? 'left' : 'right')),
    style: { head: [], border: [], compact: true },
  });
  for (const row of rows) table.push([...row]);
  return table.toString();
}

const count = (n: number, noun: string) => `${n} ${noun}${n === 1 ? '' : 's'}`;
