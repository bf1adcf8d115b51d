import { describe, expect, it } from 'vitest';
import type { Split } from '../image-set.js';
import { type GlyphOptions, glyphs } from './glyphs.js';

const bytes = (split: Split, count = split.size) =>
  Array.from({ length: count }, (_, i) => [split.label(i), ...split.image(i)].join());

type Classifier = (image: Uint8Array) => Float64Array;

/**
 * A linear classifier of pixels in [−1, 1], with a bias, trained image by image on the cross-entropy of its softmax.
 */
function softmaxRegression(split: Split, { epochs, step }: { epochs: number; step: number }): Classifier {
  const length = split.image(0).length;
  const weights = Array.from({ length: 10 }, () => new Float64Array(length + 1));
  const classify: Classifier = (image) => {
    const logits = weights.map((row) => {
      let sum = row[length]!;
      for (let at = 0; at < length; at++) sum += row[at]! * (image[at]! / 127.5 - 1);
      return sum;
    });
    const largest = Math.max(...logits);
    const powers = Float64Array.from(logits, (logit) => Math.exp(logit - largest));
    const total = powers.reduce((a, b) => a + b);
    return powers.map((power) => power / total);
  };
  for (let epoch = 0; epoch < epochs; epoch++) {
    for (let i = 0; i < split.size; i++) {
      const image = split.image(i);
      for (const [k, probability] of classify(image).entries()) {
        const error = step * (+(k === split.label(i)) - probability);
        const row = weights[k]!;
        for (let at = 0; at < length; at++) row[at]! += error * (image[at]! / 127.5 - 1);
        row[length]! += error;
      }
    }
  }
  return classify;
}

function accuracy(classify: Classifier, split: Split): number {
  let right = 0;
  for (let i = 0; i < split.size; i++) {
    const scores = classify(split.image(i));
    if (scores.indexOf(Math.max(...scores)) === split.label(i)) right++;
  }
  return right / split.size;
}

describe('glyphs', () => {
  it('have ten classes in equal parts', async () => {
    const set = await glyphs({ trainSize: 50, validationSize: 20, testSize: 30 });
    expect(set.classes.length).toBe(10);
    for (const split of [set.train, set.validation, set.test]) {
      const count = new Array<number>(10).fill(0);
      for (let i = 0; i < split.size; i++) count[split.label(i)]!++;
      expect(count).toEqual(new Array(10).fill(split.size / 10));
    }
  });

  it('follow from the seed, image by image: a larger set begins with the smaller one', async () => {
    const small = await glyphs({ trainSize: 20, validationSize: 10, testSize: 10, seed: 4 });
    const large = await glyphs({ trainSize: 30, validationSize: 20, testSize: 20, seed: 4 });
    for (const part of ['train', 'validation', 'test'] as const) {
      expect(bytes(large[part], small[part].size)).toEqual(bytes(small[part]));
    }
    const other = await glyphs({ trainSize: 20, validationSize: 10, testSize: 10, seed: 5 });
    expect(bytes(other.train)).not.toEqual(bytes(small.train));
  });

  it('are all different, across the parts too', async () => {
    const { train, validation, test } = await glyphs({ trainSize: 60, validationSize: 60, testSize: 60 });
    const all = [train, validation, test].flatMap((split) => bytes(split));
    expect(new Set(all).size).toBe(180);
  });

  // Results are compared across machines by this checksum, so another one, on any machine, is a bug or another dataset.
  it('are the same on every machine', async () => {
    const { checksum } = await glyphs({ trainSize: 100, validationSize: 20, testSize: 20, seed: 1 });
    expect(checksum).toBe('0a536034745183c192536574573bd5608bcdc5af6818f6a13144bea8c701d1e0');
  });

  it('are drawn so that ink and ground differ, either being the lighter', async () => {
    const { train, classes } = await glyphs({ trainSize: 400, validationSize: 0, testSize: 1 });
    let lighter = 0;
    let seen = 0;
    for (let i = 0; i < train.size; i++) {
      if (classes[train.label(i)] !== 'square') continue;
      const image = train.image(i);
      const brightness = Array.from({ length: 1024 }, (_, p) => {
        const [red, green, blue] = image.subarray(p * 3, p * 3 + 3);
        return 0.299 * red! + 0.587 * green! + 0.114 * blue!;
      }).sort((a, b) => a - b);
      // Strokes cover less than half of the image, so the median is the ground's.
      const [dark, ground, light] = [brightness[25]!, brightness[512]!, brightness[998]!];
      expect(Math.max(light - ground, ground - dark)).toBeGreaterThan(70);
      if (light - ground > ground - dark) lighter++;
      seen++;
    }
    expect(seen).toBe(40);
    expect(lighter).toBeGreaterThan(8);
    expect(lighter).toBeLessThan(32);
  });

  it('defeat a linear classifier: it stays under 60 %, though it fits what it is shown', async () => {
    const { train, test } = await glyphs({ trainSize: 2000, validationSize: 0, testSize: 1000 });
    const classify = softmaxRegression(train, { epochs: 8, step: 1e-3 });
    expect(accuracy(classify, train)).toBeGreaterThan(0.35);
    expect(accuracy(classify, test)).toBeGreaterThan(0.13);
    expect(accuracy(classify, test)).toBeLessThan(0.6);
  });

  it.each([
    [{ testSize: 0 }, 'BAD_VALUE', /testSize is 0/],
    [{ trainSize: -5 }, 'BAD_VALUE', /trainSize is -5/],
    [{ trainSize: 1e12 }, 'BAD_VALUE', /trainSize is 1000000000000, which is more than memory holds/],
    [{ seed: 0.5 }, 'BAD_VALUE', /seed is 0.5/],
    [{ folder: '.' }, 'UNKNOWN_OPTION', /glyphs has no option 'folder'/],
  ])('refuse %j', async (options, code, message) => {
    const promise = glyphs(options as GlyphOptions);
    await expect(promise).rejects.toMatchObject({ name: 'ConfigurationError', code });
    await expect(promise).rejects.toThrow(message);
  });
});
