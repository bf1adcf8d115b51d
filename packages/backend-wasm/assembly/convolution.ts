/**
 * Convolutions as products, without a copy of all patches: X[p, (f, i, j, c)] is the patch of output position p, packed
 * one block at a time from the image. An image is a volume of frames; in two dimensions it has one.
 *
 *     y[p, k]             = X[p, ·] · W[·, k]                       forward
 *     ∂W[(f, i, j, c), k] = Σₚ X[p, (f, i, j, c)] · v[p, k]         for each cotangent v, over one pass of X
 *     ∂x                  = the forward of ∂y, dilated by the stride, with W rotated and its channels exchanged
 */
import { NR, ROW } from '../dist/wasm/tile';
import { addParts, EDGE, multiply } from './multiply';
import {
  blockLength,
  blocksOf,
  ceilDiv,
  clear,
  copy,
  KC,
  MC,
  max,
  min,
  panelBytes,
  panelsFromColumns,
  panelsFromRows,
} from './pack';
import { args, control, needed, parallel, reserve, scratch } from './threads';
import { CONV_ADD, CONV_FORWARD, CONV_GRADIENT, CONV_PACK } from '../dist/wasm/tasks';

/** Geometry, then the tensors. The image may be dilated: `spread − 1` zero rows follow each row but the last. */
@unmanaged
export class Convolution {
  batch: i32;
  /** Sizes of the image in memory. */
  imageHeight: i32;
  imageWidth: i32;
  channels: i32;
  outHeight: i32;
  outWidth: i32;
  filters: i32;
  kernelHeight: i32;
  kernelWidth: i32;
  strideHeight: i32;
  strideWidth: i32;
  dilationHeight: i32;
  dilationWidth: i32;
  top: i32;
  left: i32;
  /** The distance of rows and columns of the dilated image; 1 except in the input gradient. */
  spreadHeight: i32;
  spreadWidth: i32;
  /** Whether to rotate the filter and exchange its channels: it is then [f, i, j, filters, channels]. */
  turned: i32;
  /** The same along the third axis, of frames. */
  imageDepth: i32;
  outDepth: i32;
  kernelDepth: i32;
  strideDepth: i32;
  dilationDepth: i32;
  front: i32;
  spreadDepth: i32;
  x: usize;
  w: usize;
  /** Output, or first cotangent. */
  y: usize;
  /** Second cotangent, or 0. */
  v: usize;
  /** Filter gradients of both. */
  dy: usize;
  dv: usize;
  /** Parts of Σₚ that are summed separately, blocks of p in each, and groups of rows of ∂W. */
  parts: i32;
  share: i32;
  groups: i32;
  partial: usize;
}

/** The most floats of partial sums. */
const PARTIAL: i32 = 1 << 23;
const ADD: i32 = 16384;
const STRIP: i32 = 128;

// @ts-ignore: decorator
@inline
function patchSize(g: Convolution): i32 {
  return g.kernelDepth * g.kernelHeight * g.kernelWidth * g.channels;
}

// @ts-ignore: decorator
@inline
function positions(g: Convolution): i32 {
  return g.batch * g.outDepth * g.outHeight * g.outWidth;
}

/** A convolution. The host has written its geometry and tensors to the arguments. */
export function convolve(): u32 {
  const g = args<Convolution>();
  const depth = patchSize(g);
  const blocks = blocksOf(depth);
  if (!reserve(<usize>blocks * panelBytes(blockLength(depth), g.filters), <usize>(MC * ROW * 4) + EDGE)) return needed();
  parallel(CONV_PACK, blocks * ceilDiv(g.filters, STRIP));
  parallel(CONV_FORWARD, ceilDiv(positions(g), MC));
  return 0;
}

/** Packs one block of some columns of W. */
export function convPackTask(task: i32): void {
  const g = args<Convolution>();
  const depth = patchSize(g);
  const length = blockLength(depth);
  const strips = ceilDiv(g.filters, STRIP);
  const k0 = (task / strips) * length;
  const k = min(length, depth - k0);
  const n0 = (task % strips) * STRIP;
  const n = min(STRIP, g.filters - n0);
  const to = control().arena + <usize>(task / strips) * panelBytes(length, g.filters) + <usize>n0 * k * 4;
  if (!g.turned) {
    const stride = <usize>g.filters * 4;
    panelsFromRows(to, g.w + <usize>k0 * stride + <usize>n0 * 4, stride, k, n);
    return;
  }
  // Row (tap, c) of the rotated filter is column c of the tap at `tap` from the end of the original.
  const taps = g.kernelDepth * g.kernelHeight * g.kernelWidth;
  const stride = <usize>g.channels * 4;
  for (let j = 0; j < n; j += NR) {
    const width = min(NR, n - j);
    for (let i = 0; i < k; ) {
      const tap = (k0 + i) / g.channels;
      const c = (k0 + i) % g.channels;
      const run = min(g.channels - c, k - i);
      const from = g.w + <usize>((taps - 1 - tap) * g.filters + n0 + j) * stride + <usize>c * 4;
      panelsFromColumns(to + <usize>(j * k + i * NR) * 4, from, stride, run, width);
      i += run;
    }
  }
}

