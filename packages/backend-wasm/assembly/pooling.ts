/**
 * Pooling and its gradients, for channels last, and any window, stride and padding. The padding has no values. An image
 * is a volume of frames; in two dimensions, it has one, and so has the window.
 *
 *     maximum   y = max over the window; its ∂y goes to the first value of the window that is no smaller than y
 *     average   y = Σ over the window / n, n the values in it; ∂y / n goes to each of them
 *
 * NaN makes a maximum NaN. A window of padding alone has the maximum −∞ and no average.
 */
import { read, unordered, write } from './elementwise';
import { ceilDiv, clear, max, min } from './pack';
import { args, parallel } from './threads';
import { AVERAGE_POOL, AVERAGE_POOL_GRADIENT, MAX_POOL, MAX_POOL_GRADIENT } from '../dist/wasm/tasks';

@unmanaged
class Pooling {
  batch: i32;
  height: i32;
  width: i32;
  channels: i32;
  outHeight: i32;
  outWidth: i32;
  windowHeight: i32;
  windowWidth: i32;
  strideHeight: i32;
  strideWidth: i32;
  top: i32;
  left: i32;
  /** The same along the third axis, of frames. */
  depth: i32;
  outDepth: i32;
  windowDepth: i32;
  strideDepth: i32;
  front: i32;
  x: usize;
  y: usize;
  dy: usize;
  dx: usize;
}

/** Channels of a task of the gradient of the maximum if there are few images. */
const GROUP: i32 = 128;
/** Rows of a window, over all its frames, that an average sums before it adds them to the total. */
const ROWS: i32 = 16;

// @ts-ignore: decorator
@inline
function pixel(p: Pooling): usize {
  return <usize>p.channels * 4;
}

export function maxPool(): u32 {
  const p = args<Pooling>();
  parallel(MAX_POOL, p.batch * p.outDepth * p.outHeight);
  return 0;
}

export function averagePool(): u32 {
  const p = args<Pooling>();
  parallel(AVERAGE_POOL, p.batch * p.outDepth * p.outHeight);
  return 0;
}

export function maxPoolTask(task: i32): void {
  poolRow(true, task);
}

export function averagePoolTask(task: i32): void {
  poolRow(false, task);
}

/** One row of the result. */
// @ts-ignore: decorator
@inline
function poolRow(maximum: bool, task: i32): void {
  const p = args<Pooling>();
  const top = (task % p.outHeight) * p.strideHeight - p.top;
  const first = max(0, top);
  const rows = max(0, min(p.height, top + p.windowHeight) - first);
  const frame = task / p.outHeight;
  const front = (frame % p.outDepth) * p.strideDepth - p.front;
  const firstFrame = max(0, front);
  const frames = max(0, min(p.depth, front + p.windowDepth) - firstFrame);
  const line = <usize>p.width * pixel(p);
  const gap = <usize>(p.height - rows) * line;
  const image = p.x + <usize>((frame / p.outDepth) * p.depth + firstFrame) * p.height * line;
  let y = p.y + <usize>task * p.outWidth * pixel(p);
  for (let column = 0; column < p.outWidth; column++) {
    const left = column * p.strideWidth - p.left;
    const start = max(0, left);
    const columns = min(p.width, left + p.windowWidth) - start;
    let x = image + <usize>first * line + <usize>start * pixel(p);
    const end = y + pixel(p);
    while (y + 64 <= end) {
      if (maximum) maximumOf(4, 4, x, line, gap, pixel(p), frames, rows, columns, y);
      else averageOf(4, 4, x, line, gap, pixel(p), frames, rows, columns, y);
      x += 64;
      y += 64;
    }
    while (y + 16 <= end) {
      if (maximum) maximumOf(1, 4, x, line, gap, pixel(p), frames, rows, columns, y);
      else averageOf(1, 4, x, line, gap, pixel(p), frames, rows, columns, y);
      x += 16;
      y += 16;
    }
    while (y < end) {
      if (maximum) maximumOf(1, 1, x, line, gap, pixel(p), frames, rows, columns, y);
      else averageOf(1, 1, x, line, gap, pixel(p), frames, rows, columns, y);
      x += 4;
      y += 4;
    }
  }
}

