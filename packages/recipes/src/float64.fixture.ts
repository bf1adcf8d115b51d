/**
 * GHL in float64 and plain loops, per sample, written from the paper's equations: the tests' reference.
 */

/** Images, channels last. */
export interface Images {
  readonly data: Float64Array;
  readonly shape: [batch: number, height: number, width: number, channels: number];
}

interface Geometry {
  readonly stride: number;
  readonly dilation: number;
  readonly padding: number;
}

type KernelShape = readonly [height: number, width: number, channels: number, filters: number];

export function images(shape: Images['shape'], draw: () => number): Images {
  return { shape, data: Float64Array.from({ length: shape.reduce((a, b) => a * b) }, draw) };
}

/** Visits every (position, tap) of a convolution: indices into x, W's row and y's row. */
function visit(
  x: Images['shape'],
  [kh, kw, cin]: KernelShape,
  { stride, dilation, padding }: Geometry,
  each: (p: number, d: number, xi: number) => void,
) {
  const [batch, height, width] = x;
  const [oh, ow] = [height, width].map((size, axis) => {
    const reach = ((axis === 0 ? kh : kw) - 1) * dilation + 1;
    return Math.floor((size + 2 * padding - reach) / stride) + 1;
  }) as [number, number];
  for (let b = 0; b < batch; b++)
    for (let i = 0; i < oh; i++)
      for (let j = 0; j < ow; j++)
        for (let u = 0; u < kh; u++)
          for (let v = 0; v < kw; v++)
            for (let c = 0; c < cin; c++) {
              const row = i * stride + u * dilation - padding;
              const column = j * stride + v * dilation - padding;
              const inside = row >= 0 && row < height && column >= 0 && column < width;
              const xi = inside ? ((b * height + row) * width + column) * cin + c : -1;
              each((b * oh + i) * ow + j, (u * kw + v) * cin + c, xi);
            }
  return [oh, ow] as const;
}

export function forwardConv(x: Images, w: Float64Array, shape: KernelShape, geometry: Geometry): Images {
  const filters = shape[3];
  const [batch, height, width] = x.shape;
  const y = new Float64Array(batch * (height + 2 * geometry.padding) * (width + 2 * geometry.padding) * filters);
  const [oh, ow] = visit(x.shape, shape, geometry, (p, d, xi) => {
    if (xi < 0) return;
    for (let k = 0; k < filters; k++) y[p * filters + k]! += x.data[xi]! * w[d * filters + k]!;
  });
  return { data: y.slice(0, batch * oh * ow * filters), shape: [batch, oh, ow, filters] };
}

/** Σₚ u_pk (xₚ − y_pk w_k), divided by its largest magnitude: the local factor. */
function hebbian(
  x: Images,
  w: Float64Array,
  shape: KernelShape,
  geometry: Geometry,
  temperature: number,
): Float64Array {
  const filters = shape[3];
  const y = forwardConv(x, w, shape, geometry).data;
  const u = new Float64Array(y.length);
  for (let p = 0; p < y.length; p += filters) {
    const row = y.subarray(p, p + filters);
    const most = Math.max(...row);
    const powers = Array.from(row, (value) => Math.exp((value - most) / temperature));
    const sum = powers.reduce((a, b) => a + b);
    powers.forEach((power, k) => {
      u[p + k] = power / sum;
    });
  }
  const h = new Float64Array(w.length);
  visit(x.shape, shape, geometry, (p, d, xi) => {
    const value = xi < 0 ? 0 : x.data[xi]!;
    for (let k = 0; k < filters; k++) {
      const at = p * filters + k;
      h[d * filters + k]! += u[at]! * (value - y[at]! * w[d * filters + k]!);
    }
  });
  const most = h.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  return h.map((value) => value / most);
}

/** −sign(∂L/∂W) ⊙ |H|, H ÷ max|H|. */
export function ghlUpdate(
  x: Images,
  w: Float64Array,
  gradient: Float64Array,
  shape: KernelShape,
  geometry: Geometry,
  temperature: number,
): Float64Array {
  return hebbian(x, w, shape, geometry, temperature).map((h, i) => -Math.sign(gradient[i]!) * Math.abs(h));
}

interface Normalised {
  readonly out: Images;
  readonly deviation: Float64Array;
}

