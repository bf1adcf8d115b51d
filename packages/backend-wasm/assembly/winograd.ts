/**
 * Winograd's F(4×4, 3×3): a 3×3 convolution of stride 1 with a quarter of the multiplications. The output is cut into
 * tiles of 4×4, each made from a 6×6 tile of the (padded) image; in the transformed domain a convolution is 36 products,
 *
 *     V = Bᵀ·x·B     U = G·w·Gᵀ     y = Aᵀ·(Σ_c U ⊙ V)·A          forward
 *     D = A·v·Aᵀ     ∂W = Gᵀ·(Σ_tiles D ⊙ V)·G                   for each cotangent v, over one V
 *                    ∂x = B·(Σ_k U ⊙ D)·Bᵀ, added up where tiles overlap
 *
 * What all tasks read, V or the D of ∂x, is written whole; U, the other D and the 36 products for a few channels at a time,
 * so that they stay near. Rounding errors are some ten times those of a direct sum: 2e-6 to 1.4e-5 of the largest value.
 *
 * Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016.
 */
import { MR, NR, ROW } from '../dist/wasm/tile';
import { Convolution } from './convolution';
import { EDGE, multiply } from './multiply';
import { blockLength, blocksOf, ceilDiv, clear, max, min, transpose } from './pack';
import { args, control, parallel, reserve, scratch } from './pool';
import { WINOGRAD_COTANGENT, WINOGRAD_FORWARD, WINOGRAD_GRADIENT, WINOGRAD_IMAGE, WINOGRAD_INPUT } from './tasks';

@unmanaged
export class Winograd extends Convolution {
  /** Tiles down, across, and in the whole batch. */
  tilesDown: i32;
  tilesAcross: i32;
  tiles: i32;
  /** Channels that the products sum over, or that stand as their rows, and those that are shared out to tasks. */
  depth: i32;
  outputs: i32;
  /** Of these, in a task. */
  width: i32;
  tasksAcross: i32;
  /** Tiles of a task. */
  range: i32;
}

/** Points of the transform. */
const POINTS: usize = 36;
/** Tiles whose 36 products are formed at once; a multiple of a micro-kernel's six rows. */
const TILES: i32 = 192;
/** Tiles in a task of the image's transform. */
const IMAGE_TILES: i32 = 16;
/** Planes a multiple of 4 KiB apart would fall into the same sets of the cache. */
const APART: usize = 320;
/** Bytes of intermediate rows of one transform. */
const ROWS: usize = 1024;

// @ts-ignore: decorator
@inline
function vPlane(g: Winograd): usize {
  return <usize>blocksOf(g.depth) * (ceilDiv(g.tiles, MR) * MR) * ROW * 4 + APART;
}

// @ts-ignore: decorator
@inline
function vBlock(g: Winograd): usize {
  return <usize>(ceilDiv(g.tiles, MR) * MR) * ROW * 4;
}

// @ts-ignore: decorator
@inline
function mPlane(g: Winograd): usize {
  return <usize>(TILES * g.width) * 4 + APART;
}

// @ts-ignore: decorator
@inline
function uPlane(g: Winograd): usize {
  return <usize>(g.depth * g.width) * 4 + APART;
}

function prepare(g: Winograd, depth: i32, outputs: i32, cotangents: i32): void {
  g.depth = depth;
  g.outputs = outputs;
  g.tilesDown = ceilDiv(g.outHeight, 4);
  g.tilesAcross = ceilDiv(g.outWidth, 4);
  g.tiles = g.batch * g.tilesDown * g.tilesAcross;
  g.width = outputs * cotangents >= 256 ? 32 : 16;
  g.tasksAcross = ceilDiv(outputs, g.width);
}

/** The convolution of the arguments, whose kernel is 3×3 and whose stride, dilation and spread are 1. */
export function winograd(): u32 {
  const g = args<Winograd>();
  prepare(g, g.channels, g.filters, 1);
  g.range = max(48, ceilDiv(ceilDiv(g.tiles, ceilDiv(12, g.tasksAcross)), MR) * MR);
  if (!reserve(vPlane(g) * POINTS, (uPlane(g) + mPlane(g)) * POINTS + ROWS + EDGE)) {
    return control().sharedSize + control().privateSize * control().threads;
  }
  parallel(WINOGRAD_IMAGE, ceilDiv(g.tiles, IMAGE_TILES));
  parallel(WINOGRAD_FORWARD, g.tasksAcross * ceilDiv(g.tiles, g.range));
  return 0;
}

