import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type Bare, bareStock, buffers } from './module.fixture.js';
import { KernelModule, type Variant, variants } from './module.js';

/** The largest difference over the largest value, or over that of most sums of `terms` terms; infinite for a NaN. */
function error(actual: Float32Array, expected: Float64Array, terms: number): number {
  let [difference, largest] = [0, Math.sqrt(terms) / 3];
  for (let i = 0; i < expected.length; i++) {
    const d = Math.abs(actual[i]! - expected[i]!);
    if (Number.isNaN(d)) return Number.POSITIVE_INFINITY;
    difference = Math.max(difference, d);
    largest = Math.max(largest, Math.abs(expected[i]!));
  }
  return difference / largest;
}

interface Shape {
  readonly batch: number;
  readonly size: readonly [number, number];
  readonly channels: readonly [number, number];
  readonly kernel: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly dilation: readonly [number, number];
  /** Top, bottom, left, right. */
  readonly pad: readonly [number, number, number, number];
}

function outSize({ size, kernel, stride, dilation, pad }: Shape): [number, number] {
  const out = (axis: 0 | 1) => {
    const room = size[axis] + pad[2 * axis]! + pad[2 * axis + 1]! - (kernel[axis] - 1) * dilation[axis] - 1;
    return room < 0 ? 0 : Math.floor(room / stride[axis]) + 1;
  };
  return [out(0), out(1)];
}

/** Calls `visit` with the offsets of the first channels of x, w and y, for each term of the sum. */
function forEachTap(shape: Shape, visit: (x: number, w: number, y: number) => void): void {
  const { batch, size, channels, kernel, stride, dilation, pad } = shape;
  const [height, width] = outSize(shape);
  for (let b = 0; b < batch; b++)
    for (let p = 0; p < height; p++)
      for (let q = 0; q < width; q++)
        for (let i = 0; i < kernel[0]; i++)
          for (let j = 0; j < kernel[1]; j++) {
            const h = p * stride[0] + i * dilation[0] - pad[0];
            const w = q * stride[1] + j * dilation[1] - pad[2];
            if (h < 0 || h >= size[0] || w < 0 || w >= size[1]) continue;
            visit(
              ((b * size[0] + h) * size[1] + w) * channels[0],
              (i * kernel[1] + j) * channels[0] * channels[1],
              ((b * height + p) * width + q) * channels[1],
            );
          }
}

function forward(shape: Shape, x: Float32Array, w: Float32Array, size: number): Float64Array {
  const [channels, filters] = shape.channels;
  const y = new Float64Array(size);
  forEachTap(shape, (xAt, wAt, yAt) => {
    for (let c = 0; c < channels; c++)
      for (let k = 0; k < filters; k++) y[yAt + k]! += x[xAt + c]! * w[wAt + c * filters + k]!;
  });
  return y;
}

function inputGradient(shape: Shape, w: Float32Array, v: Float32Array, size: number): Float64Array {
  const [channels, filters] = shape.channels;
  const dx = new Float64Array(size);
  forEachTap(shape, (xAt, wAt, yAt) => {
    for (let c = 0; c < channels; c++)
      for (let k = 0; k < filters; k++) dx[xAt + c]! += w[wAt + c * filters + k]! * v[yAt + k]!;
  });
  return dx;
}

function filterGradient(shape: Shape, x: Float32Array, v: Float32Array, size: number): Float64Array {
  const [channels, filters] = shape.channels;
  const dw = new Float64Array(size);
  forEachTap(shape, (xAt, wAt, yAt) => {
    for (let c = 0; c < channels; c++)
      for (let k = 0; k < filters; k++) dw[wAt + c * filters + k]! += x[xAt + c]! * v[yAt + k]!;
  });
  return dw;
}

