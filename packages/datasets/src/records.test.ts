import { describe, expect, it } from 'vitest';
import { parseCifar10, parseCifar100, parseIdx } from './records.js';

/** CIFAR records with the given label bytes; the byte of plane p at place i of record r is (r + 50p + i) mod 256. */
function cifar(...labels: readonly (readonly number[])[]): Uint8Array {
  return Uint8Array.from(
    labels.flatMap((label, r) => [
      ...label,
      ...Array.from({ length: 3072 }, (_, at) => r + 50 * (at >> 10) + (at & 1023)),
    ]),
  );
}

/** An idx file: magic number, sides, entries. */
function idx(magic: number, sides: readonly number[], body: Iterable<number>): Uint8Array {
  const header = new DataView(new ArrayBuffer(4 + 4 * sides.length));
  for (const [i, value] of [magic, ...sides].entries()) header.setUint32(4 * i, value);
  return Uint8Array.from([...new Uint8Array(header.buffer), ...body]);
}

const images = (count: number) =>
  idx(
    0x803,
    [count, 28, 28],
    new Uint8Array(count * 784).map((_, i) => i % 251),
  );
const labels = (...values: number[]) => idx(0x801, [values.length], values);

describe('parseCifar10', () => {
  it('reads labels, and planes as channels', () => {
    const { pixels, labels: parsed } = parseCifar10(cifar([3], [9]));
    expect([...parsed]).toEqual([3, 9]);
    for (const [record, place] of [
      [0, 0],
      [0, 33],
      [1, 1023],
    ] as const) {
      // biome-ignore format: one line
      const at = record * 3072 + place * 3;
      expect([...pixels.subarray(at, at + 3)]).toEqual([0, 1, 2].map((p) => (record + 50 * p + place) % 256));
    }
  });

  it.each([
    ['cut within a record', cifar([1], [2]).subarray(0, 6000), 'DATA_TRUNCATED', /has 6000 bytes where .* need 6146/],
    ['empty', new Uint8Array(), 'DATA_TRUNCATED', /has 0 bytes where .* need 3073/],
    ['a label out of range', cifar([1], [10]), 'DATA_CORRUPT', /label 10 in record 1; labels are 0 to 9/],
  ])('rejects %s', (_, bytes, code, message) => {
    const parse = () => parseCifar10(bytes, 'x.bin');
    expect(parse).toThrow(expect.objectContaining({ name: 'DataError', code }));
    expect(parse).toThrow(message);
    expect(parse).toThrow(/^x.bin/);
  });
});

describe('parseCifar100', () => {
  it('takes the fine label', () => {
    const { pixels, labels: parsed } = parseCifar100(cifar([3, 99], [19, 0]));
    expect([...parsed]).toEqual([99, 0]);
    expect([...pixels.subarray(3072, 3075)]).toEqual([1, 51, 101]);
  });

  it.each([
    ['a coarse label out of range', cifar([20, 5]), /label 20 in record 0; labels are 0 to 19/],
    ['a fine label out of range', cifar([0, 100]), /label 100 in record 0; labels are 0 to 99/],
  ])('rejects %s', (_, bytes, message) => {
    expect(() => parseCifar100(bytes)).toThrow(expect.objectContaining({ code: 'DATA_CORRUPT' }));
    expect(() => parseCifar100(bytes)).toThrow(message);
  });
});

describe('parseIdx', () => {
  it('reads what the header says', () => {
    const { pixels, labels: parsed } = parseIdx(images(2), labels(7, 0));
    expect([...parsed]).toEqual([7, 0]);
    expect(pixels.length).toBe(2 * 784);
    expect([pixels[0], pixels[784]]).toEqual([0, 784 % 251]);
  });

  it.each([
    ['a wrong magic number', idx(0x802, [1, 28, 28], []), labels(1), 'DATA_CORRUPT', /i begins with 0x00000802, not/],
    ['images for labels', images(1), images(1), 'DATA_CORRUPT', /l begins with 0x00000803/],
    ['a header cut short', images(1).subarray(0, 9), labels(1), 'DATA_TRUNCATED', /i has 9 bytes where .* need 16/],
    [
      'a body cut short',
      images(2).subarray(0, 900),
      labels(1, 2),
      'DATA_TRUNCATED',
      /i has 900 bytes where .* need 1584/,
    ],
    ['bytes to spare', images(1), Uint8Array.from([...labels(1), 5]), 'DATA_CORRUPT', /l has 10 bytes/],
    ['other counts', images(2), labels(1, 2, 3), 'DATA_CORRUPT', /i holds 2 images, l 3 labels/],
    ['a label out of range', images(1), labels(10), 'DATA_CORRUPT', /l has the label 10 in record 0/],
    ['another size', idx(0x803, [1, 14, 14], new Uint8Array(196)), labels(1), 'DATA_CORRUPT', /14 × 14, not 28 × 28/],
    ['nothing', images(0), labels(), 'DATA_CORRUPT', /0 × 28 × 28/],
  ])('rejects %s', (_, imageBytes, labelBytes, code, message) => {
    const parse = () => parseIdx(imageBytes, labelBytes, { images: 'i', labels: 'l' });
    expect(parse).toThrow(expect.objectContaining({ name: 'DataError', code }));
    expect(parse).toThrow(message);
  });
});

describe('bytes of another kind', () => {
  const whole = cifar([3]);
  it.each([
    ['an ArrayBuffer', whole.buffer],
    ['an array', [...whole]],
    ['floats', Float32Array.from(whole)],
    ['clamped bytes', Uint8ClampedArray.from(whole)],
    ['a text', 'bytes'],
    ['nothing', undefined],
    ['null', null],
  ])('are refused: %s', (_, bytes) => {
    const refused = expect.objectContaining({ name: 'ConfigurationError', code: 'BAD_VALUE' });
    for (const parse of [parseCifar10, parseCifar100]) expect(() => parse(bytes as never)).toThrow(refused);
    expect(() => parseIdx(bytes as never, labels(1))).toThrow(refused);
    expect(() => parseIdx(images(1), bytes as never)).toThrow(refused);
  });
});

it('records of the other CIFAR are named', () => {
  const refused = (set: string) =>
    expect.objectContaining({ code: 'WRONG_DATASET', message: expect.stringContaining(`records of ${set} have`) });
  expect(() => parseCifar10(cifar([1, 2], [3, 4]))).toThrow(refused('CIFAR-100'));
  expect(() => parseCifar100(cifar([1], [3]))).toThrow(refused('CIFAR-10'));
});
