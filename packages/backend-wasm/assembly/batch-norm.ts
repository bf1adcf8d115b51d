/**
 * Batch normalisation of x [P, C] by the mean and the biased variance of each channel, and its gradient:
 *
 *     y  = (x − μ) · ρ                                  ρ = 1 / √(σ² + ε)
 *     ∂x = (∂y − ⟨∂y⟩ − y · ⟨∂y · y⟩) · ρ               ⟨·⟩ the mean over P
 *
 * Sums are over blocks of rows that fit the first-level cache. Each block is summed about its own mean and corrected by
 * the remainder: for large x, the rounding of a float32 sum would be larger. Blocks are combined in float64, in order
 * (Chan, Golub and LeVeque, Updating Formulae and a Pairwise Algorithm, 1979).
 */
import { ceilDiv, max, min } from './pack';
import { args, control, needed, parallel, reserve } from './threads';
import { NORM_APPLY, NORM_COMBINE, NORM_GRADIENT_APPLY, NORM_GRADIENT_COMBINE, NORM_GRADIENT_SUMS, NORM_SUMS } from '../dist/wasm/tasks';

@unmanaged
export class Norm {
  positions: i32;
  channels: i32;
  epsilon: f32;
  /** x, or ∂y. */
  x: usize;
  y: usize;
  mean: usize;
  variance: usize;
  precision: usize;
  dx: usize;
  rows: i32;
  blocks: i32;
}

/** Floats of a block. */
const BLOCK: i32 = 6144;
/** Channels of a task that combines blocks. */
const GROUP: i32 = 64;

function prepare(n: Norm): bool {
  n.rows = max(1, BLOCK / n.channels);
  n.blocks = ceilDiv(n.positions, n.rows);
  return reserve(<usize>(2 * (n.blocks + 1) * n.channels) * 4, 0);
}

/** Two sums of each channel of a block. The totals follow the last block. */
// @ts-ignore: decorator
@inline
function sums(n: Norm, block: i32): usize {
  return control().arena + <usize>(2 * block * n.channels) * 4;
}

export function batchNorm(): u32 {
  const n = args<Norm>();
  if (!prepare(n)) return needed();
  parallel(NORM_SUMS, n.blocks);
  parallel(NORM_COMBINE, ceilDiv(n.channels, GROUP));
  parallel(NORM_APPLY, n.blocks);
  return 0;
}

export function batchNormGradient(): u32 {
  const n = args<Norm>();
  if (!prepare(n)) return needed();
  parallel(NORM_GRADIENT_SUMS, n.blocks);
  parallel(NORM_GRADIENT_COMBINE, ceilDiv(n.channels, GROUP));
  parallel(NORM_GRADIENT_APPLY, n.blocks);
  return 0;
}

export function normSumsTask(block: i32): void {
  const n = args<Norm>();
  const rows = min(n.rows, n.positions - block * n.rows);
  const next = <usize>n.channels * 4;
  const scale = f32(1) / <f32>rows;
  let from = n.x + <usize>(block * n.rows) * next;
  let to = sums(n, block);
  let c = 0;
  for (; c + 4 <= n.channels; c += 4) {
    let sum = f32x4.splat(0);
    let at = from;
    for (let i = 0; i < rows; i++) {
      sum = f32x4.add(sum, v128.load(at));
      at += next;
    }
    const mean = f32x4.mul(sum, f32x4.splat(scale));
    let rest = f32x4.splat(0);
    let squares = f32x4.splat(0);
    at = from;
    for (let i = 0; i < rows; i++) {
      const d = f32x4.sub(v128.load(at), mean);
      rest = f32x4.add(rest, d);
      squares = f32x4.add(squares, f32x4.mul(d, d));
      at += next;
    }
    const shift = f32x4.mul(rest, f32x4.splat(scale));
    v128.store(to, f32x4.add(mean, shift));
    v128.store(to + next, f32x4.max(f32x4.splat(0), f32x4.sub(squares, f32x4.mul(rest, shift))));
    from += 16;
    to += 16;
  }
  for (; c < n.channels; c++) {
    let sum: f32 = 0;
    let at = from;
    for (let i = 0; i < rows; i++) {
      sum += load<f32>(at);
      at += next;
    }
    const mean = sum * scale;
    let rest: f32 = 0;
    let squares: f32 = 0;
    at = from;
    for (let i = 0; i < rows; i++) {
      const d = load<f32>(at) - mean;
      rest += d;
      squares += d * d;
      at += next;
    }
    const shift = rest * scale;
    store<f32>(to, mean + shift);
    store<f32>(to + next, f32.max(0, squares - rest * shift));
    from += 4;
    to += 4;
  }
}

