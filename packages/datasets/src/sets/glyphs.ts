/**
 * Glyphs: ten signs on 32 × 32 colour images, drawn from a seed, without a file. Place, size, slant, proportions,
 * stroke width, both colours, their order of brightness, and stray strokes are random. Only the shape identifies the
 * class. A single pixel therefore has little information, and a linear classifier fails, but small filters see corners
 * and junctions.
 *
 * The code uses only +, −, ×, ÷, √ and rounding, which IEEE 754 defines exactly, and no sine or cosine. The bytes are
 * therefore the same on every machine.
 */
import { ConfigurationError } from '@ghl/core';
import { checkOptions } from '@ghl/core/plugin';
import type { Dataset } from '../dataset.js';
import { checkWhole, type ImageSet, SET_OPTIONS, type SetOptions, splitSet } from '../image-set.js';
import { random } from '../random.js';
import type { Records } from '../records.js';
import { type WhitenOptions, whitenedBy } from '../zca.js';

/** Options of {@link glyphs}. */
export interface GlyphOptions extends SetOptions, WhitenOptions {
  /** Images to train on. Default 2,000. */
  readonly trainSize?: number;
  /** Images to choose by. Default 500. */
  readonly validationSize?: number;
  /** Images to test on. Default 1,000. */
  readonly testSize?: number;
}

type Point = readonly [x: number, y: number];

/** Each glyph as polylines in [−1, 1]², y downwards. */
// biome-ignore format: a glyph a line
const GLYPHS: Readonly<Record<string, readonly (readonly Point[])[]>> = {
  ring: [circle(16)],
  triangle: [[[0, -1], [0.95, 0.8], [-0.95, 0.8], [0, -1]]],
  square: [[[-0.85, -0.85], [0.85, -0.85], [0.85, 0.85], [-0.85, 0.85], [-0.85, -0.85]]],
  plus: [[[0, -1], [0, 1]], [[-1, 0], [1, 0]]],
  cross: [[[-0.85, -0.85], [0.85, 0.85]], [[-0.85, 0.85], [0.85, -0.85]]],
  tee: [[[-0.9, -0.9], [0.9, -0.9]], [[0, -0.9], [0, 1]]],
  ell: [[[-0.7, -1], [-0.7, 0.9], [0.8, 0.9]]],
  zed: [[[-0.8, -0.9], [0.8, -0.9], [-0.8, 0.9], [0.8, 0.9]]],
  vee: [[[-0.9, -0.9], [0, 0.9], [0.9, -0.9]]],
  bars: [[[-0.9, -0.55], [0.9, -0.55]], [[-0.9, 0.55], [0.9, 0.55]]],
};

const NAMES = Object.keys(GLYPHS);
const SIDE = 32;

/**
 * Generated glyphs: 32 × 32 × 3, ten classes in equal parts. Image i of a part depends on (seed, part, i) alone, so a
 * larger part begins with the smaller one. Needs no file; runs in a browser too.
 *
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`.
 * @example
 * ```ts
 * import { glyphs } from '@ghl/datasets';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const set = await glyphs({ trainSize: 100, validationSize: 20, testSize: 20 });
 * console.log(set.train.size, set.classes.length, set.shape);
 * // => 100 10 [ 32, 32, 3 ]
 * ```
 */
export async function glyphs(options: GlyphOptions = {}): Promise<ImageSet> {
  checkOptions('glyphs', options, [...SET_OPTIONS, 'testSize', 'whiten']);
  const { trainSize = 2000, validationSize = 500, testSize = 1000, seed = 0 } = options;
  checkWhole('trainSize', trainSize, 1);
  checkWhole('validationSize', validationSize, 0);
  checkWhole('testSize', testSize, 1);
  checkWhole('seed', seed, Number.MIN_SAFE_INTEGER);
  const set = splitSet({ name: 'glyphs', classes: NAMES, shape: [SIDE, SIDE, 3] }, options, {
    train: draw(trainSize, seed, 'train'),
    validation: draw(validationSize, seed, 'validation'),
    test: draw(testSize, seed, 'test'),
  });
  return whitenedBy(set, options);
}

function draw(count: number, seed: number, part: string): Records {
  const length = SIDE * SIDE * 3;
  const pixels = allocate(count, length, part);
  const labels = Uint8Array.from({ length: count }, (_, i) => i % NAMES.length);
  labels.forEach((label, i) => {
    drawOne(pixels.subarray(i * length, (i + 1) * length), GLYPHS[NAMES[label]!]!, random('glyph', seed, part, i));
  });
  return { pixels, labels };
}

function allocate(count: number, length: number, part: string): Uint8Array {
  try {
    return new Uint8Array(count * length);
  } catch (cause) {
    throw new ConfigurationError(
      'BAD_VALUE',
      `${part}Size is ${count}, which is more than memory holds.`,
      `give fewer images: all are kept, at ${length} bytes each.`,
      cause,
    );
  }
}

type Colour = readonly [number, number, number];

