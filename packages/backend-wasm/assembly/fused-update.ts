/**
 * The update of a weight, in one pass over memory for each norm and one more. A program computes the increment v block
 * by block, in the first-level cache, and the kernel writes W + v. For an entry i of unit k = i mod K:
 *
 *     ELIGIBILITY   v = Σ − W · m_k     GRADIENT  v = −g     ONE  v = 1
 *     MAX_ABS       v = v / max abs(v)  RMS       v = √mean(v²)          over the whole weight; 0 / 0 = 0
 *     MAGNITUDE     v = −sign(g) · abs(v)         FLIP      v = −sign(g) · v
 *     SCALE a       v = a · v                     DECAY a   v = v − a · W
 *
 * The result is W + v, or max(W + v, 0). The flag is 1 if every W + v is finite.
 */
import { ceilDiv, copy, min } from './pack';
import { args, control, needed, parallel, reserve, scratch } from './threads';
import { FUSED_UPDATE_NORM, FUSED_UPDATE_WRITE } from '../dist/wasm/tasks';

const ELIGIBILITY: i32 = 0;
const GRADIENT: i32 = 1;
const ONE: i32 = 2;
const MAX_ABS: i32 = 3;
const RMS: i32 = 4;
const MAGNITUDE: i32 = 5;
const FLIP: i32 = 6;
const SCALE: i32 = 7;
const DECAY: i32 = 8;

@unmanaged
export class FusedUpdate {
  size: i32;
  /** K. */
  units: i32;
  weights: usize;
  /** Σ = Xᵀ·G, m [K] or 0, g; 0 where the program does not read them. */
  sums: usize;
  overlap: usize;
  gradient: usize;
  /** W + v, and a byte: 1 if it is finite. */
  out: usize;
  ok: usize;
  /** Whether weights below 0 become 0. */
  nonNegative: i32;
  /** The number of operations before the norm that is being computed. */
  until: i32;
  /** The number of operations; the code and the number of each follow. */
  count: i32;
}

const PROGRAM: usize = offsetof<FusedUpdate>();
/** Floats of a block, a multiple of 4. */
const BLOCK: i32 = 2048;
/** Blocks of a task. */
const SHARE: i32 = 16;

// @ts-ignore: decorator
@inline
function code(m: FusedUpdate, i: i32): i32 {
  return load<i32>(changetype<usize>(m) + PROGRAM + <usize>i * 8);
}

// @ts-ignore: decorator
@inline
function number(m: FusedUpdate, i: i32): f32 {
  return load<f32>(changetype<usize>(m) + PROGRAM + <usize>i * 8 + 4);
}

// @ts-ignore: decorator
@inline
function setNumber(m: FusedUpdate, i: i32, value: f32): void {
  store<f32>(changetype<usize>(m) + PROGRAM + <usize>i * 8 + 4, value);
}

/** Address of the partial result of a block: a norm, or 0 if all its numbers are finite. */
// @ts-ignore: decorator
@inline
function partialAt(block: i32): usize {
  return control().arena + <usize>block * 4;
}

export function fusedUpdate(): u32 {
  const m = args<FusedUpdate>();
  const blocks = ceilDiv(m.size, BLOCK);
  if (!reserve(<usize>blocks * 4, BLOCK * 4)) return needed();
  const tasks = ceilDiv(blocks, SHARE);
  for (let i = 0; i < m.count; i++) {
    const norm = code(m, i);
    if (norm != MAX_ABS && norm != RMS) continue;
    m.until = i;
    parallel(FUSED_UPDATE_NORM, tasks);
    let whole: f64 = 0;
    for (let block = 0; block < blocks; block++) {
      const part = <f64>load<f32>(partialAt(block));
      if (norm == RMS) whole += part;
      // NaN compares as false; it must win.
      else if (!(part <= whole)) whole = part;
    }
    setNumber(m, i, <f32>(norm == RMS ? Math.sqrt(whole / <f64>m.size) : whole));
  }
  m.until = m.count;
  parallel(FUSED_UPDATE_WRITE, tasks);
  let finite = true;
  for (let block = 0; block < blocks; block++) finite = finite && load<f32>(partialAt(block)) == 0;
  store<u8>(m.ok, finite ? 1 : 0);
  return 0;
}

export function fusedUpdateNormTask(task: i32, thread: i32): void {
  const m = args<FusedUpdate>();
  const v = scratch(thread);
  const norm = code(m, m.until);
  const end = min((task + 1) * SHARE, ceilDiv(m.size, BLOCK));
  for (let block = task * SHARE; block < end; block++) {
    const n = increment(m, v, block);
    for (let i = n; i & 3; i++) store<f32>(v + <usize>i * 4, 0);
    const last = v + <usize>n * 4;
    if (norm == RMS) {
      let sum = f64x2.splat(0);
      for (let at = v; at < last; at += 8) {
        const pair = f64x2.promote_low_f32x4(v128.load64_zero(at));
        sum = f64x2.add(sum, f64x2.mul(pair, pair));
      }
      store<f32>(partialAt(block), <f32>(f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1)));
    } else {
      let largest = f32x4.splat(0);
      for (let at = v; at < last; at += 16) largest = f32x4.max(largest, f32x4.abs(v128.load(at)));
      const a = Mathf.max(f32x4.extract_lane(largest, 0), f32x4.extract_lane(largest, 1));
      const b = Mathf.max(f32x4.extract_lane(largest, 2), f32x4.extract_lane(largest, 3));
      store<f32>(partialAt(block), Mathf.max(a, b));
    }
  }
}