/** The maximum of one window, for one or four vectors of channels. `gap` bytes separate the rows of two frames. */
// @ts-ignore: decorator
@inline
function maximumOf(
  vectors: i32,
  width: i32,
  x: usize,
  line: usize,
  gap: usize,
  step: usize,
  frames: i32,
  rows: i32,
  columns: i32,
  y: usize,
): void {
  let m0 = f32x4.splat(-Infinity);
  let m1 = m0;
  let m2 = m0;
  let m3 = m0;
  let n0 = f32x4.splat(0);
  let n1 = n0;
  let n2 = n0;
  let n3 = n0;
  let row = 0;
  for (let i = frames * rows; i > 0; i--) {
    let at = x;
    for (let j = 0; j < columns; j++) {
      const x0 = read(width, at);
      m0 = f32x4.pmax(m0, x0);
      n0 = v128.or(n0, unordered(x0));
      if (vectors == 4) {
        const x1 = v128.load(at, 16);
        const x2 = v128.load(at, 32);
        const x3 = v128.load(at, 48);
        m1 = f32x4.pmax(m1, x1);
        n1 = v128.or(n1, unordered(x1));
        m2 = f32x4.pmax(m2, x2);
        n2 = v128.or(n2, unordered(x2));
        m3 = f32x4.pmax(m3, x3);
        n3 = v128.or(n3, unordered(x3));
      }
      at += step;
    }
    x += line;
    if (++row == rows) {
      row = 0;
      x += gap;
    }
  }
  write(width, y, v128.or(m0, n0));
  if (vectors == 4) {
    v128.store(y, v128.or(m1, n1), 16);
    v128.store(y, v128.or(m2, n2), 32);
    v128.store(y, v128.or(m3, n3), 48);
  }
}

// @ts-ignore: decorator
@inline
function averageOf(
  vectors: i32,
  width: i32,
  x: usize,
  line: usize,
  gap: usize,
  step: usize,
  frames: i32,
  rows: i32,
  columns: i32,
  y: usize,
): void {
  let t0 = f32x4.splat(0);
  let t1 = t0;
  let t2 = t0;
  let t3 = t0;
  const lines = frames * rows;
  let row = 0;
  for (let first = 0; first < lines; first += ROWS) {
    const end = min(lines, first + ROWS);
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    for (let i = first; i < end; i++) {
      let at = x;
      for (let j = 0; j < columns; j++) {
        s0 = f32x4.add(s0, read(width, at));
        if (vectors == 4) {
          s1 = f32x4.add(s1, v128.load(at, 16));
          s2 = f32x4.add(s2, v128.load(at, 32));
          s3 = f32x4.add(s3, v128.load(at, 48));
        }
        at += step;
      }
      x += line;
      if (++row == rows) {
        row = 0;
        x += gap;
      }
    }
    t0 = f32x4.add(t0, s0);
    if (vectors == 4) {
      t1 = f32x4.add(t1, s1);
      t2 = f32x4.add(t2, s2);
      t3 = f32x4.add(t3, s3);
    }
  }
  const n = f32x4.splat(<f32>(lines * max(0, columns)));
  write(width, y, f32x4.div(t0, n));
  if (vectors == 4) {
    v128.store(y, f32x4.div(t1, n), 16);
    v128.store(y, f32x4.div(t2, n), 32);
    v128.store(y, f32x4.div(t3, n), 48);
  }
}

/**
 * The gradient of the maximum: x, y and ∂y in, ∂x out. A task is an image, or a group of its channels if there are few
 * images.
 */
export function maxPoolGradient(): u32 {
  const p = args<Pooling>();
  parallel(MAX_POOL_GRADIENT, p.batch * ceilDiv(p.channels, channelsOfTask(p)));
  return 0;
}

// @ts-ignore: decorator
@inline
function channelsOfTask(p: Pooling): i32 {
  return p.batch < 8 ? GROUP : p.channels;
}