export function convForwardTask(task: i32, thread: i32): void {
  const g = args<Convolution>();
  const depth = patchSize(g);
  const length = blockLength(depth);
  const own = scratch(thread);
  const p0 = task * MC;
  const m = min(MC, positions(g) - p0);
  const ldc = <usize>g.filters * 4;
  for (let block = 0, k0 = 0; k0 < depth; block++, k0 += length) {
    const k = min(length, depth - k0);
    packPatches(g, own, p0, m, k0, k);
    const b = control().arena + <usize>block * panelBytes(length, g.filters);
    const edge = own + <usize>(MC * ROW * 4);
    multiply(false, own, 0, b, g.y + <usize>p0 * ldc, ldc, m, g.filters, k, block > 0, edge);
  }
}

/** The filter gradients of one or two cotangents. The host has written the arguments. */
export function convolutionFilterGradient(): u32 {
  const g = args<Convolution>();
  const cotangents = g.v ? 2 : 1;
  const size = patchSize(g) * g.filters;
  const blocks = ceilDiv(positions(g), KC);
  g.parts = max(1, min(min(16, PARTIAL / size), blocks / 2));
  g.share = ceilDiv(blocks, g.parts);
  g.parts = ceilDiv(blocks, g.share);
  g.groups = g.parts >= 8 ? 1 : ceilDiv(patchSize(g), MC);
  const partial = g.parts > 1 ? <usize>g.parts * size * cotangents * 4 : 0;
  if (!reserve(partial, <usize>(KC * ROW * 4) + panelBytes(KC, g.filters) * cotangents + EDGE)) return needed();
  g.partial = control().arena;
  parallel(CONV_GRADIENT, g.parts * g.groups);
  if (g.parts > 1) parallel(CONV_ADD, ceilDiv(size, ADD) * cotangents);
  return 0;
}

export function convGradientTask(task: i32, thread: i32): void {
  const g = args<Convolution>();
  const depth = patchSize(g);
  const own = scratch(thread);
  const panels = own + <usize>(KC * ROW * 4);
  const panel = panelBytes(KC, g.filters);
  const ldc = <usize>g.filters * 4;
  const size = <usize>depth * ldc;
  const part = task / g.groups;
  const group = task % g.groups;
  const cotangents = g.v ? 2 : 1;
  const edge = panels + panel * cotangents;
  const m0 = g.groups > 1 ? group * MC : 0;
  const m1 = g.groups > 1 ? min(depth, m0 + MC) : depth;
  const end = min((part + 1) * g.share * KC, positions(g));
  for (let p0 = part * g.share * KC; p0 < end; p0 += KC) {
    const k = min(KC, end - p0);
    const first = p0 == part * g.share * KC;
    panelsFromRows(panels, g.y + <usize>p0 * ldc, ldc, k, g.filters);
    if (g.v) panelsFromRows(panels + panel, g.v + <usize>p0 * ldc, ldc, k, g.filters);
    for (let at = m0; at < m1; at += MC) {
      const m = min(MC, m1 - at);
      packPatches(g, own, p0, k, at, m);
      for (let v = 0; v < cotangents; v++) {
        const out = g.parts > 1 ? g.partial + <usize>(v * g.parts + part) * size : v ? g.dv : g.dy;
        const c = out + <usize>at * ldc;
        multiply(true, own, ROW * 4, panels + <usize>v * panel, c, ldc, m, g.filters, k, !first, edge);
      }
    }
  }
}

export function convAddTask(task: i32): void {
  const g = args<Convolution>();
  const size = patchSize(g) * g.filters;
  const strips = ceilDiv(size, ADD);
  const v = task / strips;
  const at = (task % strips) * ADD;
  const from = g.partial + <usize>v * g.parts * size * 4;
  addParts(v ? g.dv : g.dy, from, size, g.parts, at, min(at + ADD, size));
}