/** BN – conv – ReLU – max 2 – BN – conv – ReLU – dense, trained by GHL, all derivatives written out. */
export class Float64Net {
  readonly conv1: Float64Array;
  readonly conv2: Float64Array;
  readonly dense: Float64Array;
  readonly bias: Float64Array;
  private readonly moving: { mean: Float64Array; variance: Float64Array }[];
  private readonly shapes: readonly [KernelShape, KernelShape];
  private readonly classes: number;

  constructor({
    size,
    channels,
    classes,
    draw,
  }: { size: number; channels: [number, number, number]; classes: number; draw: () => number }) {
    const [c0, c1, c2] = channels;
    this.shapes = [
      [3, 3, c0, c1],
      [3, 3, c1, c2],
    ];
    this.classes = classes;
    const weights = (length: number, scale: number) => Float64Array.from({ length }, () => Math.fround(draw() * scale));
    this.conv1 = weights(9 * c0 * c1, 0.5);
    this.conv2 = weights(9 * c1 * c2, 0.4);
    this.dense = weights((size / 2) ** 2 * c2 * classes, 0.2);
    this.bias = weights(classes, 0.1);
    this.moving = [c0, c1].map((c) => ({ mean: new Float64Array(c), variance: new Float64Array(c).fill(1) }));
  }

  infer(x: Images): Float64Array {
    const same = { stride: 1, dilation: 1, padding: 1 };
    const n1 = this.standardise(x, 0);
    const p = maxPool(relu(forwardConv(n1, this.conv1, this.shapes[0], same))).out;
    const a2 = relu(forwardConv(this.standardise(p, 1), this.conv2, this.shapes[1], same));
    return this.logits(a2);
  }

  step(
    x: Images,
    labels: number[],
    {
      eta,
      decay,
      etaRest,
      temperatures,
    }: { eta: number; decay: number; etaRest: number; temperatures: [number, number] },
  ) {
    const same = { stride: 1, dilation: 1, padding: 1 };
    const [shape1, shape2] = this.shapes;
    const n1 = this.normalise(x, 0);
    const y1 = forwardConv(n1.out, this.conv1, shape1, same);
    const pooled = maxPool(relu(y1));
    const n2 = this.normalise(pooled.out, 1);
    const y2 = forwardConv(n2.out, this.conv2, shape2, same);
    const a2 = relu(y2);
    const logits = this.logits(a2);
    const batch = labels.length;
    const delta = new Float64Array(logits.length);
    labels.forEach((label, b) => {
      const row = logits.subarray(b * this.classes, (b + 1) * this.classes);
      const most = Math.max(...row);
      const sum = row.reduce((total, value) => total + Math.exp(value - most), 0);
      row.forEach((value, k) => {
        delta[b * this.classes + k] = (Math.exp(value - most) / sum - (k === label ? 1 : 0)) / batch;
      });
    });
    const features = a2.data.length / batch;
    const gDense = new Float64Array(this.dense.length);
    const gBias = new Float64Array(this.classes);
    const dA2 = new Float64Array(a2.data.length);
    for (let b = 0; b < batch; b++)
      for (let k = 0; k < this.classes; k++) {
        const d = delta[b * this.classes + k]!;
        gBias[k]! += d;
        for (let f = 0; f < features; f++) {
          gDense[f * this.classes + k]! += d * a2.data[b * features + f]!;
          dA2[b * features + f]! += d * this.dense[f * this.classes + k]!;
        }
      }
    const dY2 = dA2.map((d, i) => (y2.data[i]! > 0 ? d : 0));
    const back2 = backwardConv(n2.out, this.conv2, dY2, shape2, same);
    const dPooled = backwardNorm(n2, back2.dx);
    const dA1 = new Float64Array(y1.data.length);
    pooled.winner.forEach((at, i) => {
      dA1[at]! += dPooled[i]!;
    });
    const dY1 = dA1.map((d, i) => (y1.data[i]! > 0 ? d : 0));
    const back1 = backwardConv(n1.out, this.conv1, dY1, shape1, same);
    const update1 = ghlUpdate(n1.out, this.conv1, back1.dw, shape1, same, temperatures[0]);
    const update2 = ghlUpdate(n2.out, this.conv2, back2.dw, shape2, same, temperatures[1]);
    update1.forEach((u, i) => {
      this.conv1[i]! += eta * (u - decay * this.conv1[i]!);
    });
    update2.forEach((u, i) => {
      this.conv2[i]! += eta * (u - decay * this.conv2[i]!);
    });
    gDense.forEach((g, i) => {
      this.dense[i]! -= etaRest * g;
    });
    gBias.forEach((g, i) => {
      this.bias[i]! -= etaRest * g;
    });
  }

