/**
 * The update of a weight, in one pass over memory for each norm and one more. A program computes the increment v block
 * by block, in the first-level cache, and the kernel writes W + v. For an entry i of unit k = i mod K:
 *
 *     ELIGIBILITY   v = Σ − W · m_k     GRADIENT  v = −g     ONE  v = 1
 *     MAX_ABS       v = v / max abs(v)  RMS       v = √mean(v²)          over the whole weight; 0 / 0 = 0
 *     MAGNITUDE     v = −sign(g) · abs(v)         FLIP      v = −sign(g) · v
 *     SCALE a       v = a · v                     DECAY a   v = v − a · W
 *     CLIP a        v = min(max(v, −a), a)        POWER a   v = sign(v) · abs(v)^a
 *     BOUNDS a, b   v = min(max(W + v, a), b) − W
 *
 * and with norms over the weights of each unit, which f_k depends on:
 *
 *     UNIT_MAX_ABS  v = v / max abs(v_k)          UNIT_RMS  v = √mean(v_k²)
 *     NORMALIZE_UNITS  v = f_k · v                UNIT_STEP a, b  v = a · (abs(‖w_k‖ − 1) + 1e-10)^b · v
 *     UNIT_NORM a   v = f_k · (W + v) − W
 *
 * The result is W + v, or max(W + v, 0). The flag is 1 if every W + v is finite.
 */
import { ceilDiv, copy, max, min } from './pack';
import { pow } from './pow';
import { args, control, needed, parallel, reserve, scratch } from './threads';
import { FUSED_UPDATE_NORM, FUSED_UPDATE_UNITS, FUSED_UPDATE_WRITE } from '../dist/wasm/tasks';

const ELIGIBILITY: i32 = 0;
const GRADIENT: i32 = 1;
const ONE: i32 = 2;
const MAX_ABS: i32 = 3;
const RMS: i32 = 4;
const MAGNITUDE: i32 = 5;
const FLIP: i32 = 6;
const SCALE: i32 = 7;
const DECAY: i32 = 8;
const CLIP: i32 = 9;
const POWER: i32 = 10;
const BOUNDS: i32 = 11;
/** Operations with a norm for each unit follow. */
const UNIT_MAX_ABS: i32 = 12;
const UNIT_RMS: i32 = 13;
const NORMALIZE_UNITS: i32 = 14;
const UNIT_STEP: i32 = 15;
const UNIT_NORM: i32 = 16;

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
  /** Norms of units: for each task, one float64 for each unit; and the number of blocks of such a task. */
  unitNorms: usize;
  unitShare: i32;
  /** The number of operations; the code and two numbers of each follow. */
  count: i32;
}

const PROGRAM: usize = offsetof<FusedUpdate>();
/** Bytes of an operation. */
const OPERATION: usize = 12;
/** Floats of a block, a multiple of 4. */
const BLOCK: i32 = 2048;
/** Blocks of a task. */
const SHARE: i32 = 16;

// @ts-ignore: decorator
@inline
function code(m: FusedUpdate, i: i32): i32 {
  return load<i32>(changetype<usize>(m) + PROGRAM + <usize>i * OPERATION);
}

// @ts-ignore: decorator
@inline
function number(m: FusedUpdate, i: i32): f32 {
  return load<f32>(changetype<usize>(m) + PROGRAM + <usize>i * OPERATION + 4);
}

// @ts-ignore: decorator
@inline
function second(m: FusedUpdate, i: i32): f32 {
  return load<f32>(changetype<usize>(m) + PROGRAM + <usize>i * OPERATION + 8);
}

/** Address of the factors of all units, which replaces the numbers of an operation once its norms are known. */
// @ts-ignore: decorator
@inline
function factors(m: FusedUpdate, i: i32): usize {
  return load<usize>(changetype<usize>(m) + PROGRAM + <usize>i * OPERATION + 4);
}

// @ts-ignore: decorator
@inline
function setFactors(m: FusedUpdate, i: i32, address: usize): void {
  store<usize>(changetype<usize>(m) + PROGRAM + <usize>i * OPERATION + 4, address);
}