export function normCombineTask(task: i32): void {
  const n = args<Norm>();
  const next = <usize>n.channels * 4;
  for (let c = task * GROUP; c < min((task + 1) * GROUP, n.channels); c++) {
    const offset = <usize>c * 4;
    let count: f64 = 0;
    let mean: f64 = 0;
    let squares: f64 = 0;
    for (let block = 0; block < n.blocks; block++) {
      const rows = <f64>min(n.rows, n.positions - block * n.rows);
      const at = sums(n, block) + offset;
      const difference = <f64>load<f32>(at) - mean;
      const total = count + rows;
      mean += (difference * rows) / total;
      squares += <f64>load<f32>(at + next) + (difference * difference * count * rows) / total;
      count = total;
    }
    const variance = squares / count;
    store<f32>(n.mean + offset, <f32>mean);
    store<f32>(n.variance + offset, <f32>variance);
    store<f32>(n.precision + offset, <f32>(1 / Math.sqrt(variance + <f64>n.epsilon)));
  }
}

export function normApplyTask(block: i32): void {
  const n = args<Norm>();
  const rows = min(n.rows, n.positions - block * n.rows);
  const start = <usize>(block * n.rows * n.channels) * 4;
  let from = n.x + start;
  let to = n.y + start;
  for (let i = 0; i < rows; i++) {
    let mean = n.mean;
    let precision = n.precision;
    const end = to + <usize>n.channels * 4;
    while (to + 16 <= end) {
      v128.store(to, f32x4.mul(f32x4.sub(v128.load(from), v128.load(mean)), v128.load(precision)));
      from += 16;
      to += 16;
      mean += 16;
      precision += 16;
    }
    while (to < end) {
      store<f32>(to, (load<f32>(from) - load<f32>(mean)) * load<f32>(precision));
      from += 4;
      to += 4;
      mean += 4;
      precision += 4;
    }
  }
}

export function normGradientSumsTask(block: i32): void {
  const n = args<Norm>();
  const rows = min(n.rows, n.positions - block * n.rows);
  const next = <usize>n.channels * 4;
  const start = <usize>(block * n.rows) * next;
  const to = sums(n, block);
  let c = 0;
  for (; c + 4 <= n.channels; c += 4) {
    let sum = f32x4.splat(0);
    let products = f32x4.splat(0);
    let dy = n.x + start + <usize>c * 4;
    let y = n.y + start + <usize>c * 4;
    for (let i = 0; i < rows; i++) {
      const d = v128.load(dy);
      sum = f32x4.add(sum, d);
      products = f32x4.add(products, f32x4.mul(d, v128.load(y)));
      dy += next;
      y += next;
    }
    v128.store(to + <usize>c * 4, sum);
    v128.store(to + next + <usize>c * 4, products);
  }
  for (; c < n.channels; c++) {
    let sum: f32 = 0;
    let products: f32 = 0;
    let at = start + <usize>c * 4;
    for (let i = 0; i < rows; i++) {
      const d = load<f32>(n.x + at);
      sum += d;
      products += d * load<f32>(n.y + at);
      at += next;
    }
    store<f32>(to + <usize>c * 4, sum);
    store<f32>(to + next + <usize>c * 4, products);
  }
}

export function normGradientCombineTask(task: i32): void {
  const n = args<Norm>();
  const next = <usize>n.channels * 4;
  const whole = sums(n, n.blocks);
  for (let c = task * GROUP; c < min((task + 1) * GROUP, n.channels); c++) {
    let sum: f64 = 0;
    let products: f64 = 0;
    for (let block = 0; block < n.blocks; block++) {
      const at = sums(n, block) + <usize>c * 4;
      sum += <f64>load<f32>(at);
      products += <f64>load<f32>(at + next);
    }
    store<f32>(whole + <usize>c * 4, <f32>(sum / <f64>n.positions));
    store<f32>(whole + next + <usize>c * 4, <f32>(products / <f64>n.positions));
  }
}

export function normGradientApplyTask(block: i32): void {
  const n = args<Norm>();
  const rows = min(n.rows, n.positions - block * n.rows);
  const next = <usize>n.channels * 4;
  const start = <usize>(block * n.rows) * next;
  let dy = n.x + start;
  let y = n.y + start;
  let dx = n.dx + start;
  for (let i = 0; i < rows; i++) {
    let mean = sums(n, n.blocks);
    let precision = n.precision;
    const end = dx + next;
    while (dx + 16 <= end) {
      const along = f32x4.mul(v128.load(y), v128.load(mean + next));
      const rest = f32x4.sub(f32x4.sub(v128.load(dy), v128.load(mean)), along);
      v128.store(dx, f32x4.mul(rest, v128.load(precision)));
      dy += 16;
      y += 16;
      dx += 16;
      mean += 16;
      precision += 16;
    }
    while (dx < end) {
      const rest = load<f32>(dy) - load<f32>(mean) - load<f32>(y) * load<f32>(mean + next);
      store<f32>(dx, rest * load<f32>(precision));
      dy += 4;
      y += 4;
      dx += 4;
      mean += 4;
      precision += 4;
    }
  }
}