  private logits(a: Images): Float64Array {
    const batch = a.shape[0];
    const features = a.data.length / batch;
    const out = new Float64Array(batch * this.classes);
    for (let b = 0; b < batch; b++)
      for (let k = 0; k < this.classes; k++) {
        let sum = this.bias[k]!;
        for (let f = 0; f < features; f++) sum += a.data[b * features + f]! * this.dense[f * this.classes + k]!;
        out[b * this.classes + k] = sum;
      }
    return out;
  }

  /** Batch statistics: biased for the output, unbiased for the moving variance, momentum 0.9. */
  private normalise(x: Images, layer: 0 | 1): Normalised {
    const channels = x.shape[3];
    const n = x.data.length / channels;
    const mean = new Float64Array(channels);
    const variance = new Float64Array(channels);
    x.data.forEach((value, i) => {
      mean[i % channels]! += value / n;
    });
    x.data.forEach((value, i) => {
      variance[i % channels]! += (value - mean[i % channels]!) ** 2 / n;
    });
    const moving = this.moving[layer]!;
    for (let c = 0; c < channels; c++) {
      moving.mean[c] = 0.9 * moving.mean[c]! + 0.1 * mean[c]!;
      moving.variance[c] = 0.9 * moving.variance[c]! + (0.1 * variance[c]! * n) / (n - 1);
    }
    const deviation = variance.map((value) => Math.sqrt(value + 1e-5));
    const data = x.data.map((value, i) => (value - mean[i % channels]!) / deviation[i % channels]!);
    return { out: { data, shape: x.shape }, deviation };
  }

  private standardise(x: Images, layer: 0 | 1): Images {
    const channels = x.shape[3];
    const { mean, variance } = this.moving[layer]!;
    const data = x.data.map((value, i) => (value - mean[i % channels]!) / Math.sqrt(variance[i % channels]! + 1e-5));
    return { data, shape: x.shape };
  }
}

function backwardNorm({ out, deviation }: Normalised, dOut: Float64Array): Float64Array {
  const channels = out.shape[3];
  const n = out.data.length / channels;
  const mean = new Float64Array(channels);
  const along = new Float64Array(channels);
  dOut.forEach((d, i) => {
    mean[i % channels]! += d / n;
    along[i % channels]! += (d * out.data[i]!) / n;
  });
  return dOut.map((d, i) => (d - mean[i % channels]! - out.data[i]! * along[i % channels]!) / deviation[i % channels]!);
}

function backwardConv(x: Images, w: Float64Array, dy: Float64Array, shape: KernelShape, geometry: Geometry) {
  const filters = shape[3];
  const dw = new Float64Array(w.length);
  const dx = new Float64Array(x.data.length);
  visit(x.shape, shape, geometry, (p, d, xi) => {
    if (xi < 0) return;
    for (let k = 0; k < filters; k++) {
      dw[d * filters + k]! += x.data[xi]! * dy[p * filters + k]!;
      dx[xi]! += w[d * filters + k]! * dy[p * filters + k]!;
    }
  });
  return { dw, dx };
}

function relu(x: Images): Images {
  return { shape: x.shape, data: x.data.map((value) => Math.max(0, value)) };
}

function maxPool(x: Images): { out: Images; winner: Int32Array } {
  const [batch, height, width, channels] = x.shape;
  const shape: Images['shape'] = [batch, height / 2, width / 2, channels];
  const data = new Float64Array(x.data.length / 4);
  const winner = new Int32Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const c = i % channels;
    const column = Math.floor(i / channels) % shape[2];
    const row = Math.floor(i / (channels * shape[2])) % shape[1];
    const b = Math.floor(i / (channels * shape[2] * shape[1]));
    let best = -1;
    for (const [u, v] of [
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ] as const) {
      const at = ((b * height + 2 * row + u) * width + 2 * column + v) * channels + c;
      if (best < 0 || x.data[at]! > x.data[best]!) best = at;
    }
    winner[i] = best;
    data[i] = x.data[best]!;
  }
  return { out: { data, shape }, winner };
}
