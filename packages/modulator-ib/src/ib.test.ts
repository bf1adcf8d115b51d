import '@tensorflow/tfjs-backend-cpu';
import { type Matrix, type ModulatorReference, modulatorCases } from '@ghl/conformance';
import { dot, modulateEach, numbers } from '@ghl/conformance/testing';
import { threeFactor } from '@ghl/core';
import { presynaptic } from '@ghl/rule-hebb';
import { describe, expect, it } from 'vitest';
import { type IbOptions, ib, ibExact } from './ib.js';

const modulators = [
  { name: 'ib', make: ib, exact: false },
  { name: 'ibExact', make: ibExact, exact: true },
];

// z = [1, −1, 1, −1] and z = [1, 1, −1, −1], so dim z = 4 and k_z = e⁻¹ for σ_z = 1.
const y = [
  [1, 0, 1, 0],
  [1, 1, 0, 0],
];

it.each(modulators)('makes two examples of one class similar: $name', ({ make }) => {
  // K_x = 1, K_y = J: weight ½ of z₂ − z₁ = [0, 2, −2, 0].  ξ = 2/4·½·e⁻¹·[0, 2, −2, 0] = g, mean g = 0, mean g·z = ¼/e
  // ∂z/∂y: (g − z·¼/e)/½ = [−½, ½, −½, ½]/e, and 0 for y ≤ 0.  The factor is −[−½, ½, 0, 0]/e
  const signals = { input: [[0], [100]], target: [[1], [1]] };
  const [factors] = modulateEach(make({ sigmaLayer: 1 }), y, [signals], 2);
  expect(factors).toBeAllClose([
    [0, 0, 0, 0],
    [0.5 / Math.E, -0.5 / Math.E, 0, 0],
  ]);
});

it.each(modulators)('makes two examples of different classes different, γ times as fast: $name', ({ make }) => {
  const signals = { input: [[1], [1]], target: [[0], [100]] };
  const [factors] = modulateEach(make({ gamma: 3, sigmaLayer: 1 }), y, [signals], 2);
  expect(factors?.[1]).toBeAllClose([-1.5 / Math.E, 1.5 / Math.E, 0, 0]);
});

const sum = (values: readonly number[]) => values.reduce((total, each) => total + each, 0);
const mean = (values: readonly number[]) => sum(values) / values.length;
const indices = (size: number) => Array.from({ length: size }, (_, i) => i);

/** LayerNorm(ReLU(y)) of one position, and its deviation. */
function normalized(activity: readonly number[]) {
  const positive = activity.map((each) => Math.max(each, 0));
  const centred = positive.map((each) => each - mean(positive));
  const deviation = Math.sqrt(mean(centred.map((each) => each ** 2)) + 1e-6);
  return { z: centred.map((each) => each / deviation), deviation };
}

/** The matrix of exp(−‖a − b‖²/(2·σ²·dim)). */
const rbf = (rows: Matrix, sigma: number) =>
  rows.map((a) =>
    rows.map((b) => Math.exp(-sum(a.map((each, i) => (each - (b[i] as number)) ** 2)) / (2 * sigma ** 2 * a.length))),
  );

const settings = ({ gamma = 50, window = 6, sigmaInput = 1, sigmaTarget = 0.1, sigmaLayer = 0.5 }: IbOptions) => ({
  gamma: gamma as number,
  window,
  sigmaInput,
  sigmaTarget,
  sigmaLayer,
});

/** K_x − γ·K_y of a window. */
function desired(inputs: Matrix, targets: Matrix, options: IbOptions): number[][] {
  const { gamma, sigmaInput, sigmaTarget } = settings(options);
  const [kx, ky] = [rbf(inputs, sigmaInput), rbf(targets, sigmaTarget)];
  return kx.map((row, i) => row.map((each, j) => each - gamma * (ky[i]?.[j] as number)));
}

/** H·K·H. */
function centredBoth(k: Matrix): number[][] {
  const means = k.map(mean);
  return k.map((row, i) => row.map((each, j) => each - (means[i] as number) - (means[j] as number) + mean(means)));
}

/** HSIC(x, z) − γ·HSIC(y, z) = tr(H·(K_x − γ·K_y)·H·K_z)/(N − 1)². */
function objective(inputs: Matrix, targets: Matrix, z: Matrix, options: IbOptions): number {
  const kz = rbf(z, settings(options).sigmaLayer);
  return (
    sum(centredBoth(desired(inputs, targets, options)).map((row, i) => dot(row, kz[i] as number[]))) /
    (z.length - 1) ** 2
  );
}