// How hard the set is: chosen so that a few epochs of gradient descent on 2,000 images bring a net of three small
// convolutions above 90 %, while a linear classifier stays below 60 %.
/** Half the side of a glyph, in pixels. */
const RADIUS = [9, 12] as const;
/** Tangent of half the greatest slant: ±11°. */
const SLANT = 0.1;
/** How much narrower or lower than its radius a glyph may be. */
const STRETCH = 0.15;
/** Half the width of its strokes, in pixels. */
const HALF_WIDTH = [1.2, 2] as const;
/** Least difference of brightness between glyph and ground, of 255. */
const CONTRAST = 100;
/** The largest number of stray strokes. */
const CLUTTER = 2;
/** Most that is added to or taken from a byte. */
const NOISE = 16;

function drawOne(image: Uint8Array, glyph: readonly (readonly Point[])[], rng: ReturnType<typeof random>): void {
  const between = (least: number, most: number) => least + rng() * (most - least);
  const colour = (): Colour => [between(0, 255), between(0, 255), between(0, 255)];
  const ground = colour();
  let ink = colour();
  while (Math.abs(brightness(ink) - brightness(ground)) < CONTRAST) ink = colour();

  const canvas = new Float64Array(SIDE * SIDE * 3);
  for (let i = 0; i < canvas.length; i++) canvas[i] = ground[i % 3]!;

  for (let n = Math.floor(between(0, CLUTTER + 1)); n > 0; n--) {
    const from: Point = [between(0, SIDE), between(0, SIDE)];
    const to: Point = [from[0] + between(-7, 7), from[1] + between(-7, 7)];
    stroke(canvas, [from, to], between(0.5, 1.2), mix(ground, colour(), 0.5));
  }

  // A rotation by the angle whose half has the tangent t, in rational form.
  const t = between(-SLANT, SLANT);
  const [cos, sin] = [(1 - t * t) / (1 + t * t), (2 * t) / (1 + t * t)];
  const radius = between(...RADIUS);
  const [wide, high] = [radius * between(1 - STRETCH, 1), radius * between(1 - STRETCH, 1)];
  const halfWidth = between(...HALF_WIDTH);
  const placed = glyph.map((line) =>
    line.map(([x, y]): Point => [cos * wide * x - sin * high * y, sin * wide * x + cos * high * y]),
  );
  const reach = (axis: 0 | 1) => Math.max(...placed.flat().map((point) => Math.abs(point[axis]))) + halfWidth;
  const place = (axis: 0 | 1) => between(Math.min(reach(axis), SIDE / 2), Math.max(SIDE - reach(axis), SIDE / 2));
  const [x0, y0] = [place(0), place(1)];
  for (const line of placed)
    stroke(
      canvas,
      line.map(([x, y]): Point => [x + x0, y + y0]),
      halfWidth,
      ink,
    );

  for (let i = 0; i < canvas.length; i++) {
    image[i] = Math.max(0, Math.min(255, Math.round(canvas[i]! + between(-NOISE, NOISE))));
  }
}

/** Paints a polyline over the canvas; the edge fades over one pixel. */
function stroke(canvas: Float64Array, line: readonly Point[], halfWidth: number, colour: Colour): void {
  const coverage = new Float64Array(SIDE * SIDE);
  for (let segment = 1; segment < line.length; segment++) {
    const [[ax, ay], [bx, by]] = [line[segment - 1]!, line[segment]!];
    const [dx, dy] = [bx - ax, by - ay];
    const square = dx * dx + dy * dy;
    const clip = (value: number) => Math.max(0, Math.min(SIDE - 1, Math.floor(value)));
    const margin = halfWidth + 1;
    for (let row = clip(Math.min(ay, by) - margin); row <= clip(Math.max(ay, by) + margin); row++) {
      for (let column = clip(Math.min(ax, bx) - margin); column <= clip(Math.max(ax, bx) + margin); column++) {
        const [px, py] = [column + 0.5 - ax, row + 0.5 - ay];
        const along = square === 0 ? 0 : Math.max(0, Math.min(1, (px * dx + py * dy) / square));
        const [ex, ey] = [px - along * dx, py - along * dy];
        const covered = Math.min(1, halfWidth + 0.5 - Math.sqrt(ex * ex + ey * ey));
        const at = row * SIDE + column;
        if (covered > coverage[at]!) coverage[at] = covered;
      }
    }
  }
  coverage.forEach((covered, at) => {
    for (let channel = 0; channel < 3; channel++) {
      const value = canvas[at * 3 + channel]!;
      canvas[at * 3 + channel] = value + covered * (colour[channel]! - value);
    }
  });
}

function mix(a: Colour, b: Colour, share: number): Colour {
  return [a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]), a[2] + share * (b[2] - a[2])];
}

/** Rec. 601 luma. */
function brightness([red, green, blue]: Colour): number {
  return 0.299 * red + 0.587 * green + 0.114 * blue;
}

/** A closed polyline on the unit circle, from the rational parametrisation of its right half. */
function circle(corners: number): Point[] {
  const half = Array.from({ length: corners / 2 + 1 }, (_, i): Point => {
    const u = (4 * i) / corners - 1; // −1 … 1
    return [(1 - u * u) / (1 + u * u), (2 * u) / (1 + u * u)];
  });
  return [
    ...half,
    ...half
      .slice(0, -1)
      .reverse()
      .map(([x, y]): Point => [-x, y]),
  ];
}

/** Glyphs, described for lists and comparisons. */
export const set: Dataset = { id: 'glyphs', load: glyphs, classes: NAMES, target: 0.8 };