/** A convolution and both gradients, the filter gradient with two cotangents, by the kernels of one algorithm. */
function convolutionErrors(module: KernelModule, bare: Bare, shape: Shape, winograd: boolean): number[] {
  const mark = bare.mark();
  const { batch, size, channels, kernel, stride, dilation, pad } = shape;
  const out = outSize(shape);
  const [nx, ny] = [batch * size[0] * size[1] * channels[0], batch * out[0] * out[1] * channels[1]];
  const nw = kernel[0] * kernel[1] * channels[0] * channels[1];
  const memory = buffers(bare);
  const [x, w, v0, v1] = [memory.input(nx), memory.input(nw), memory.input(ny), memory.input(ny)];
  const [y, dx, dw0, dw1] = [memory.output(ny), memory.output(nx), memory.output(nw), memory.output(nw)];
  const at = (buffer: Float32Array) => buffer.byteOffset;
  const flat = [1, 1, 1, 1, 1, 0, 1];
  const geometry = [
    batch,
    ...size,
    channels[0],
    ...out,
    channels[1],
    ...kernel,
    ...stride,
    ...dilation,
    pad[0],
    pad[2],
  ];
  module.run(winograd ? 'winograd' : 'convolve', [...geometry, 1, 1, 0, ...flat, at(x), at(w), at(y), 0]);
  const turned = [batch, ...out, channels[1], ...size, channels[0], ...kernel, 1, 1, ...dilation];
  turned.push((kernel[0] - 1) * dilation[0] - pad[0], (kernel[1] - 1) * dilation[1] - pad[2]);
  if (winograd) module.run('winogradInputGradient', [...geometry, 1, 1, 0, ...flat, at(dx), at(w), at(v0), 0]);
  else module.run('convolve', [...turned, ...stride, 1, ...flat, at(v0), at(w), at(dx), 0]);
  const gradient = winograd ? 'winogradFilterGradient' : 'convolutionFilterGradient';
  module.run(gradient, [...geometry, 1, 1, 0, ...flat, at(x), 0, at(v0), at(v1), at(dw0), at(dw1)]);
  memory.check();
  const errors = [
    error(y, forward(shape, x, w, ny), nw / channels[1]),
    error(dx, inputGradient(shape, w, v0, nx), nw / channels[0]),
    error(dw0, filterGradient(shape, x, v0, nw), ny / channels[1]),
    error(dw1, filterGradient(shape, x, v1, nw), ny / channels[1]),
  ];
  bare.release(mark);
  return errors;
}

const upTo = (most: number, least = 1) => fc.integer({ min: least, max: most });
const pair = (arbitrary: fc.Arbitrary<number>) => fc.tuple(arbitrary, arbitrary);
const work = ({ batch, size, channels, kernel }: Shape) =>
  batch * size[0] * size[1] * channels[0] * channels[1] * kernel[0] * kernel[1];
const fits = (shape: Shape) => Math.min(...outSize(shape)) > 0 && work(shape) < 2e6;
const most = 70;

const anyConvolution: fc.Arbitrary<Shape> = fc
  .record({
    batch: upTo(5),
    size: pair(upTo(15)),
    channels: pair(fc.oneof(upTo(12), upTo(most))),
    kernel: pair(upTo(7)),
    stride: pair(upTo(3)),
    dilation: pair(fc.oneof(fc.constant(1), upTo(2))),
    pad: fc.tuple(upTo(4, 0), upTo(4, 0), upTo(4, 0), upTo(4, 0)),
  })
  .filter(fits);

const anyWinograd: fc.Arbitrary<Shape> = fc
  .record({
    batch: upTo(5),
    size: pair(upTo(14)),
    channels: pair(fc.oneof(upTo(24), upTo(most))),
    kernel: fc.constant([3, 3] as const),
    stride: fc.constant([1, 1] as const),
    dilation: fc.constant([1, 1] as const),
    pad: fc.tuple(upTo(2, 0), upTo(2, 0), upTo(2, 0), upTo(2, 0)),
  })
  .filter(fits);