export function maxPoolGradientTask(task: i32): void {
  const p = args<Pooling>();
  const groups = ceilDiv(p.channels, channelsOfTask(p));
  const channel = (task % groups) * channelsOfTask(p);
  const n = min(channelsOfTask(p), p.channels - channel);
  const line = <usize>p.width * pixel(p);
  const offset = <usize>channel * 4;
  const image = <usize>(task / groups) * p.depth * p.height * line + offset;
  const toDx = p.dx - p.x;
  const toDy = p.dy - p.y;
  let y = p.y + <usize>(task / groups) * p.outDepth * p.outHeight * p.outWidth * pixel(p) + offset;
  let ready = 0;
  for (let frame = 0; frame < p.outDepth; frame++) {
    const front = frame * p.strideDepth - p.front;
    const firstFrame = max(0, front);
    const back = min(p.depth, front + p.windowDepth);
    for (let row = 0; row < p.outHeight; row++) {
      const top = row * p.strideHeight - p.top;
      const first = max(0, top);
      const bottom = min(p.height, top + p.windowHeight);
      const rows = max(0, bottom - first);
      for (const end = (back - 1) * p.height + bottom; ready < end; ready++) makeReady(p, image + <usize>ready * line, n);
      for (let column = 0; column < p.outWidth; column++) {
        const left = column * p.strideWidth - p.left;
        const start = max(0, left);
        const columns = min(p.width, left + p.windowWidth) - start;
        const frames = max(0, back - firstFrame);
        const gap = <usize>(p.height - rows) * line;
        let x = p.x + image + <usize>(firstFrame * p.height + first) * line + <usize>start * pixel(p);
        const next = y + pixel(p);
        const end = y + <usize>n * 4;
        while (y + 64 <= end) {
          giveToFirst(4, 4, x, toDx, line, gap, pixel(p), frames, rows, columns, y, toDy);
          x += 64;
          y += 64;
        }
        while (y + 16 <= end) {
          giveToFirst(1, 4, x, toDx, line, gap, pixel(p), frames, rows, columns, y, toDy);
          x += 16;
          y += 16;
        }
        while (y < end) {
          giveToFirst(1, 1, x, toDx, line, gap, pixel(p), frames, rows, columns, y, toDy);
          x += 4;
          y += 4;
        }
        y = next;
      }
    }
  }
  for (; ready < p.depth * p.height; ready++) makeReady(p, image + <usize>ready * line, n);
}

/**
 * Clears a row of ∂x, and prefetches the row of x: windows jump between rows, which processors do not predict, so that
 * each would wait for memory. This doubles the speed.
 */
function makeReady(p: Pooling, row: usize, n: i32): void {
  // One piece if the task has all channels.
  const pieces = n == p.channels ? 1 : p.width;
  const length = (p.width / pieces) * n;
  for (let i = 0; i < pieces; i++) {
    const at = row + <usize>i * pixel(p);
    // The sum is stored so that the compiler does not remove the loads.
    store<f32>(p.dx + at, sumOfLines(p.x + at, length));
    clear(p.dx + at, length);
  }
}

/** The sum of one value in each cache line. */
function sumOfLines(x: usize, n: i32): f32 {
  const end = x + <usize>n * 4;
  let sum: f32 = 0;
  while (x < end) {
    sum += load<f32>(x);
    x += 64;
  }
  return sum;
}

/** Adds ∂y to ∂x at the first x of the window that is not smaller than y; the remaining ∂y is then 0. */
// @ts-ignore: decorator
@inline
function giveToFirst(
  vectors: i32,
  width: i32,
  x: usize,
  toDx: usize,
  line: usize,
  gap: usize,
  step: usize,
  frames: i32,
  rows: i32,
  columns: i32,
  y: usize,
  toDy: usize,
): void {
  const y0 = read(width, y);
  const y1 = vectors == 4 ? v128.load(y, 16) : y0;
  const y2 = vectors == 4 ? v128.load(y, 32) : y0;
  const y3 = vectors == 4 ? v128.load(y, 48) : y0;
  let d0 = read(width, y + toDy);
  let d1 = vectors == 4 ? v128.load(y + toDy, 16) : d0;
  let d2 = vectors == 4 ? v128.load(y + toDy, 32) : d0;
  let d3 = vectors == 4 ? v128.load(y + toDy, 48) : d0;
  let row = 0;
  for (let i = frames * rows; i > 0; i--) {
    let at = x;
    for (let j = 0; j < columns; j++) {
      const to = at + toDx;
      const l0 = f32x4.lt(read(width, at), y0);
      write(width, to, f32x4.add(read(width, to), v128.andnot(d0, l0)));
      d0 = v128.and(d0, l0);
      if (vectors == 4) {
        const l1 = f32x4.lt(v128.load(at, 16), y1);
        const l2 = f32x4.lt(v128.load(at, 32), y2);
        const l3 = f32x4.lt(v128.load(at, 48), y3);
        v128.store(to, f32x4.add(v128.load(to, 16), v128.andnot(d1, l1)), 16);
        v128.store(to, f32x4.add(v128.load(to, 32), v128.andnot(d2, l2)), 32);
        v128.store(to, f32x4.add(v128.load(to, 48), v128.andnot(d3, l3)), 48);
        d1 = v128.and(d1, l1);
        d2 = v128.and(d2, l2);
        d3 = v128.and(d3, l3);
      }
      at += step;
    }
    x += line;
    if (++row == rows) {
      row = 0;
      x += gap;
    }
  }
}