/** The input gradient: x is written, from y. Without the filter's copy, the scratch of the forward. */
export function winogradInputGradient(): u32 {
  const g = args<Winograd>();
  prepare(g, g.filters, g.channels, 1);
  const exchanged = <usize>(9 * g.depth * g.width) * 4;
  if (!reserve(vPlane(g) * POINTS, (uPlane(g) + mPlane(g)) * POINTS + exchanged + ROWS + EDGE)) {
    return control().sharedSize + control().privateSize * control().threads;
  }
  parallel(WINOGRAD_COTANGENT, ceilDiv(g.tiles, IMAGE_TILES));
  parallel(WINOGRAD_INPUT, g.tasksAcross);
  return 0;
}

/** The filter gradients of one or two cotangents, likewise. */
export function winogradFilterGradient(): u32 {
  const g = args<Winograd>();
  const cotangents = g.v ? 2 : 1;
  prepare(g, g.channels, g.filters, cotangents);
  if (!reserve(vPlane(g) * POINTS, (uPlane(g) + mPlane(g)) * POINTS + ROWS + EDGE)) {
    return control().sharedSize + control().privateSize * control().threads;
  }
  parallel(WINOGRAD_IMAGE, ceilDiv(g.tiles, IMAGE_TILES));
  parallel(WINOGRAD_GRADIENT, g.tasksAcross * cotangents);
  return 0;
}

