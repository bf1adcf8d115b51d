/**
 * Winograd's F(4×4, 3×3): a 3×3 convolution of stride 1 with a quarter of the multiplications. The output is divided
 * into tiles of 4×4. Each is computed from a 6×6 tile of the (padded) image. In the transformed domain, a convolution
 * is 36 products:
 *
 *     V = Bᵀ·x·B     U = G·w·Gᵀ     y = Aᵀ·(Σ_c U ⊙ V)·A          forward
 *     D = A·v·Aᵀ     ∂W = Gᵀ·(Σ_tiles D ⊙ V)·G                   for each cotangent v, over one V
 *                    ∂x = B·(Σ_k U ⊙ D)·Bᵀ, added where tiles overlap
 *
 * The output channels, k forward and in ∂W, c in ∂x, are processed in blocks. A block has three phases. The first
 * writes its transformed operand (U, or D) to panels. The second computes the 36 products, each of rows of V (or D) in
 * the second-level cache times panels that are streamed. The third transforms the products back. Rounding errors are
 * about ten times those of a direct sum: 2e-6 to 1.4e-5 of the largest value.
 *
 * Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, CVPR 2016.
 */
import { MR, NR, ROW } from '../dist/wasm/tile';
import { Convolution } from './convolution';
import { EDGE, multiply } from './multiply';
import { blockLength, blocksOf, ceilDiv, clear, KC, max, min, transpose } from './pack';
import { args, control, needed, parallel, reserve, scratch } from './threads';
import {
  WINOGRAD_CORRELATE,
  WINOGRAD_COTANGENT,
  WINOGRAD_EXCHANGED,
  WINOGRAD_FILTER,
  WINOGRAD_GRADIENT,
  WINOGRAD_IMAGE,
  WINOGRAD_INPUT,
  WINOGRAD_MULTIPLY,
  WINOGRAD_OUTPUT,
  WINOGRAD_PANELS,
} from '../dist/wasm/tasks';

@unmanaged
export class Winograd extends Convolution {
  /** Tiles down, across, and in the whole batch. */
  tilesDown: i32;
  tilesAcross: i32;
  tiles: i32;
  /** Channels of V, or of the D in its place, and output channels. */
  depth: i32;
  outputs: i32;
  /** Output channels in a block, and the first one of the current block. */
  width: i32;
  start: i32;
  /** The cotangent, and its gradient. */
  cotangent: usize;
  gradient: usize;
}

/** Points of the transform. */
const POINTS: usize = 36;
/** Rows of a task of a product: the tiles that fit the second-level cache. */
const TILES: i32 = 288;
/** Tiles in a task of a transform. */
const SHARE: i32 = 16;
/** Channels in a task of the transform of the filter; blocks are multiples of it. */
const CHANNELS: i32 = 32;
/** Planes at a distance of a multiple of 4 KiB would map to the same sets of the cache. */
const APART: usize = 320;
/**
 * Channels whose 6 × 6 points are read one line of points at a time: caches prefetch a few streams only, not 36.
 */
const RUN: i32 = 64;
/** Bytes of the intermediate lines of a run: six of six vectors for every four channels, and one spare vector. */
const ROWS: usize = 6 * 6 * RUN * 4 + 128;
/** Floats at each point of a block: panels and products. */
const BLOCK: i32 = 350_000;

/** V: plane by point, then blocks of channels, then tiles, as rows of A. */
// @ts-ignore: decorator
@inline
function vPlane(g: Winograd): usize {
  return <usize>blocksOf(g.depth) * vBlock(g) + APART;
}

// @ts-ignore: decorator
@inline
function vBlock(g: Winograd): usize {
  return <usize>(ceilDiv(g.tiles, MR) * MR) * ROW * 4;
}

/** The length of the sums: channels, or tiles for ∂W. */
// @ts-ignore: decorator
@inline
function panelPlane(g: Winograd, length: i32): usize {
  return <usize>length * g.width * 4 + APART;
}

// @ts-ignore: decorator
@inline
function panels(g: Winograd): usize {
  return control().arena + vPlane(g) * POINTS;
}

/** Bytes from row to row of the products. With a power of two, the rows of a tile would map to the same sets. */
// @ts-ignore: decorator
@inline
function pitch(g: Winograd): usize {
  return <usize>g.width * 4 + 64;
}

// @ts-ignore: decorator
@inline
function productPlane(g: Winograd, rows: i32): usize {
  return <usize>rows * pitch(g) + APART;
}

/** Channels of the current block. */
// @ts-ignore: decorator
@inline
function columns(g: Winograd): i32 {
  return min(g.width, g.outputs - g.start);
}