/** The gradient of the average: ∂y in, ∂x out. A task is a row of ∂x. */
export function averagePoolGradient(): u32 {
  const p = args<Pooling>();
  parallel(AVERAGE_POOL_GRADIENT, p.batch * p.depth * p.height);
  return 0;
}

/** The first window that covers a frame, row or column. */
// @ts-ignore: decorator
@inline
function firstWindow(at: i32, before: i32, size: i32, stride: i32): i32 {
  return max(0, at + before - size + stride) / stride;
}

/** The one after the last. */
// @ts-ignore: decorator
@inline
function windowsEnd(at: i32, before: i32, stride: i32, windows: i32): i32 {
  return at + before < 0 ? 0 : min(windows, (at + before) / stride + 1);
}

/** Frames, rows or columns of the image that a window covers. */
// @ts-ignore: decorator
@inline
function covered(window: i32, before: i32, size: i32, stride: i32, length: i32): i32 {
  const start = window * stride - before;
  return min(length, start + size) - max(0, start);
}

export function averagePoolGradientTask(task: i32): void {
  const p = args<Pooling>();
  const row = task % p.height;
  const frame = (task / p.height) % p.depth;
  const image = p.dy + <usize>(task / p.height / p.depth) * p.outDepth * p.outHeight * p.outWidth * pixel(p);
  let dx = p.dx + <usize>task * p.width * pixel(p);
  const firstFrame = firstWindow(frame, p.front, p.windowDepth, p.strideDepth);
  const endFrame = windowsEnd(frame, p.front, p.strideDepth, p.outDepth);
  const firstRow = firstWindow(row, p.top, p.windowHeight, p.strideHeight);
  const endRow = windowsEnd(row, p.top, p.strideHeight, p.outHeight);
  for (let column = 0; column < p.width; column++) {
    const firstColumn = firstWindow(column, p.left, p.windowWidth, p.strideWidth);
    const endColumn = windowsEnd(column, p.left, p.strideWidth, p.outWidth);
    let none = true;
    for (let f = firstFrame; f < endFrame; f++) {
      const frames = covered(f, p.front, p.windowDepth, p.strideDepth, p.depth);
      for (let i = firstRow; i < endRow; i++) {
        const rows = frames * covered(i, p.top, p.windowHeight, p.strideHeight, p.height);
        for (let j = firstColumn; j < endColumn; j++) {
          const share = f32x4.splat(1 / <f32>(rows * covered(j, p.left, p.windowWidth, p.strideWidth, p.width)));
          const dy = image + <usize>((f * p.outHeight + i) * p.outWidth + j) * pixel(p);
          if (none) scaled(false, dy, share, dx, p.channels);
          else scaled(true, dy, share, dx, p.channels);
          none = false;
        }
      }
    }
    if (none) clear(dx, p.channels);
    dx += pixel(p);
  }
}

/** ∂x (+)= share · ∂y. */
// @ts-ignore: decorator
@inline
function scaled(add: bool, dy: usize, share: v128, dx: usize, channels: i32): void {
  const vectorEnd = dx + ((<usize>channels >> 2) << 4);
  const end = dx + (<usize>channels << 2);
  while (dx < vectorEnd) {
    const part = f32x4.mul(read(4, dy), share);
    write(4, dx, add ? f32x4.add(read(4, dx), part) : part);
    dx += 16;
    dy += 16;
  }
  while (dx < end) {
    const part = f32x4.mul(read(1, dy), share);
    write(1, dx, add ? f32x4.add(read(1, dx), part) : part);
    dx += 4;
    dy += 4;
  }
}