describe.each<[Variant, string, boolean]>([
  ...variants.map((variant): [Variant, string, boolean] => [variant, 'shared', true]),
  ['relaxed-6x8', 'unshared', false],
])('%s on %s memory', (variant, _, shared) => {
  const bare = bareStock(shared);
  let module: KernelModule;
  beforeAll(async () => {
    module = await KernelModule.load(bare.stock, { threads: 2, variant, winograd: true });
    expect(module).toMatchObject({ variant, threads: shared ? 2 : 1 });
    module.reserve(8 << 20); // so that no test moves it
  });
  afterAll(() => module.dispose());

  it('convolves any shape, forward and backward, within 1e-5 of float64', () => {
    fc.assert(
      fc.property(anyConvolution, (shape) => {
        for (const each of convolutionErrors(module, bare, shape, false)) expect(each).toBeLessThan(1e-5);
      }),
      { numRuns: 60 },
    );
  });

  it('convolves by Winograd’s algorithm within 1e-4 of float64', () => {
    fc.assert(
      fc.property(anyWinograd, (shape) => {
        for (const each of convolutionErrors(module, bare, shape, true)) expect(each).toBeLessThan(1e-4);
      }),
      { numRuns: 40 },
    );
  });

  it('computes half of a product whose result or right factor is an upper triangle', () => {
    const sizes = fc.oneof(fc.tuple(upTo(40), upTo(40), upTo(40)), fc.tuple(upTo(300), upTo(300), upTo(300)));
    fc.assert(
      fc.property(
        sizes,
        fc.boolean(),
        fc.constantFrom('result' as const, 'right' as const),
        ([m, n, k], turn, upper) => {
          const mark = bare.mark();
          const memory = buffers(bare);
          const [a, b, c] = [memory.input(m * k), memory.input(k * n), memory.output(m * n)];
          if (upper === 'right') for (let p = 0; p < k; p++) b.fill(0, p * n, p * n + Math.min(p, n));
          module.product(a.byteOffset, b.byteOffset, c.byteOffset, [m, n, k], [turn, false], upper);
          const expected = new Float64Array(m * n);
          for (let i = 0; i < m; i++)
            for (let j = upper === 'result' ? i : 0; j < n; j++)
              for (let p = 0; p < k; p++) expected[i * n + j]! += a[turn ? p * m + i : i * k + p]! * b[p * n + j]!;
          expect(error(c, expected, k)).toBeLessThan(1e-5);
          bare.release(mark);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('multiplies any matrices within 1e-5 of float64', () => {
    const sizes = fc.oneof(fc.tuple(upTo(40), upTo(40), upTo(40)), fc.tuple(upTo(3), upTo(3), upTo(2000)));
    fc.assert(
      fc.property(sizes, fc.boolean(), fc.boolean(), ([m, n, k], turnA, turnB) => {
        const mark = bare.mark();
        const memory = buffers(bare);
        const [a, b, c] = [memory.input(m * k), memory.input(k * n), memory.output(m * n)];
        module.product(a.byteOffset, b.byteOffset, c.byteOffset, [m, n, k], [turnA, turnB]);
        memory.check();
        const expected = new Float64Array(m * n);
        for (let i = 0; i < m; i++)
          for (let j = 0; j < n; j++)
            for (let p = 0; p < k; p++)
              expected[i * n + j]! += a[turnA ? p * m + i : i * k + p]! * b[turnB ? j * k + p : p * n + j]!;
        expect(error(c, expected, k)).toBeLessThan(1e-5);
        bare.release(mark);
      }),
      { numRuns: 100 },
    );
  });
});

it('runs every task once, in alternating jobs of few and many tasks, on more threads than cores', async () => {
  const bare = bareStock(true);
  const module = await KernelModule.load(bare.stock, { threads: 6, variant: 'relaxed-6x8', winograd: true });
  const memory = buffers(bare);
  const [n, k] = [1, 1];
  const [a, b, c] = [memory.input(1200 * k), memory.input(k * n), memory.output(1200 * n)];
  const product = (m: number) => {
    c.fill(Number.NaN);
    module.product(a.byteOffset, b.byteOffset, c.byteOffset, [m, n, k], [false, false]);
    return c.subarray(0, m * n);
  };
  const sizes = [400, 1200, 600];
  const first = sizes.map((m) => product(m).slice());
  for (let i = 0; i < 30_000; i++) {
    const expected = first[i % sizes.length]!;
    if (product(sizes[i % sizes.length]!).some((value, j) => value !== expected[j])) {
      expect.fail(`the result differs in round ${i}`);
    }
  }
  module.dispose();
});

it('throws if no variant computes correctly', async () => {
  const instantiate = WebAssembly.instantiate as (
    module: WebAssembly.Module,
    imports: WebAssembly.Imports,
  ) => Promise<WebAssembly.Instance>;
  const wrong = async (module: WebAssembly.Module, imports: WebAssembly.Imports) => ({
    exports: { ...(await instantiate(module, imports)).exports, product: () => 0 },
  });
  vi.spyOn(WebAssembly, 'instantiate').mockImplementation(wrong as never);
  const load = (variant: Variant | undefined) =>
    KernelModule.load(bareStock(false).stock, { threads: 1, variant, winograd: true });
  await expect(load(undefined)).rejects.toMatchObject({ code: 'WASM_FAILED' });
  for (const variant of variants) await expect(load(variant)).rejects.toMatchObject({ code: 'BAD_VARIANT' });
  vi.restoreAllMocks();
});