/** Tiles of a task of a product: almost equal shares of at most TILES. */
// @ts-ignore: decorator
@inline
function tilesAtOnce(g: Winograd): i32 {
  return ceilDiv(ceilDiv(g.tiles, ceilDiv(g.tiles, TILES)), MR) * MR;
}

/** Divides the work. The rows of the products and their sums are over tiles and depth, or vice versa. */
function prepare(g: Winograd, depth: i32, outputs: i32): void {
  g.tilesDown = ceilDiv(g.outHeight, 4);
  g.tilesAcross = ceilDiv(g.outWidth, 4);
  g.tiles = g.batch * g.tilesDown * g.tilesAcross;
  g.depth = depth;
  g.outputs = outputs;
  const most = max(1, BLOCK / (g.tiles + depth) / CHANNELS) * CHANNELS;
  g.width = ceilDiv(ceilDiv(outputs, ceilDiv(outputs, most)), CHANNELS) * CHANNELS;
}

function fits(g: Winograd, rows: i32, length: i32, each: usize): bool {
  const planes = vPlane(g) + panelPlane(g, length) + productPlane(g, rows);
  return reserve(planes * POINTS, each + ROWS + EDGE);
}

/** A convolution with a 3×3 kernel, and stride, dilation and spread 1. */
export function winograd(): u32 {
  const g = args<Winograd>();
  prepare(g, g.channels, g.filters);
  if (!fits(g, g.tiles, g.depth, 0)) return needed();
  const shares = ceilDiv(g.tiles, SHARE);
  parallel(WINOGRAD_IMAGE, shares);
  for (g.start = 0; g.start < g.outputs; g.start += g.width) {
    parallel(WINOGRAD_FILTER, ceilDiv(columns(g), CHANNELS));
    parallel(WINOGRAD_MULTIPLY, <i32>POINTS * ceilDiv(g.tiles, tilesAtOnce(g)));
    parallel(WINOGRAD_OUTPUT, shares);
  }
  return 0;
}

/** The input gradient: x is written, from y. */
export function winogradInputGradient(): u32 {
  const g = args<Winograd>();
  prepare(g, g.filters, g.channels);
  const exchanged = <usize>(9 * blockLength(g.depth) * CHANNELS) * 4;
  if (!fits(g, g.tiles, g.depth, exchanged)) return needed();
  parallel(WINOGRAD_COTANGENT, ceilDiv(g.tiles, SHARE));
  for (g.start = 0; g.start < g.outputs; g.start += g.width) {
    parallel(WINOGRAD_EXCHANGED, ceilDiv(columns(g), CHANNELS));
    parallel(WINOGRAD_MULTIPLY, <i32>POINTS * ceilDiv(g.tiles, tilesAtOnce(g)));
    parallel(WINOGRAD_INPUT, g.batch);
  }
  return 0;
}

/** The filter gradients of one or two cotangents. */
export function winogradFilterGradient(): u32 {
  const g = args<Winograd>();
  prepare(g, g.channels, g.filters);
  if (!fits(g, g.depth, g.tiles, 0)) return needed();
  const shares = ceilDiv(g.tiles, SHARE);
  parallel(WINOGRAD_IMAGE, shares);
  for (let second = 0; second < (g.v ? 2 : 1); second++) {
    g.cotangent = second ? g.v : g.y;
    g.gradient = second ? g.dv : g.dy;
    for (g.start = 0; g.start < g.outputs; g.start += g.width) {
      parallel(WINOGRAD_PANELS, shares);
      parallel(WINOGRAD_CORRELATE, <i32>POINTS * blocksOf(g.depth));
      parallel(WINOGRAD_GRADIENT, ceilDiv(g.depth, SHARE));
    }
  }
  return 0;
}

/** The column and the row of a tile, and its image. */
// @ts-ignore: decorator
@inline
function acrossOf(g: Winograd, tile: i32): i32 {
  return tile % g.tilesAcross;
}

// @ts-ignore: decorator
@inline
function downOf(g: Winograd, tile: i32): i32 {
  return (tile / g.tilesAcross) % g.tilesDown;
}

// @ts-ignore: decorator
@inline
function imageOf(g: Winograd, tile: i32): i32 {
  return tile / (g.tilesAcross * g.tilesDown);
}