/** ξ of the last example of a window, from the published sum over examples or from the derivative of HSIC. */
function xi(exact: boolean, inputs: Matrix, targets: Matrix, z: Matrix, options: IbOptions): number[] {
  const { sigmaLayer } = settings(options);
  const size = z.length;
  const last = z[size - 1] as number[];
  const kz = rbf(z, sigmaLayer)[size - 1] as number[];
  const k = desired(inputs, targets, options);
  const alphas = z.map((each, p) =>
    last.map((value, i) => (2 * (kz[p] as number) * (value - (each[i] as number))) / (sigmaLayer ** 2 * last.length)),
  );
  // K̄ = K − the mean of each row, of which only the diagonal is read.
  const diagonal = k.map((row, p) => (row[p] as number) - mean(row));
  const hkh = centredBoth(k)[size - 1] as number[];
  const weights = indices(size).map((p) =>
    exact ? -(hkh[p] as number) : ((diagonal[p] as number) + (diagonal[size - 1] as number)) / size,
  );
  return last.map((_, i) => sum(weights.map((w, p) => w * (alphas[p]?.[i] as number))) / (size - 1) ** 2);
}

const rowsOf = (flat: readonly number[], count: number) =>
  indices(count).map((i) => flat.slice((i * flat.length) / count, ((i + 1) * flat.length) / count));

/** −ξ·∂z/∂y of the last example of each window, ÷ the number of windows. */
const reference = (exact: boolean, options: IbOptions = {}): ModulatorReference => ({
  modulate({ post, signals, units: { fanOut }, batch }) {
    const [inputs, targets, layer] = [signals.input, signals.target, post].map((flat) =>
      rowsOf(flat as number[], batch),
    );
    const size = Math.min(settings(options).window, batch);
    const examples = (layer as number[][]).map((activity) => rowsOf(activity, activity.length / fanOut));
    const z = examples.map((positions) => positions.flatMap((activity) => normalized(activity).z));
    const factors = examples.map((positions, n) => {
      if (n < size - 1) return positions.map((activity) => activity.map(() => 0));
      const [x, t, window] = [inputs, targets, z].map((rows) => (rows as Matrix).slice(n - size + 1, n + 1));
      const gradients = rowsOf(xi(exact, x as Matrix, t as Matrix, window as Matrix, options), positions.length);
      return positions.map((activity, position) => {
        const { z: own, deviation } = normalized(activity);
        const gradient = gradients[position] as number[];
        // ∂z_i/∂y_j = (δ_ij − 1/K − z_i·z_j/K)/deviation for y_j > 0
        return activity.map((each, j) => {
          const column = own.map((zi, i) => Number(i === j) - (1 + zi * (own[j] as number)) / fanOut);
          return each > 0 ? -dot(gradient, column) / deviation / (batch - size + 1) : 0;
        });
      });
    });
    return { result: factors.flat(2) };
  },
});