// @ts-ignore: decorator
@inline
function setNumber(m: FusedUpdate, i: i32, value: f32): void {
  store<f32>(changetype<usize>(m) + PROGRAM + <usize>i * OPERATION + 4, value);
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
  const tasks = ceilDiv(blocks, SHARE);
  let unitOperations = 0;
  for (let i = 0; i < m.count; i++) if (code(m, i) >= UNIT_MAX_ABS) unitOperations++;
  // At most one task for each weight of a unit, so that the norms are not larger than the weights.
  m.unitShare = max(1, ceilDiv(blocks, max(1, min(tasks, m.size / m.units))));
  const unitTasks = unitOperations == 0 ? 0 : ceilDiv(blocks, m.unitShare);
  const partials = (<usize>blocks * 4 + 7) & ~7;
  const norms = <usize>unitTasks * <usize>m.units * 8;
  if (!reserve(partials + norms + <usize>unitOperations * <usize>m.units * 4, BLOCK * 4)) return needed();
  m.unitNorms = control().arena + partials;
  let unitFactors = m.unitNorms + norms;
  for (let i = 0; i < m.count; i++) {
    const norm = code(m, i);
    if (norm >= UNIT_MAX_ABS) {
      m.until = i;
      parallel(FUSED_UPDATE_UNITS, unitTasks);
      combine(m, i, unitTasks, unitFactors);
      unitFactors += <usize>m.units * 4;
    }
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

/** The factor of each unit for operation i, from the norms of all tasks. */
function combine(m: FusedUpdate, i: i32, tasks: i32, to: usize): void {
  const norm = code(m, i);
  const bytes = <usize>m.units * 8;
  let total: f64 = 0;
  let active: f64 = 0;
  for (let unit = 0; unit < m.units; unit++) {
    const first = m.unitNorms + <usize>unit * 8;
    let whole = load<f64>(first);
    for (let at = first + bytes; at < first + <usize>tasks * bytes; at += bytes) {
      const part = load<f64>(at);
      whole = norm == UNIT_MAX_ABS ? Math.max(whole, part) : whole + part;
    }
    store<f64>(first, whole);
    total += whole;
    if (whole > 0) active++;
  }
  const size = <f64>(m.size / m.units);
  const a = <f64>number(m, i);
  const b = <f64>second(m, i);
  for (let unit = 0; unit < m.units; unit++) {
    const whole = load<f64>(m.unitNorms + <usize>unit * 8);
    let factor = whole;
    if (norm == UNIT_RMS) factor = Math.sqrt(whole / size);
    else if (norm == NORMALIZE_UNITS) factor = whole == 0 ? 0 : Math.sqrt(total / active / whole);
    else if (norm == UNIT_STEP) factor = a * pow(Math.abs(Math.sqrt(whole) - 1) + 1e-10, b);
    else if (norm == UNIT_NORM) factor = whole == 0 ? 0 : a / Math.sqrt(whole);
    store<f32>(to + <usize>unit * 4, <f32>factor);
  }
  setFactors(m, i, to);
}

/** The norms of all units over the blocks of a task: a largest value, or a sum of squares. */
export function fusedUpdateUnitsTask(task: i32, thread: i32): void {
  const m = args<FusedUpdate>();
  const norm = code(m, m.until);
  const v = scratch(thread);
  const norms = m.unitNorms + <usize>task * <usize>m.units * 8;
  memory.fill(norms, 0, <usize>m.units * 8);
  const end = min((task + 1) * m.unitShare, ceilDiv(m.size, BLOCK));
  for (let block = task * m.unitShare; block < end; block++) {
    const start = block * BLOCK;
    const n = min(BLOCK, m.size - start);
    if (norm == UNIT_STEP) copy(v, m.weights + <usize>start * 4, n);
    else increment(m, v, block);
    if (norm == UNIT_NORM) add(v, m.weights + <usize>start * 4, n);
    let at = v;
    let unit = start % m.units;
    for (let left = n; left > 0; ) {
      const run = min(left, m.units - unit);
      measure(at, norms + <usize>unit * 8, run, norm == UNIT_MAX_ABS);
      at += <usize>run * 4;
      left -= run;
      unit = 0;
    }
  }
}

/** Adds the squares of n floats to n sums, or takes the larger of each absolute value and each norm. */
function measure(v: usize, norms: usize, n: i32, largest: bool): void {
  const vectors = v + ((<usize>n >> 1) << 3);
  const end = v + <usize>n * 4;
  while (v < vectors) {
    const pair = f64x2.promote_low_f32x4(v128.load64_zero(v));
    const norm = v128.load(norms);
    v128.store(norms, largest ? f64x2.max(norm, f64x2.abs(pair)) : f64x2.add(norm, f64x2.mul(pair, pair)));
    v += 8;
    norms += 16;
  }
  if (v < end) {
    const value = <f64>load<f32>(v);
    const norm = load<f64>(norms);
    store<f64>(norms, largest ? Math.max(norm, Math.abs(value)) : norm + value * value);
  }
}

/** v = v + w. */
function add(v: usize, w: usize, n: i32): void {
  const vectors = v + ((<usize>n >> 2) << 4);
  const end = v + <usize>n * 4;
  while (v < vectors) {
    v128.store(v, f32x4.add(v128.load(v), v128.load(w)));
    v += 16;
    w += 16;
  }
  while (v < end) {
    store<f32>(v, load<f32>(v) + load<f32>(w));
    v += 4;
    w += 4;
  }
}

/** Applies the factor of each unit to v, by an operation with a norm for each unit. */
function scaleUnits(m: FusedUpdate, v: usize, i: i32, start: i32, n: i32): void {
  const norm = code(m, i);
  if (norm == UNIT_NORM) add(v, m.weights + <usize>start * 4, n);
  let w = m.weights + <usize>start * 4;
  let unit = start % m.units;
  for (let left = n; left > 0; ) {
    const run = min(left, m.units - unit);
    const end = v + <usize>run * 4;
    let factor = factors(m, i) + <usize>unit * 4;
    while (v < end) {
      const by = load<f32>(factor);
      const value = load<f32>(v);
      if (norm == UNIT_MAX_ABS) store<f32>(v, by == 0 ? 0 : value / by);
      else if (norm == UNIT_RMS) store<f32>(v, by);
      else if (norm == UNIT_NORM) store<f32>(v, value * by - load<f32>(w));
      else store<f32>(v, value * by);
      v += 4;
      w += 4;
      factor += 4;
    }
    left -= run;
    unit = 0;
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
      case CLIP: {
        const low = f32x4.neg(by);
        for (let at = v; at < end; at += 16) v128.store(at, f32x4.max(f32x4.min(v128.load(at), by), low));
        break;
      }
      case POWER:
        power(v, end, number(m, i));
        break;
      case BOUNDS:
        bound(v, m.weights + offset, n, number(m, i), second(m, i));
        break;
      case UNIT_MAX_ABS:
      case UNIT_RMS:
      case NORMALIZE_UNITS:
      case UNIT_STEP:
      case UNIT_NORM:
        scaleUnits(m, v, i, start, n);
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

/** v = sign(v) · abs(v)^p, with a root for the most common p. */
function power(v: usize, end: usize, p: f32): void {
  const signBit = i32x4.splat(0x80000000);
  if (p == 0.5 || p == 0.25) {
    for (let at = v; at < end; at += 16) {
      const value = v128.load(at);
      let root = f32x4.sqrt(f32x4.abs(value));
      if (p == 0.25) root = f32x4.sqrt(root);
      v128.store(at, v128.or(root, v128.and(value, signBit)));
    }
    return;
  }
  for (let at = v; at < end; at += 4) {
    const value = load<f32>(at);
    store<f32>(at, copysign<f32>(<f32>pow(<f64>abs<f32>(value), <f64>p), value));
  }
}

/** v = min(max(w + v, low), high) − w. */
function bound(v: usize, w: usize, n: i32, low: f32, high: f32): void {
  const vectors = v + ((<usize>n >> 2) << 4);
  const end = v + <usize>n * 4;
  while (v < vectors) {
    const from = v128.load(w);
    const next = f32x4.min(f32x4.add(from, v128.load(v)), f32x4.splat(high));
    v128.store(v, f32x4.sub(f32x4.max(next, f32x4.splat(low)), from));
    v += 16;
    w += 16;
  }
  while (v < end) {
    const from = load<f32>(w);
    store<f32>(v, Mathf.max(Mathf.min(from + load<f32>(v), high), low) - from);
    v += 4;
    w += 4;
  }
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