/** V of some tiles. */
export function winogradImageTask(task: i32, thread: i32): void {
  const g = args<Winograd>();
  const rows = scratch(thread);
  const length = blockLength(g.channels);
  const plane = vPlane(g);
  const end = min((task + 1) * SHARE, g.tiles);
  for (let tile = task * SHARE; tile < end; tile++) {
    const across = acrossOf(g, tile);
    const down = downOf(g, tile);
    const image = imageOf(g, tile);
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

/** Four floats, or fewer at the end. */
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

/**
 * U of n output channels and k terms of their sums, in panels. `w` points to the first of both; `tap` and `next` are
 * strides.
 */
function transformFilter(to: usize, plane: usize, rows: usize, w: usize, tap: usize, next: usize, k: i32, n: i32): void {
  for (let panel = 0; panel < n; panel += NR) {
    for (let c = 0; c < k; c++) {
      for (let j = panel; j < min(panel + NR, n); j += 4) {
        const lanes = n - j;
        const from = w + <usize>c * next + <usize>j * 4;
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
        const target = to + <usize>(panel * k + c * NR + j - panel) * 4;
        for (let i: usize = 0; i < 6; i++) {
          const column = rows + i * 16;
          filterLine(target + i * plane, v128.load(column), v128.load(column, 96), v128.load(column, 192), 6 * plane);
        }
      }
    }
  }
}

/** U of some output channels of the block. */
export function winogradFilterTask(task: i32, thread: i32): void {
  const g = args<Winograd>();
  const n0 = task * CHANNELS;
  const n = min(CHANNELS, columns(g) - n0);
  const length = blockLength(g.depth);
  const plane = panelPlane(g, g.depth);
  const next = <usize>g.filters * 4;
  for (let k0 = 0; k0 < g.depth; k0 += length) {
    const k = min(length, g.depth - k0);
    const to = panels(g) + <usize>(k0 * g.width + n0 * k) * 4;
    const from = g.w + <usize>k0 * next + <usize>(g.start + n0) * 4;
    transformFilter(to, plane, scratch(thread), from, <usize>g.channels * next, next, k, n);
  }
}

/** U of some input channels for ∂x, whose sums are over the filters. */
export function winogradExchangedTask(task: i32, thread: i32): void {
  const g = args<Winograd>();
  const n0 = task * CHANNELS;
  const n = min(CHANNELS, columns(g) - n0);
  const length = blockLength(g.depth);
  const rows = scratch(thread);
  const exchanged = rows + ROWS;
  const next: usize = CHANNELS * 4;
  for (let k0 = 0; k0 < g.depth; k0 += length) {
    const k = min(length, g.depth - k0);
    // [tap, filter, channel] of the filter, which is stored as [tap, channel, filter].
    for (let tap = 0; tap < 9; tap++) {
      const from = g.w + <usize>((tap * g.channels + g.start + n0) * g.filters + k0) * 4;
      transpose(exchanged + <usize>(tap * k) * next, next, from, <usize>g.filters * 4, k, n);
    }
    const to = panels(g) + <usize>(k0 * g.width + n0 * k) * 4;
    transformFilter(to, panelPlane(g, g.depth), rows, exchanged, <usize>k * next, next, k, n);
  }
}

/** The product at one point, for some tiles. */
export function winogradMultiplyTask(task: i32, thread: i32): void {
  const g = args<Winograd>();
  const share = tilesAtOnce(g);
  const chunks = ceilDiv(g.tiles, share);
  const point = <usize>(task / chunks);
  const t0 = (task % chunks) * share;
  const length = blockLength(g.depth);
  const ldc = pitch(g);
  const c = products(g, g.depth) + point * productPlane(g, g.tiles) + <usize>t0 * ldc;
  for (let k0 = 0, block = 0; k0 < g.depth; k0 += length, block++) {
    const a = control().arena + point * vPlane(g) + vBlock(g) * block + <usize>(t0 * ROW) * 4;
    const b = panels(g) + point * panelPlane(g, g.depth) + <usize>(k0 * g.width) * 4;
    const k = min(length, g.depth - k0);
    multiply(false, a, 0, b, c, ldc, min(share, g.tiles - t0), columns(g), k, block > 0, scratch(thread) + ROWS);
  }
}

/** The address of the products, after the panels of sums of `length` terms. */
// @ts-ignore: decorator
@inline
function products(g: Winograd, length: i32): usize {
  return panels(g) + panelPlane(g, length) * POINTS;
}

/** The channels of the block in y, for some tiles. */
export function winogradOutputTask(task: i32, thread: i32): void {
  const g = args<Winograd>();
  const end = min((task + 1) * SHARE, g.tiles);
  for (let tile = task * SHARE; tile < end; tile++) {
    outputTile(g, products(g, g.depth) + <usize>tile * pitch(g), scratch(thread), tile, g.start, columns(g));
  }
}

/** y = Aᵀ·m·A of one tile. */
function outputTile(g: Winograd, sums: usize, rows: usize, tile: i32, n0: i32, n: i32): void {
  const across = acrossOf(g, tile);
  const down = downOf(g, tile);
  const image = imageOf(g, tile);
  const height = min(4, g.outHeight - down * 4);
  const width = min(4, g.outWidth - across * 4);
  const next = <usize>g.filters * 4;
  const line = <usize>g.outWidth * next;
  const to = g.y + (<usize>(image * g.outHeight + down * 4) * g.outWidth + across * 4) * next + <usize>n0 * 4;
  const plane = productPlane(g, g.tiles);
  const apart: usize = RUN * 16;
  const result = rows + 6 * apart;
  for (let run = 0; run < n; run += RUN) {
    const end = min(run + RUN, n);
    for (let i: usize = 0; i < 6; i++) {
      for (let j = run; j < end; j += 4) {
        const from = sums + i * 6 * plane + <usize>j * 4;
        outputLine(
          rows + i * apart + <usize>(j - run) * 16,
          v128.load(from),
          v128.load(from + plane),
          v128.load(from + 2 * plane),
          v128.load(from + 3 * plane),
          v128.load(from + 4 * plane),
          v128.load(from + 5 * plane),
        );
      }
    }
    for (let j = run; j < end; j += 4) {
      for (let i = 0; i < width; i++) {
        const column = rows + <usize>(j - run) * 16 + <usize>i * 16;
        outputLine(
          result,
          v128.load(column),
          v128.load(column + apart),
          v128.load(column + 2 * apart),
          v128.load(column + 3 * apart),
          v128.load(column + 4 * apart),
          v128.load(column + 5 * apart),
        );
        for (let r = 0; r < height; r++) {
          const at = to + <usize>r * line + <usize>i * next + <usize>j * 4;
          storeLanes(at, v128.load(result + <usize>r * 16), n - j);
        }
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

/** D of some tiles, in the place of V. */
export function winogradCotangentTask(task: i32, thread: i32): void {
  const g = args<Winograd>();
  const rows = scratch(thread);
  const length = blockLength(g.depth);
  const end = min((task + 1) * SHARE, g.tiles);
  for (let tile = task * SHARE; tile < end; tile++) {
    for (let k0 = 0, block = 0; k0 < g.depth; k0 += length, block++) {
      const to = control().arena + vBlock(g) * block + <usize>(tile * ROW) * 4;
      cotangentTile(g, to, vPlane(g), rows, g.y, tile, k0, min(length, g.depth - k0));
    }
  }
}

/** The channels of the block in ∂x, for one image, within which tiles overlap. */
export function winogradInputTask(image: i32, thread: i32): void {
  const g = args<Winograd>();
  const n = columns(g);
  const pixels = g.imageHeight * g.imageWidth;
  for (let p = image * pixels; p < (image + 1) * pixels; p++) clear(g.x + <usize>(p * g.channels + g.start) * 4, n);
  const tiles = g.tilesDown * g.tilesAcross;
  for (let tile = image * tiles; tile < (image + 1) * tiles; tile++) {
    inputTile(g, products(g, g.depth) + <usize>tile * pitch(g), scratch(thread), tile, g.start, n);
  }
}

/** Adds B·m·Bᵀ of one tile to ∂x. */
function inputTile(g: Winograd, sums: usize, rows: usize, tile: i32, n0: i32, n: i32): void {
  const h0 = downOf(g, tile) * 4 - g.top;
  const w0 = acrossOf(g, tile) * 4 - g.left;
  const image = imageOf(g, tile);
  const next = <usize>g.channels * 4;
  const plane = productPlane(g, g.tiles);
  const apart: usize = RUN * 24;
  const result = rows + 6 * apart;
  for (let run = 0; run < n; run += RUN) {
    const end = min(run + RUN, n);
    for (let i: usize = 0; i < 6; i++) {
      for (let j = run; j < end; j += 4) {
        const from = sums + i * 6 * plane + <usize>j * 4;
        inputLine(
          rows + i * apart + <usize>(j - run) * 24,
          v128.load(from),
          v128.load(from + plane),
          v128.load(from + 2 * plane),
          v128.load(from + 3 * plane),
          v128.load(from + 4 * plane),
          v128.load(from + 5 * plane),
        );
      }
    }
    for (let j = run; j < end; j += 4) {
      const lanes = n - j;
      for (let i = max(0, -w0); i < min(6, g.imageWidth - w0); i++) {
        const column = rows + <usize>(j - run) * 24 + <usize>i * 16;
        inputLine(
          result,
          v128.load(column),
          v128.load(column + apart),
          v128.load(column + 2 * apart),
          v128.load(column + 3 * apart),
          v128.load(column + 4 * apart),
          v128.load(column + 5 * apart),
        );
        for (let r = max(0, -h0); r < min(6, g.imageHeight - h0); r++) {
          const pixel = (image * g.imageHeight + h0 + r) * g.imageWidth + w0 + i;
          const to = g.x + <usize>pixel * next + <usize>(n0 + j) * 4;
          storeLanes(to, f32x4.add(loadLanes(to, lanes), v128.load(result + <usize>r * 16)), lanes);
        }
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

/** D of some tiles, in panels for sums over tiles. */
export function winogradPanelsTask(task: i32, thread: i32): void {
  const g = args<Winograd>();
  const end = min((task + 1) * SHARE, g.tiles);
  const n = columns(g);
  for (let panel = 0; panel < n; panel += NR) {
    for (let tile = task * SHARE; tile < end; tile++) {
      const t0 = (tile / KC) * KC;
      const k = min(KC, g.tiles - t0);
      const to = panels(g) + <usize>(t0 * g.width + panel * k + (tile - t0) * NR) * 4;
      const rows = scratch(thread);
      cotangentTile(g, to, panelPlane(g, g.tiles), rows, g.cotangent, tile, g.start + panel, min(NR, n - panel));
    }
  }
}

/** Σ_tiles D ⊙ V at one point, for one block of channels. */
export function winogradCorrelateTask(task: i32, thread: i32): void {
  const g = args<Winograd>();
  const blocks = blocksOf(g.depth);
  const point = <usize>(task / blocks);
  const block = task % blocks;
  const length = blockLength(g.depth);
  const c0 = block * length;
  const ldc = pitch(g);
  const c = products(g, g.tiles) + point * productPlane(g, g.depth) + <usize>c0 * ldc;
  for (let t0 = 0; t0 < g.tiles; t0 += KC) {
    const a = control().arena + point * vPlane(g) + vBlock(g) * block + <usize>(t0 * ROW) * 4;
    const b = panels(g) + point * panelPlane(g, g.tiles) + <usize>(t0 * g.width) * 4;
    const m = min(length, g.depth - c0);
    multiply(true, a, ROW * 4, b, c, ldc, m, columns(g), min(KC, g.tiles - t0), t0 > 0, scratch(thread) + ROWS);
  }
}

/** ∂W of the channels of the block, for some input channels. */
export function winogradGradientTask(task: i32, thread: i32): void {
  const g = args<Winograd>();
  const rows = scratch(thread);
  const n = columns(g);
  const sums = products(g, g.tiles);
  const out = g.gradient + <usize>g.start * 4;
  const next = <usize>g.filters * 4;
  const tap = <usize>g.channels * next;
  const plane = productPlane(g, g.depth);
  const apart: usize = RUN * 12;
  const result = rows + 6 * apart;
  const last = min((task + 1) * SHARE, g.depth);
  for (let c = task * SHARE; c < last; c++) {
    for (let run = 0; run < n; run += RUN) {
      const end = min(run + RUN, n);
      for (let i: usize = 0; i < 6; i++) {
        for (let j = run; j < end; j += 4) {
          const at = sums + <usize>c * pitch(g) + <usize>j * 4 + i * 6 * plane;
          gradientLine(
            rows + i * apart + <usize>(j - run) * 12,
            v128.load(at),
            v128.load(at + plane),
            v128.load(at + 2 * plane),
            v128.load(at + 3 * plane),
            v128.load(at + 4 * plane),
            v128.load(at + 5 * plane),
          );
        }
      }
      for (let i: usize = 0; i < 3; i++) {
        for (let j = run; j < end; j += 4) {
          const column = rows + <usize>(j - run) * 12 + i * 16;
          gradientLine(
            result,
            v128.load(column),
            v128.load(column + apart),
            v128.load(column + 2 * apart),
            v128.load(column + 3 * apart),
            v128.load(column + 4 * apart),
            v128.load(column + 5 * apart),
          );
          const to = out + i * tap + <usize>c * next + <usize>j * 4;
          for (let r: usize = 0; r < 3; r++) storeLanes(to + r * 3 * tap, v128.load(result + r * 16), n - j);
        }
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

/** D of one tile, for n channels from n0, with `plane` bytes between points. */
function cotangentTile(
  g: Winograd,
  to: usize,
  plane: usize,
  rows: usize,
  cotangent: usize,
  tile: i32,
  n0: i32,
  n: i32,
): void {
  const across = acrossOf(g, tile);
  const down = downOf(g, tile);
  const image = imageOf(g, tile);
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
    const target = to + <usize>j * 4;
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