export function fusedUpdateWriteTask(task: i32, thread: i32): void {
  const m = args<FusedUpdate>();
  const v = scratch(thread);
  const end = min((task + 1) * SHARE, ceilDiv(m.size, BLOCK));
  for (let block = task * SHARE; block < end; block++) {
    const n = increment(m, v, block);
    const least: f32 = m.nonNegative ? 0 : -Infinity;
    const offset = <usize>(block * BLOCK) * 4;
    let from = m.weights + offset;
    let to = m.out + offset;
    let at = v;
    const vectors = v + ((<usize>n >> 2) << 4);
    let nothing = f32x4.splat(0);
    while (at < vectors) {
      const moved = f32x4.add(v128.load(from), v128.load(at));
      nothing = f32x4.add(nothing, f32x4.mul(moved, f32x4.splat(0)));
      v128.store(to, f32x4.max(moved, f32x4.splat(least)));
      at += 16;
      from += 16;
      to += 16;
    }
    let rest: f32 = 0;
    while (at < v + <usize>n * 4) {
      const moved = load<f32>(from) + load<f32>(at);
      rest += moved * 0;
      store<f32>(to, Mathf.max(moved, least));
      at += 4;
      from += 4;
      to += 4;
    }
    // 0 if all are finite, else NaN.
    rest += f32x4.extract_lane(nothing, 0) + f32x4.extract_lane(nothing, 1);
    rest += f32x4.extract_lane(nothing, 2) + f32x4.extract_lane(nothing, 3);
    store<f32>(partialAt(block), rest);
  }
}

/** v of one block, after the operations before `until`; returns its length. Reads whole vectors of v beyond it. */
function increment(m: FusedUpdate, v: usize, block: i32): i32 {
  const start = block * BLOCK;
  const n = min(BLOCK, m.size - start);
  const offset = <usize>start * 4;
  const end = v + <usize>n * 4;
  for (let i = 0; i < m.until; i++) {
    const by = f32x4.splat(number(m, i));
    switch (code(m, i)) {
      case ELIGIBILITY:
        eligibility(m, v, start, n);
        break;
      case GRADIENT: {
        copy(v, m.gradient + offset, n);
        for (let at = v; at < end; at += 16) v128.store(at, f32x4.neg(v128.load(at)));
        break;
      }
      case ONE:
        for (let at = v; at < end; at += 16) v128.store(at, f32x4.splat(1));
        break;
      case MAX_ABS:
        if (number(m, i) == 0) for (let at = v; at < end; at += 16) v128.store(at, f32x4.splat(0));
        else for (let at = v; at < end; at += 16) v128.store(at, f32x4.div(v128.load(at), by));
        break;
      case RMS:
        for (let at = v; at < end; at += 16) v128.store(at, by);
        break;
      case MAGNITUDE:
        direct(v, m.gradient + offset, n, true);
        break;
      case FLIP:
        direct(v, m.gradient + offset, n, false);
        break;
      case SCALE:
        for (let at = v; at < end; at += 16) v128.store(at, f32x4.mul(v128.load(at), by));
        break;
      case DECAY: {
        let at = v;
        let w = m.weights + offset;
        const vectors = v + ((<usize>n >> 2) << 4);
        while (at < vectors) {
          v128.store(at, f32x4.sub(v128.load(at), f32x4.mul(v128.load(w), by)));
          at += 16;
          w += 16;
        }
        while (at < end) {
          store<f32>(at, load<f32>(at) - load<f32>(w) * number(m, i));
          at += 4;
          w += 4;
        }
        break;
      }
    }
  }
  return n;
}

/** v = Σ − W · m, for one unit at a time. */
function eligibility(m: FusedUpdate, v: usize, start: i32, n: i32): void {
  const offset = <usize>start * 4;
  if (m.overlap == 0) {
    copy(v, m.sums + offset, n);
    return;
  }
  let unit = start % m.units;
  let sums = m.sums + offset;
  let w = m.weights + offset;
  for (let left = n; left > 0; ) {
    const run = min(left, m.units - unit);
    let overlap = m.overlap + <usize>unit * 4;
    const end = v + <usize>run * 4;
    while (v + 16 <= end) {
      v128.store(v, f32x4.sub(v128.load(sums), f32x4.mul(v128.load(w), v128.load(overlap))));
      v += 16;
      sums += 16;
      w += 16;
      overlap += 16;
    }
    while (v < end) {
      store<f32>(v, load<f32>(sums) - load<f32>(w) * load<f32>(overlap));
      v += 4;
      sums += 4;
      w += 4;
      overlap += 4;
    }
    left -= run;
    unit = 0;
  }
}

/** v = −sign(g) · abs(v), or −sign(g) · v, with sign(0) = 0 and the sign of NaN NaN. */
function direct(v: usize, g: usize, n: i32, magnitude: bool): void {
  const zero = f32x4.splat(0);
  const one = f32x4.splat(1);
  const signBit = i32x4.splat(0x80000000);
  const keep = i32x4.splat(magnitude ? 0x7fffffff : -1);
  const vectors = v + ((<usize>n >> 2) << 4);
  const end = v + <usize>n * 4;
  while (v < vectors) {
    const gradient = v128.load(g);
    const signed = v128.or(v128.and(gradient, signBit), one);
    const direction = v128.bitselect(signed, gradient, f32x4.gt(f32x4.abs(gradient), zero));
    v128.store(v, f32x4.neg(f32x4.mul(direction, v128.and(v128.load(v), keep))));
    v += 16;
    g += 16;
  }
  while (v < end) {
    const gradient = load<f32>(g);
    const value = load<f32>(v);
    const direction: f32 = gradient > 0 ? 1 : gradient < 0 ? -1 : gradient;
    store<f32>(v, -direction * (magnitude ? Mathf.abs(value) : value));
    v += 4;
    g += 4;
  }
}