/** Rows of X[p, k] for p0 ≤ p < p0 + m, k0 ≤ k < k0 + k. */
function packPatches(g: Convolution, to: usize, p0: i32, m: i32, k0: i32, k: i32): void {
  let column = p0 % g.outWidth;
  let row = (p0 / g.outWidth) % g.outHeight;
  let frame = p0 / (g.outWidth * g.outHeight);
  let image = 0;
  if (g.outDepth > 1) {
    image = frame / g.outDepth;
    frame %= g.outDepth;
  } else {
    image = frame;
    frame = 0;
  }
  const close = g.dilationWidth == 1 && g.spreadWidth == 1;
  for (let p = 0; p < m; p++) {
    if (close) packLines(g, to, image, frame, row, column, k0, k);
    else packTaps(g, to, image, frame, row, column, k0, k);
    to += ROW * 4;
    if (++column == g.outWidth) {
      column = 0;
      if (++row == g.outHeight) {
        row = 0;
        if (++frame == g.outDepth) {
          frame = 0;
          image++;
        }
      }
    }
  }
}

/** The row of the image for row i of the patch, or −1. */
// @ts-ignore: decorator
@inline
function place(at: i32, spread: i32, size: i32): i32 {
  if (at < 0) return -1;
  if (spread > 1) {
    if (at % spread != 0) return -1;
    at /= spread;
  }
  return at < size ? at : -1;
}

/** The frame of the batch for frame f of the patch, or −1. */
// @ts-ignore: decorator
@inline
function placeFrame(g: Convolution, image: i32, frame: i32, f: i32): i32 {
  const d = place(frame * g.strideDepth - g.front + f * g.dilationDepth, g.spreadDepth, g.imageDepth);
  return d < 0 ? -1 : image * g.imageDepth + d;
}

/** A patch whose lines are contiguous, clipped at the edges of the image. */
function packLines(
  g: Convolution,
  to: usize,
  image: i32,
  frame: i32,
  row: i32,
  column: i32,
  k0: i32,
  k: i32,
): void {
  const line = g.kernelWidth * g.channels;
  const start = (column * g.strideWidth - g.left) * g.channels;
  const width = g.imageWidth * g.channels;
  let f = 0;
  let i = k0 / line;
  if (i >= g.kernelHeight) {
    f = i / g.kernelHeight;
    i %= g.kernelHeight;
  }
  let from = k0 % line;
  let d = placeFrame(g, image, frame, f);
  while (k > 0) {
    const run = min(line - from, k);
    const h = d < 0 ? -1 : place(row * g.strideHeight - g.top + i * g.dilationHeight, g.spreadHeight, g.imageHeight);
    const before = h < 0 ? run : min(run, max(0, -(start + from)));
    const inside = h < 0 ? 0 : max(0, min(run, width - start - from) - before);
    clear(to, before);
    copy(to + <usize>before * 4, g.x + <usize>((d * g.imageHeight + h) * width + start + from + before) * 4, inside);
    clear(to + <usize>(before + inside) * 4, run - before - inside);
    to += <usize>run * 4;
    k -= run;
    from = 0;
    if (++i == g.kernelHeight && k > 0) {
      i = 0;
      d = placeFrame(g, image, frame, ++f);
    }
  }
}

/** A patch whose taps are not contiguous. */
function packTaps(
  g: Convolution,
  to: usize,
  image: i32,
  frame: i32,
  row: i32,
  column: i32,
  k0: i32,
  k: i32,
): void {
  const tap = k0 / g.channels;
  let j = tap % g.kernelWidth;
  let i = tap / g.kernelWidth;
  let f = 0;
  if (i >= g.kernelHeight) {
    f = i / g.kernelHeight;
    i %= g.kernelHeight;
  }
  let c = k0 % g.channels;
  let d = placeFrame(g, image, frame, f);
  while (k > 0) {
    const run = min(g.channels - c, k);
    const h = place(row * g.strideHeight - g.top + i * g.dilationHeight, g.spreadHeight, g.imageHeight);
    const w = place(column * g.strideWidth - g.left + j * g.dilationWidth, g.spreadWidth, g.imageWidth);
    if (d < 0 || h < 0 || w < 0) clear(to, run);
    else copy(to, g.x + <usize>(((d * g.imageHeight + h) * g.imageWidth + w) * g.channels + c) * 4, run);
    to += <usize>run * 4;
    k -= run;
    c = 0;
    if (++j == g.kernelWidth) {
      j = 0;
      if (++i == g.kernelHeight && k > 0) {
        i = 0;
        d = placeFrame(g, image, frame, ++f);
      }
    }
  }
}