describe.each(modulators)('$name', ({ name, make, exact }) => {
  describe.each<IbOptions>([{}, { gamma: 2, window: 3, sigmaInput: 0.5, sigmaLayer: 1 }])(
    'conformance, %o',
    (options) => {
      for (const { title, run } of modulatorCases(() => make(options), {
        reference: reference(exact, options),
        factor: 'activity',
        // A position whose active units differ little has a small deviation, by which z divides.
        tolerance: 1e-4,
        plugins: { [name]: make },
        schedules: { gamma: { make: (gamma) => make({ ...options, gamma }), values: [50, 1], outside: [-0.01] } },
      })) {
        it(title, run);
      }
    },
  );

  const [batch, fanOut] = [7, 4];
  const layer = indices(batch).map((i) => [...numbers(i + 1, [fanOut])]);
  const input = indices(batch).map((i) => [...numbers(i + 20, [3])]);
  const target = indices(batch).map((i) => [i % 2, (i + 1) % 2]);
  const factorsOf = (order: readonly number[], options: IbOptions) => {
    const [post, x, t] = [layer, input, target].map((rows) => order.map((i) => rows[i] as number[])) as [
      number[][],
      Matrix,
      Matrix,
    ];
    return modulateEach(
      make(options),
      post,
      [{ input: x as number[][], target: t as number[][] }],
      order.length,
    )[0] as number[][];
  };
  const options = { gamma: 2, sigmaLayer: 1, sigmaTarget: 1 };

  it('is the mean over the windows of a batch, each as a separate batch', () => {
    const all = factorsOf(indices(batch), { ...options, window: 4 });
    const windows = [3, 4, 5, 6].map((n) => factorsOf([n - 3, n - 2, n - 1, n], { ...options, window: 4 }));
    expect(
      all
        .slice(0, 3)
        .flat()
        .every((each) => each === 0),
    ).toBe(true);
    const expected = windows.map((rows) => (rows[3] as number[]).map((each) => each / 4));
    expect(all.slice(3)).toBeAllClose(expected, { rtol: 1e-4, atol: 1e-7 });
  });

  it('does not depend on the order of the examples before the last', () => {
    const [one, other] = [factorsOf([0, 1, 2, 3, 4, 5], options), factorsOf([3, 1, 4, 2, 0, 5], options)];
    expect(other[5]).toBeAllClose(one[5] as number[], { rtol: 1e-4, atol: 1e-7 });
  });

  it('is 0 for a window of identical examples, and for a batch of one', () => {
    expect(factorsOf([2, 2, 2, 2], options).flat()).toBeAllClose(Array(16).fill(0), { atol: 1e-7 });
    expect(factorsOf([2], options)).toBeAllClose([[0, 0, 0, 0]]);
  });

  it('is the term of the inputs at γ = 0, and adds γ times the term of the labels', () => {
    const at = (gamma: number) => factorsOf(indices(6), { ...options, gamma })[5] as number[];
    const [none, one, five] = [at(0), at(1), at(5)];
    const expected = none.map((each, k) => each + 5 * ((one[k] as number) - each));
    expect(five).toBeAllClose(expected, { rtol: 1e-4, atol: 1e-6 });
  });

  it('passes its factors to the presynaptic rule', () => {
    expect(threeFactor(presynaptic(), make()).reads).toEqual(['input', 'target']);
  });
});

describe('ξ on windows of 6 random examples', () => {
  const options = { gamma: 2, sigmaLayer: 0.8, sigmaTarget: 0.5 };
  const window = (seed: number) => {
    const rows = (from: number, size: number) => indices(6).map((i) => [...numbers(1000 * seed + from + i, [size])]);
    return [rows(0, 3), rows(100, 2), rows(200, 4)] as const;
  };

  it('is the gradient of HSIC(x, z) − γ·HSIC(y, z) if exact', () => {
    const [x, t, z] = window(1);
    const h = 1e-6;
    const gradient = indices(4).map((i) => {
      const moved = (by: number) => z.map((row, p) => row.map((each, j) => (p === 5 && j === i ? each + by : each)));
      return (objective(x, t, moved(h), options) - objective(x, t, moved(-h), options)) / (2 * h);
    });
    expect(xi(true, x, t, z, options)).toBeAllClose(gradient, { rtol: 1e-6, atol: 1e-9 });
  });

  it('sums to 0 over the examples of a window if exact: a common shift changes nothing', () => {
    const [x, t, z] = window(2);
    const asLast = (p: number) => {
      const order = [...indices(6).filter((i) => i !== p), p];
      const [a, b, c] = [x, t, z].map((rows) => order.map((i) => rows[i] as number[])) as unknown as [
        Matrix,
        Matrix,
        Matrix,
      ];
      return xi(true, a, b, c, options);
    };
    const total = indices(6)
      .map(asLast)
      .reduce((all, each) => all.map((value, i) => value + (each[i] as number)));
    expect(total).toBeAllClose([0, 0, 0, 0], { atol: 1e-15 });
  });

  it('agrees with the published one on average, but is not proportional to it', () => {
    const cosines = indices(40).map((seed) => {
      const [x, t, z] = window(seed + 3);
      const [one, other] = [xi(true, x, t, z, options), xi(false, x, t, z, options)];
      return dot(one, other) / Math.sqrt(dot(one, one) * dot(other, other));
    });
    expect(mean(cosines)).toBeGreaterThan(0.3);
    expect(Math.min(...cosines)).toBeLessThan(0.9);
  });
});

it.each([{ window: 1 }, { window: 2.5 }, { gamma: -1 }, { sigmaInput: 0 }, { sigmaTarget: 0 }, { sigmaLayer: 0 }])(
  'rejects %o',
  (options) => {
    for (const { make } of modulators) {
      expect(() => make(options)).toThrow(expect.objectContaining({ code: 'BAD_VALUE' }));
    }
  },
);