/** V of some tiles: plane by point, then blocks of channels, then tiles, as rows of A. */
export function imageTask(task: i32, thread: i32): void {
  const g = args<Winograd>();
  const rows = scratch(thread);
  const length = blockLength(g.channels);
  const plane = vPlane(g);
  const end = min((task + 1) * IMAGE_TILES, g.tiles);
  for (let tile = task * IMAGE_TILES; tile < end; tile++) {
    const across = tile % g.tilesAcross;
    const down = (tile / g.tilesAcross) % g.tilesDown;
    const image = tile / (g.tilesAcross * g.tilesDown);
    const h0 = down * 4 - g.top;
    const w0 = across * 4 - g.left;
    const inside = h0 >= 0 && w0 >= 0 && h0 + 6 <= g.imageHeight && w0 + 6 <= g.imageWidth;
    for (let c = 0; c < g.channels; c += 4) {
      const block = c / length;
      const to = control().arena + vBlock(g) * block + <usize>(tile * ROW + c - block * length) * 4;
      const lanes = g.channels - c;
      for (let r = 0; r < 6; r++) {
        const h = h0 + r;
        if (h < 0 || h >= g.imageHeight) {
          for (let j: usize = 0; j < 96; j += 16) v128.store(rows + <usize>r * 96 + j, f32x4.splat(0));
          continue;
        }
        const from = g.x + <usize>(((image * g.imageHeight + h) * g.imageWidth + w0) * g.channels + c) * 4;
        const next = <usize>g.channels * 4;
        if (inside && lanes >= 4) {
          imageLine(
            rows + <usize>r * 96,
            v128.load(from),
            v128.load(from + next),
            v128.load(from + 2 * next),
            v128.load(from + 3 * next),
            v128.load(from + 4 * next),
            v128.load(from + 5 * next),
            16,
          );
        } else {
          imageLine(
            rows + <usize>r * 96,
            pixel(g, from, w0, lanes),
            pixel(g, from + next, w0 + 1, lanes),
            pixel(g, from + 2 * next, w0 + 2, lanes),
            pixel(g, from + 3 * next, w0 + 3, lanes),
            pixel(g, from + 4 * next, w0 + 4, lanes),
            pixel(g, from + 5 * next, w0 + 5, lanes),
            16,
          );
        }
      }
      for (let j: usize = 0; j < 6; j++) {
        const column = rows + j * 16;
        imageLine(
          to + j * plane,
          v128.load(column),
          v128.load(column, 96),
          v128.load(column, 192),
          v128.load(column, 288),
          v128.load(column, 384),
          v128.load(column, 480),
          6 * plane,
        );
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function pixel(g: Winograd, from: usize, w: i32, lanes: i32): v128 {
  if (w < 0 || w >= g.imageWidth) return f32x4.splat(0);
  return loadLanes(from, lanes);
}

/** Four floats, or as many as there are. */
function loadLanes(from: usize, lanes: i32): v128 {
  if (lanes >= 4) return v128.load(from);
  let value = v128.load32_zero(from);
  if (lanes > 1) value = f32x4.replace_lane(value, 1, load<f32>(from, 4));
  if (lanes > 2) value = f32x4.replace_lane(value, 2, load<f32>(from, 8));
  return value;
}

function storeLanes(to: usize, value: v128, lanes: i32): void {
  if (lanes >= 4) {
    v128.store(to, value);
    return;
  }
  store<f32>(to, f32x4.extract_lane(value, 0));
  if (lanes > 1) store<f32>(to, f32x4.extract_lane(value, 1), 4);
  if (lanes > 2) store<f32>(to, f32x4.extract_lane(value, 2), 8);
}

/** Bᵀ·d */
// @ts-ignore: decorator
@inline
function imageLine(to: usize, d0: v128, d1: v128, d2: v128, d3: v128, d4: v128, d5: v128, apart: usize): void {
  const four = f32x4.splat(4);
  const five = f32x4.splat(5);
  const even = f32x4.sub(d4, f32x4.mul(four, d2));
  const odd = f32x4.sub(d3, f32x4.mul(four, d1));
  const even2 = f32x4.sub(d4, d2);
  const odd2 = f32x4.sub(d3, d1);
  const twice = f32x4.add(odd2, odd2);
  v128.store(to, f32x4.add(f32x4.sub(f32x4.mul(four, d0), f32x4.mul(five, d2)), d4));
  v128.store(to + apart, f32x4.add(even, odd));
  v128.store(to + 2 * apart, f32x4.sub(even, odd));
  v128.store(to + 3 * apart, f32x4.add(even2, twice));
  v128.store(to + 4 * apart, f32x4.sub(even2, twice));
  v128.store(to + 5 * apart, f32x4.add(f32x4.sub(f32x4.mul(four, d1), f32x4.mul(five, d3)), d5));
}

/** G·w */
// @ts-ignore: decorator
@inline
function filterLine(to: usize, w0: v128, w1: v128, w2: v128, apart: usize): void {
  const sixth = f32x4.splat(<f32>(1.0 / 6.0));
  const even = f32x4.mul(f32x4.add(w0, w2), sixth);
  const odd = f32x4.mul(w1, sixth);
  const even2 = f32x4.add(f32x4.mul(w0, f32x4.splat(<f32>(1.0 / 24.0))), f32x4.mul(w2, sixth));
  const odd2 = f32x4.mul(w1, f32x4.splat(<f32>(1.0 / 12.0)));
  v128.store(to, f32x4.mul(w0, f32x4.splat(0.25)));
  v128.store(to + apart, f32x4.neg(f32x4.add(even, odd)));
  v128.store(to + 2 * apart, f32x4.sub(odd, even));
  v128.store(to + 3 * apart, f32x4.add(even2, odd2));
  v128.store(to + 4 * apart, f32x4.sub(even2, odd2));
  v128.store(to + 5 * apart, w2);
}

/** A·v */
// @ts-ignore: decorator
@inline
function cotangentLine(to: usize, d0: v128, d1: v128, d2: v128, d3: v128, apart: usize): void {
  const even = f32x4.add(d0, d2);
  const odd = f32x4.add(d1, d3);
  const even2 = f32x4.add(d0, f32x4.mul(f32x4.splat(4), d2));
  const odd2 = f32x4.add(f32x4.add(d1, d1), f32x4.mul(f32x4.splat(8), d3));
  v128.store(to, d0);
  v128.store(to + apart, f32x4.add(even, odd));
  v128.store(to + 2 * apart, f32x4.sub(even, odd));
  v128.store(to + 3 * apart, f32x4.add(even2, odd2));
  v128.store(to + 4 * apart, f32x4.sub(even2, odd2));
  v128.store(to + 5 * apart, d3);
}

/** U of the task's output channels, in panels; `w` points to the first of them, its taps and channels so far apart. */
function transformFilter(g: Winograd, to: usize, rows: usize, w: usize, tap: usize, next: usize, n: i32): void {
  const length = blockLength(g.depth);
  const plane = uPlane(g);
  for (let c0 = 0; c0 < g.depth; c0 += length) {
    const k = min(length, g.depth - c0);
    for (let j = 0; j < n; j += 4) {
      const lanes = n - j;
      let target = to + <usize>(c0 * g.width + (j / NR) * k * NR + (j % NR)) * 4;
      let from = w + <usize>c0 * next + <usize>j * 4;
      for (let c = 0; c < k; c++) {
        for (let i: usize = 0; i < 3; i++) {
          const at = from + 3 * i * tap;
          filterLine(
            rows + i * 96,
            loadLanes(at, lanes),
            loadLanes(at + tap, lanes),
            loadLanes(at + 2 * tap, lanes),
            16,
          );
        }
        for (let i: usize = 0; i < 6; i++) {
          const column = rows + i * 16;
          filterLine(target + i * plane, v128.load(column), v128.load(column, 96), v128.load(column, 192), 6 * plane);
        }
        target += NR * 4;
        from += next;
      }
    }
  }
}

/** Some output channels of some tiles. */
export function forwardTask(task: i32, thread: i32): void {
  const g = args<Winograd>();
  const n0 = (task % g.tasksAcross) * g.width;
  const n = min(g.width, g.filters - n0);
  const first = (task / g.tasksAcross) * g.range;
  const last = min(first + g.range, g.tiles);
  const rows = scratch(thread);
  const edge = rows + ROWS;
  const u = edge + EDGE;
  const products = u + uPlane(g) * POINTS;
  const next = <usize>g.filters * 4;
  transformFilter(g, u, rows, g.w + <usize>n0 * 4, <usize>g.channels * next, next, n);
  for (let t0 = first; t0 < last; t0 += TILES) {
    const m = min(TILES, last - t0);
    formProducts(g, products, u, t0, m, n, edge);
    for (let t = 0; t < m; t++) outputTile(g, products + <usize>(t * g.width) * 4, rows, t0 + t, n0, n);
  }
}

/** The products of some tiles with some channels of U, at all points. */
function formProducts(g: Winograd, products: usize, u: usize, t0: i32, m: i32, n: i32, edge: usize): void {
  const length = blockLength(g.depth);
  for (let point: usize = 0; point < POINTS; point++) {
    for (let k0 = 0, block = 0; k0 < g.depth; k0 += length, block++) {
      const a = control().arena + point * vPlane(g) + vBlock(g) * block + <usize>(t0 * ROW) * 4;
      const b = u + point * uPlane(g) + <usize>(k0 * g.width) * 4;
      const c = products + point * mPlane(g);
      multiply(false, a, 0, b, c, <usize>g.width * 4, m, n, min(length, g.depth - k0), block > 0, edge);
    }
  }
}

/** y = Aᵀ·m·A of one tile. */
function outputTile(g: Winograd, products: usize, rows: usize, tile: i32, n0: i32, n: i32): void {
  const across = tile % g.tilesAcross;
  const down = (tile / g.tilesAcross) % g.tilesDown;
  const image = tile / (g.tilesAcross * g.tilesDown);
  const height = min(4, g.outHeight - down * 4);
  const width = min(4, g.outWidth - across * 4);
  const next = <usize>g.filters * 4;
  const line = <usize>g.outWidth * next;
  const to = g.y + (<usize>(image * g.outHeight + down * 4) * g.outWidth + across * 4) * next + <usize>n0 * 4;
  const plane = mPlane(g);
  for (let j = 0; j < n; j += 4) {
    for (let i: usize = 0; i < 6; i++) {
      const from = products + i * 6 * plane + <usize>j * 4;
      outputLine(
        rows + i * 64,
        v128.load(from),
        v128.load(from + plane),
        v128.load(from + 2 * plane),
        v128.load(from + 3 * plane),
        v128.load(from + 4 * plane),
        v128.load(from + 5 * plane),
      );
    }
    const lanes = n - j;
    for (let i = 0; i < width; i++) {
      const column = rows + <usize>i * 16;
      const result = rows + 384;
      outputLine(
        result,
        v128.load(column),
        v128.load(column, 64),
        v128.load(column, 128),
        v128.load(column, 192),
        v128.load(column, 256),
        v128.load(column, 320),
      );
      for (let r = 0; r < height; r++) {
        storeLanes(
          to + <usize>r * line + <usize>i * next + <usize>j * 4,
          v128.load(result + <usize>r * 16),
          lanes,
        );
      }
    }
  }
}

/** Aᵀ·m */
// @ts-ignore: decorator
@inline
function outputLine(to: usize, m0: v128, m1: v128, m2: v128, m3: v128, m4: v128, m5: v128): void {
  const sum = f32x4.add(m1, m2);
  const difference = f32x4.sub(m1, m2);
  const sum2 = f32x4.add(m3, m4);
  const difference2 = f32x4.sub(m3, m4);
  v128.store(to, f32x4.add(f32x4.add(m0, sum), sum2));
  v128.store(to, f32x4.add(difference, f32x4.add(difference2, difference2)), 16);
  v128.store(to, f32x4.add(sum, f32x4.mul(f32x4.splat(4), sum2)), 32);
  v128.store(to, f32x4.add(f32x4.add(difference, f32x4.mul(f32x4.splat(8), difference2)), m5), 48);
}

/** D of some tiles, as `imageTask` has V. */
export function cotangentTask(task: i32, thread: i32): void {
  const g = args<Winograd>();
  const rows = scratch(thread);
  const length = blockLength(g.depth);
  const end = min((task + 1) * IMAGE_TILES, g.tiles);
  for (let tile = task * IMAGE_TILES; tile < end; tile++) {
    for (let k0 = 0, block = 0; k0 < g.depth; k0 += length, block++) {
      const to = control().arena + vBlock(g) * block + <usize>(tile * ROW) * 4;
      cotangentTile(g, to, vPlane(g), 0, rows, g.y, tile, k0, min(length, g.depth - k0));
    }
  }
}

/** Some channels of ∂x. */
export function inputTask(task: i32, thread: i32): void {
  const g = args<Winograd>();
  const n0 = task * g.width;
  const n = min(g.width, g.outputs - n0);
  const rows = scratch(thread);
  const edge = rows + ROWS;
  const u = edge + EDGE;
  const products = u + uPlane(g) * POINTS;
  // [tap, k, n] of the filter, which lies as [tap, n, k].
  const exchanged = products + mPlane(g) * POINTS;
  const next = <usize>g.width * 4;
  for (let tap = 0; tap < 9; tap++) {
    const from = g.w + <usize>((tap * g.channels + n0) * g.filters) * 4;
    transpose(exchanged + <usize>(tap * g.depth) * next, next, from, <usize>g.filters * 4, g.depth, n);
  }
  transformFilter(g, u, rows, exchanged, <usize>g.depth * next, next, n);
  const pixels = g.batch * g.imageHeight * g.imageWidth;
  for (let p = 0; p < pixels; p++) clear(g.x + <usize>(p * g.channels + n0) * 4, n);
  for (let t0 = 0; t0 < g.tiles; t0 += TILES) {
    const m = min(TILES, g.tiles - t0);
    formProducts(g, products, u, t0, m, n, edge);
    for (let t = 0; t < m; t++) inputTile(g, products + <usize>(t * g.width) * 4, rows, t0 + t, n0, n);
  }
}

/** Adds B·m·Bᵀ of one tile to ∂x. */
function inputTile(g: Winograd, products: usize, rows: usize, tile: i32, n0: i32, n: i32): void {
  const h0 = ((tile / g.tilesAcross) % g.tilesDown) * 4 - g.top;
  const w0 = (tile % g.tilesAcross) * 4 - g.left;
  const image = tile / (g.tilesAcross * g.tilesDown);
  const next = <usize>g.channels * 4;
  const plane = mPlane(g);
  const result = rows + 576;
  for (let j = 0; j < n; j += 4) {
    const lanes = n - j;
    for (let i: usize = 0; i < 6; i++) {
      const from = products + i * 6 * plane + <usize>j * 4;
      inputLine(
        rows + i * 96,
        v128.load(from),
        v128.load(from + plane),
        v128.load(from + 2 * plane),
        v128.load(from + 3 * plane),
        v128.load(from + 4 * plane),
        v128.load(from + 5 * plane),
      );
    }
    for (let i = 0; i < 6; i++) {
      const w = w0 + i;
      if (w < 0 || w >= g.imageWidth) continue;
      const column = rows + <usize>i * 16;
      inputLine(
        result,
        v128.load(column),
        v128.load(column, 96),
        v128.load(column, 192),
        v128.load(column, 288),
        v128.load(column, 384),
        v128.load(column, 480),
      );
      for (let r = max(0, -h0); r < min(6, g.imageHeight - h0); r++) {
        const to = g.x + <usize>((image * g.imageHeight + h0 + r) * g.imageWidth + w) * next + <usize>(n0 + j) * 4;
        storeLanes(to, f32x4.add(loadLanes(to, lanes), v128.load(result + <usize>r * 16)), lanes);
      }
    }
  }
}

/** B·m */
// @ts-ignore: decorator
@inline
function inputLine(to: usize, m0: v128, m1: v128, m2: v128, m3: v128, m4: v128, m5: v128): void {
  const four = f32x4.splat(4);
  const five = f32x4.splat(5);
  const sum = f32x4.add(m1, m2);
  const difference = f32x4.sub(m1, m2);
  const sum2 = f32x4.add(m3, m4);
  const difference2 = f32x4.sub(m3, m4);
  const twice = f32x4.add(difference2, difference2);
  v128.store(to, f32x4.mul(four, m0));
  v128.store(to, f32x4.sub(f32x4.mul(four, f32x4.sub(m5, difference)), twice), 16);
  v128.store(to, f32x4.neg(f32x4.add(f32x4.add(f32x4.mul(five, m0), f32x4.mul(four, sum)), sum2)), 32);
  v128.store(to, f32x4.sub(f32x4.add(difference, twice), f32x4.mul(five, m5)), 48);
  v128.store(to, f32x4.add(f32x4.add(m0, sum), sum2), 64);
  v128.store(to, m5, 80);
}

/** ∂W of one cotangent and some output channels. */
export function gradientTask(task: i32, thread: i32): void {
  const g = args<Winograd>();
  const second = task >= g.tasksAcross;
  const n0 = (task % g.tasksAcross) * g.width;
  const n = min(g.width, g.filters - n0);
  const cotangent = second ? g.v : g.y;
  const rows = scratch(thread);
  const edge = rows + ROWS;
  const sums = edge + EDGE;
  const d = sums + uPlane(g) * POINTS;
  const length = blockLength(g.channels);
  for (let t0 = 0; t0 < g.tiles; t0 += TILES) {
    const k = min(TILES, g.tiles - t0);
    for (let t = 0; t < k; t++) {
      const to = d + <usize>(t * NR) * 4;
      cotangentTile(g, to, mPlane(g), <usize>(k * NR) * 4, rows, cotangent, t0 + t, n0, n);
    }
    for (let point: usize = 0; point < POINTS; point++) {
      for (let c0 = 0, block = 0; c0 < g.channels; c0 += length, block++) {
        const a = control().arena + point * vPlane(g) + vBlock(g) * block + <usize>(t0 * ROW) * 4;
        const c = sums + point * uPlane(g) + <usize>(c0 * g.width) * 4;
        const m = min(length, g.channels - c0);
        multiply(true, a, ROW * 4, d + point * mPlane(g), c, <usize>g.width * 4, m, n, k, t0 > 0, edge);
      }
    }
  }
  const out = (second ? g.dv : g.dy) + <usize>n0 * 4;
  const next = <usize>g.filters * 4;
  const tap = <usize>g.channels * next;
  const plane = uPlane(g);
  for (let c = 0; c < g.channels; c++) {
    for (let j = 0; j < n; j += 4) {
      const from = sums + <usize>(c * g.width + j) * 4;
      for (let i: usize = 0; i < 6; i++) {
        const at = from + i * 6 * plane;
        gradientLine(
          rows + i * 48,
          v128.load(at),
          v128.load(at + plane),
          v128.load(at + 2 * plane),
          v128.load(at + 3 * plane),
          v128.load(at + 4 * plane),
          v128.load(at + 5 * plane),
        );
      }
      for (let i: usize = 0; i < 3; i++) {
        const column = rows + i * 16;
        const result = rows + 288;
        gradientLine(
          result,
          v128.load(column),
          v128.load(column, 48),
          v128.load(column, 96),
          v128.load(column, 144),
          v128.load(column, 192),
          v128.load(column, 240),
        );
        const to = out + i * tap + <usize>c * next + <usize>j * 4;
        for (let r: usize = 0; r < 3; r++) storeLanes(to + r * 3 * tap, v128.load(result + r * 16), n - j);
      }
    }
  }
}

/** Gᵀ·s */
// @ts-ignore: decorator
@inline
function gradientLine(to: usize, s0: v128, s1: v128, s2: v128, s3: v128, s4: v128, s5: v128): void {
  const sixth = f32x4.splat(<f32>(1.0 / 6.0));
  const sum = f32x4.mul(f32x4.add(s1, s2), sixth);
  const sum2 = f32x4.add(s3, s4);
  v128.store(
    to,
    f32x4.add(
      f32x4.sub(f32x4.mul(s0, f32x4.splat(0.25)), sum),
      f32x4.mul(sum2, f32x4.splat(<f32>(1.0 / 24.0))),
    ),
  );
  v128.store(
    to,
    f32x4.add(
      f32x4.mul(f32x4.sub(s2, s1), sixth),
      f32x4.mul(f32x4.sub(s3, s4), f32x4.splat(<f32>(1.0 / 12.0))),
    ),
    16,
  );
  v128.store(to, f32x4.add(f32x4.sub(f32x4.mul(sum2, sixth), sum), s5), 32);
}

/**
 * D of one tile, for n channels from n0 on: point by point `plane` bytes apart, in runs of NR channels `panel` bytes apart,
 * or, where that is 0, all in a row.
 */
function cotangentTile(
  g: Winograd,
  to: usize,
  plane: usize,
  panel: usize,
  rows: usize,
  cotangent: usize,
  tile: i32,
  n0: i32,
  n: i32,
): void {
  const across = tile % g.tilesAcross;
  const down = (tile / g.tilesAcross) % g.tilesDown;
  const image = tile / (g.tilesAcross * g.tilesDown);
  const height = min(4, g.outHeight - down * 4);
  const width = min(4, g.outWidth - across * 4);
  const next = <usize>g.filters * 4;
  const line = <usize>g.outWidth * next;
  const from = cotangent + (<usize>(image * g.outHeight + down * 4) * g.outWidth + across * 4) * next + <usize>n0 * 4;
  const zero = f32x4.splat(0);
  for (let j = 0; j < n; j += 4) {
    const lanes = n - j;
    for (let r = 0; r < 4; r++) {
      const at = from + <usize>r * line + <usize>j * 4;
      const inside = r < height;
      cotangentLine(
        rows + <usize>r * 96,
        inside ? loadLanes(at, lanes) : zero,
        inside && width > 1 ? loadLanes(at + next, lanes) : zero,
        inside && width > 2 ? loadLanes(at + 2 * next, lanes) : zero,
        inside && width > 3 ? loadLanes(at + 3 * next, lanes) : zero,
        16,
      );
    }
    const target = panel == 0 ? to + <usize>j * 4 : to + <usize>(j / NR) * panel + <usize>(j % NR) * 4;
    for (let i: usize = 0; i < 6; i++) {
      const column = rows + i * 16;
      cotangentLine(
        target + i * plane,
        v128.load(column),
        v128.load(column, 96),
        v128.load(column, 192),
        v128.load(column, 288),
        6 * plane,
      );
    }
  }
}
