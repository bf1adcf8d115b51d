import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { create } from 'tar';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { dataset } from './datasets.js';
import { type DownloadProgress, type FileBytes, loadFiles } from './files.js';
import type { FileSource } from './published.js';
import { parseCifar10, parseIdx } from './records.js';
import { cifar10, cifar100, cifar100Coarse, datasets, emnist, fashionMnist, kmnist, mnist } from './sets/index.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ghl-datasets-'));
  vi.stubEnv('GHL_DATA', '');
  vi.stubEnv('GHL_CACHE', join(folder, 'cache'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

type Contents = Record<string, Uint8Array>;

function write(into: string, contents: Contents): string {
  mkdirSync(into, { recursive: true });
  for (const [name, bytes] of Object.entries(contents)) writeFileSync(join(into, name), bytes);
  return into;
}

/** CIFAR records whose pixels all have the value of their number. */
function records(count: number, labels: (i: number) => readonly number[]): Uint8Array {
  return Uint8Array.from(
    Array.from({ length: count }, (_, i) => [...labels(i), ...new Array<number>(3072).fill(i)]).flat(),
  );
}

const cifar10Files = (): Contents => ({
  ...Object.fromEntries([1, 2, 3, 4, 5].map((n) => [`data_batch_${n}.bin`, records(4, (i) => [(n + i) % 10])])),
  'test_batch.bin': records(3, (i) => [i]),
});

function idx(magic: number, sides: readonly number[], body: Uint8Array): Uint8Array {
  const header = new DataView(new ArrayBuffer(4 + 4 * sides.length));
  for (const [i, value] of [magic, ...sides].entries()) header.setUint32(4 * i, value);
  return Buffer.concat([new Uint8Array(header.buffer), body]);
}

function mnistFiles(testLabels: readonly number[] = [1, 2, 3]): Contents {
  const part = (labels: readonly number[]) => [
    idx(
      0x803,
      [labels.length, 28, 28],
      new Uint8Array(labels.length * 784).map((_, i) => i % 256),
    ),
    idx(0x801, [labels.length], Uint8Array.from(labels)),
  ];
  const [trainImages, trainLabels] = part([5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
  const [testImages, tests] = part(testLabels);
  return {
    'train-images-idx3-ubyte': trainImages!,
    'train-labels-idx1-ubyte': trainLabels!,
    't10k-images-idx3-ubyte': testImages!,
    't10k-labels-idx1-ubyte': tests!,
  };
}

/** Ten training images and two test images with these labels, transposed as in the files of EMNIST. */
function emnistFiles(split: string, labels: readonly number[]): Contents {
  const names = ['train-images-idx3', 'train-labels-idx1', 'test-images-idx3', 'test-labels-idx1'];
  const train = Array.from({ length: 10 }, (_, i) => labels[i % labels.length]!);
  const part = (values: readonly number[]) => [
    // The pixel of column c and row r is at 28·c + r, and has the value c.
    idx(
      0x803,
      [values.length, 28, 28],
      new Uint8Array(values.length * 784).map((_, at) => Math.floor((at % 784) / 28)),
    ),
    idx(0x801, [values.length], Uint8Array.from(values)),
  ];
  const parts = [...part(train), ...part(labels)];
  return Object.fromEntries(names.map((name, i) => [`emnist-${split}-${name}-ubyte`, parts[i]!]));
}

/** A zip archive of uncompressed files (PKWARE's APPNOTE, version 2.0). */
function zipped(contents: Contents): Buffer {
  const [locals, centrals]: [Buffer[], Buffer[]] = [[], []];
  let offset = 0;
  for (const [name, bytes] of Object.entries(contents)) {
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt32LE(crc32(bytes), 10);
    fields.writeUInt32LE(bytes.length, 14);
    fields.writeUInt32LE(bytes.length, 18);
    fields.writeUInt16LE(name.length, 22);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(offset, 10);
    locals.push(Buffer.concat([Buffer.from('PK\x03\x04'), fields, Buffer.from(name), bytes]));
    centrals.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\0'), fields, place, Buffer.from(name)]));
    offset += locals.at(-1)!.length;
  }
  const directory = Buffer.concat(centrals);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(centrals.length, 4);
  end.writeUInt16LE(centrals.length, 6);
  end.writeUInt32LE(directory.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...locals, directory, Buffer.from('PK\x05\x06'), end]);
}

/** CRC-32, which Node has from 20.15. */
function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
  }
  return ~crc >>> 0;
}

/** Sets of a few images, which are not the published ones. */
const SMALL = { verify: false } as const;

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Files as if these contents were the published ones. */
const published = (contents: Contents): FileSource['files'] =>
  Object.entries(contents).map(([name, bytes]) => ({ name, bytes: bytes.length, sha256: sha256(bytes) }));

const gzipped = (contents: Contents): Contents =>
  Object.fromEntries(Object.entries(contents).map(([name, bytes]) => [`${name}.gz`, gzipSync(bytes)]));

const renamed = (contents: Contents, make: () => Uint8Array): Contents =>
  Object.fromEntries(Object.keys(contents).map((name) => [name, make()]));

describe('files in a folder', () => {
  it('are found in it, or in the folder inside it that bears the usual name', async () => {
    const bare = await cifar10({ ...SMALL, folder: write(join(folder, 'bare'), cifar10Files()) });
    write(join(folder, 'data', 'cifar-10-batches-bin'), cifar10Files());
    const inner = await cifar10({ ...SMALL, folder: join(folder, 'data') });
    expect(inner.checksum).toBe(bare.checksum);
    expect([bare.name, bare.shape, bare.classes.length]).toEqual(['cifar10', [32, 32, 3], 10]);
    expect([bare.train.size, bare.validation.size, bare.test.size]).toEqual([18, 2, 3]);
    // biome-ignore format: one line
    expect([0, 1, 2].map((i) => [bare.test.label(i), bare.test.image(i)[0]])).toEqual([[0, 0], [1, 1], [2, 2]]);
  });

  it('are read as CIFAR-100 with its hundred fine classes', async () => {
    const files = { 'train.bin': records(10, (i) => [i, 90 + i]), 'test.bin': records(2, (i) => [i, 40 * i]) };
    write(join(folder, 'cifar-100-binary'), files);
    const { test, classes, name } = await cifar100({ ...SMALL, folder, validationSize: 0 });
    expect(name).toBe('cifar100');
    expect(new Set(classes).size).toBe(100);
    expect([...classes].sort()).toEqual(classes);
    expect([0, 1].map((i) => test.label(i))).toEqual([0, 40]);
  });

  it('are read as CIFAR-100 with its twenty superclasses', async () => {
    const files = { 'train.bin': records(10, (i) => [i, 90 + i]), 'test.bin': records(2, (i) => [19 * i, 40]) };
    write(join(folder, 'cifar-100-binary'), files);
    const { test, classes, name } = await cifar100Coarse({ ...SMALL, folder, validationSize: 0 });
    expect(name).toBe('cifar100-coarse');
    expect([new Set(classes).size, classes[0], classes[19]]).toEqual([20, 'aquatic_mammals', 'vehicles_2']);
    expect([0, 1].map((i) => test.label(i))).toEqual([0, 19]);
  });

  it('are read as EMNIST, upright, with the classes of each split', async () => {
    write(join(folder, 'emnist'), { ...emnistFiles('balanced', [0, 46]), ...gzipped(emnistFiles('letters', [1, 26])) });
    const balanced = await emnist({ ...SMALL, folder, validationSize: 0 });
    expect([balanced.name, balanced.classes.length, balanced.train.size]).toEqual(['emnist', 47, 10]);
    expect(balanced.classes.join('')).toBe('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt');
    expect([0, 1].map((i) => balanced.test.label(i))).toEqual([0, 46]);
    const image = balanced.test.image(0);
    expect([...image.subarray(0, 28)]).toEqual(Array.from({ length: 28 }, (_, column) => column));
    expect([...image.subarray(28, 56)]).toEqual([...image.subarray(0, 28)]);
    const letters = await emnist({ ...SMALL, folder, split: 'letters' });
    expect([0, 1].map((i) => letters.classes[letters.test.label(i)])).toEqual(['a', 'z']);
  });

  it('of EMNIST have labels from 1 to 26 for letters, and a known split', async () => {
    write(folder, emnistFiles('letters', [1, 0]));
    await expect(emnist({ ...SMALL, folder, split: 'letters' })).rejects.toThrow(
      /label 0 in record 1; labels are 1 to 26/,
    );
    const split = 'kanji' as 'letters';
    await expect(emnist({ folder, split })).rejects.toMatchObject({ code: 'BAD_VALUE' });
  });

  it('may be gzipped or not', async () => {
    write(join(folder, 'mnist'), gzipped(mnistFiles()));
    write(join(folder, 'fashion-mnist'), mnistFiles());
    const [digits, clothes] = [await mnist({ ...SMALL, folder }), await fashionMnist({ ...SMALL, folder })];
    expect(clothes.checksum).toBe(digits.checksum);
    expect([digits.name, clothes.name]).toEqual(['mnist', 'fashion-mnist']);
    expect(digits.shape).toEqual([28, 28, 1]);
    expect(clothes.classes).toContain('ankle boot');
  });

  it('are those of GHL_DATA without an option `folder`', async () => {
    vi.stubEnv('GHL_DATA', write(join(folder, 'a'), mnistFiles()));
    const set = await mnist(SMALL);
    expect(set.test.size).toBe(3);
    const other = await mnist({ ...SMALL, folder: write(join(folder, 'b'), mnistFiles([4])) });
    expect(other.test.size).toBe(1);
  });

  it('pass their options to the set', async () => {
    write(folder, mnistFiles());
    const options = { ...SMALL, folder, trainSize: 4, validationSize: 3, seed: 7, normalise: { mean: 0, std: 1 } };
    const { train, validation } = await mnist(options);
    expect([train.size, validation.size]).toEqual([4, 3]);
    expect((await mnist({ ...options, seed: 8 })).checksum).not.toBe((await mnist(options)).checksum);
    await expect(mnist({ ...options, trainSize: 8 })).rejects.toMatchObject({ code: 'TRAIN_SIZE' });
    await expect(mnist({ ...options, validationSize: 10 })).rejects.toMatchObject({ code: 'VALIDATION_SIZE' });
  });
});

describe('bad files', () => {
  async function refused(promise: Promise<unknown>, code: string, ...messages: RegExp[]): Promise<void> {
    await expect(promise).rejects.toMatchObject({ name: 'DataError', code });
    for (const message of messages) await expect(promise).rejects.toThrow(message);
  }

  it('no such folder', async () => {
    await refused(
      cifar10({ folder: join(folder, 'nowhere') }),
      'DATA_NOT_FOUND',
      /There is no folder .*nowhere\./,
      /help:/,
    );
  });

  it('an empty folder: the error names the files and the folders', async () => {
    await refused(
      mnist({ folder }),
      'DATA_NOT_FOUND',
      /has no train-images-idx3-ubyte,/,
      /looked for in .*mnist and in/,
    );
  });

  it('one file missing', async () => {
    const { 'data_batch_3.bin': _, ...rest } = cifar10Files();
    await refused(cifar10({ folder: write(folder, rest) }), 'DATA_INCOMPLETE', /has no data_batch_3.bin\.\n/);
  });

  it('a folder in place of a file', async () => {
    const { 'test.bin': _, ...rest } = { 'train.bin': records(3, () => [0, 0]), 'test.bin': records(1, () => [0, 0]) };
    mkdirSync(join(write(folder, rest), 'test.bin'));
    await refused(cifar100({ folder }), 'DATA_UNREADABLE', /test.bin could not be read/);
  });

  it('a batch cut within a record', async () => {
    const files = cifar10Files();
    files['data_batch_2.bin'] = files['data_batch_2.bin']!.subarray(0, 10_000);
    await refused(
      cifar10({ folder: write(folder, files) }),
      'DATA_TRUNCATED',
      /data_batch_2.bin has 10000 bytes .* 12292/,
    );
  });

  it('a batch cut between two records', async () => {
    const files = cifar10Files();
    files['data_batch_2.bin'] = files['data_batch_2.bin']!.subarray(0, 3 * 3073);
    await refused(
      cifar10({ ...SMALL, folder: write(folder, files) }),
      'DATA_TRUNCATED',
      /data_batch_2.bin has 9219 bytes, .* 12292/,
    );
  });

  it('a label out of range', async () => {
    const files = { ...cifar10Files(), 'test_batch.bin': records(1, () => [12]) };
    await refused(cifar10({ folder: write(folder, files) }), 'DATA_CORRUPT', /test_batch.bin has the label 12/);
  });

  it('a file that is not in gzip format', async () => {
    const files = gzipped(mnistFiles());
    files['train-labels-idx1-ubyte.gz'] = Uint8Array.of(1, 2, 3, 4);
    await refused(
      mnist({ folder: write(folder, files) }),
      'DATA_CORRUPT',
      /train-labels-idx1-ubyte.gz is not a valid gzip/,
    );
  });

  it('gzip with a flipped bit', async () => {
    const files = gzipped(mnistFiles());
    const bytes = files['train-images-idx3-ubyte.gz']!;
    bytes[bytes.length - 5]! ^= 1; // in the CRC
    await refused(
      mnist({ folder: write(folder, files) }),
      'DATA_CORRUPT',
      /train-images-idx3-ubyte.gz is not a valid gzip/,
    );
  });

  it('gzip that ends too early, in its data or in its trailer', async () => {
    const whole = gzipped(mnistFiles());
    const name = 'train-images-idx3-ubyte.gz';
    const cut = (bytes: number) => ({ folder: write(folder, { ...whole, [name]: whole[name]!.subarray(0, bytes) }) });
    await refused(mnist(cut(100)), 'DATA_TRUNCATED', /train-images-idx3-ubyte.gz has \d+ bytes where .* need 7856/);
    await refused(
      mnist({ ...SMALL, ...cut(whole[name]!.length - 4) }),
      'DATA_TRUNCATED',
      /bytes and ends before its gzip stream does/,
    );
  });

  it.each([
    ['folder', 5],
    ['mirror', {}],
    ['verify', 'no'],
  ])('an option %s of another kind', async (name, value) => {
    await expect(mnist({ [name]: value } as object)).rejects.toMatchObject({
      name: 'ConfigurationError',
      code: 'BAD_VALUE',
    });
  });

  it('an unknown option', async () => {
    const promise = cifar10({ foldr: folder } as object);
    await expect(promise).rejects.toMatchObject({ code: 'UNKNOWN_OPTION' });
    await expect(promise).rejects.toThrow(/did you mean 'folder'/);
  });
});

describe('files of another set', () => {
  /** A set of small files in MNIST's format, as if they were what its authors published. */
  const setOf = (name: string, labels: readonly number[]): [FileSource, Contents] => {
    const contents = mnistFiles(labels);
    return [{ name, folder: name, files: published(contents), downloads: [] }, contents];
  };
  const [digits, digitFiles] = setOf('digits', [7, 2, 1]);
  const [clothes, clothFiles] = setOf('clothes', [9, 2, 1]);
  const load = (source: FileSource, contents: Contents, verify = true) =>
    loadFiles(
      source,
      { folder: write(join(folder, String(Math.random())), contents), verify, validationSize: 1 },
      (files) => {
        const [a, b, c, d] = files.map(({ bytes }) => bytes) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
        return { classes: [...'0123456789'], shape: [28, 28, 1], train: [parseIdx(a, b)], test: [parseIdx(c, d)] };
      },
      [digits, clothes],
    );
  const names = Object.keys(digitFiles) as [string, string, string, string];

  it('are read if they are the published ones, or with `verify: false`', async () => {
    expect((await load(digits, digitFiles)).test.label(0)).toBe(7);
    expect((await load(digits, gzipped(digitFiles))).test.label(0)).toBe(7);
    expect((await load(digits, clothFiles, false)).test.label(0)).toBe(9);
  });

  it('are named in the error if they are known, in place of any other file', async () => {
    await expect(load(clothes, digitFiles)).rejects.toMatchObject({
      code: 'WRONG_DATASET',
      message: expect.stringMatching(/t10k-labels-idx1-ubyte is digits's t10k-labels-idx1-ubyte, not clothes's t10k-l/),
    });
    const distinct = names.filter((name) => sha256(digitFiles[name]!) !== sha256(clothFiles[name]!));
    expect(distinct).toEqual(['t10k-labels-idx1-ubyte']);
    for (const [i, place] of names.entries()) {
      for (const other of names.filter((_, at) => at !== i)) {
        const swapped = { ...digitFiles, [place]: digitFiles[other]! };
        await expect(load(digits, swapped)).rejects.toMatchObject({
          code: 'WRONG_DATASET',
          message: expect.stringContaining(`${place} is digits's ${other}, not digits's ${place}.`),
        });
      }
    }
  });

  it('are rejected if one byte differs, or a whole record is missing or superfluous', async () => {
    for (const name of names) {
      const bytes = Uint8Array.from(digitFiles[name]!);
      bytes[bytes.length - 1]! ^= 1;
      await expect(load(digits, { ...digitFiles, [name]: bytes })).rejects.toMatchObject({
        name: 'DataError',
        code: 'CHECKSUM_MISMATCH',
        message: expect.stringMatching(new RegExp(`${name} has the SHA-256 .*; digits's ${name} has `)),
        help: expect.stringContaining('verify: false'),
      });
    }
    await expect(load(digits, mnistFiles([7, 2]))).rejects.toMatchObject({ code: 'DATA_TRUNCATED' });
    await expect(load(digits, mnistFiles([7, 2, 1, 0]))).rejects.toMatchObject({ code: 'DATA_CORRUPT' });
  });

  it('with the sizes of MNIST are neither MNIST nor Fashion-MNIST', async () => {
    const labels = (count: number) => new Uint8Array(count).map((_, i) => (i * 7) % 10);
    const files: Contents = {
      [names[0]]: idx(0x803, [60_000, 28, 28], new Uint8Array(60_000 * 784)),
      [names[1]]: idx(0x801, [60_000], labels(60_000)),
      [names[2]]: idx(0x803, [10_000, 28, 28], new Uint8Array(10_000 * 784)),
      [names[3]]: idx(0x801, [10_000], labels(10_000)),
    };
    write(folder, files);
    for (const load of [mnist, fashionMnist]) {
      await expect(load({ folder })).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' });
    }
  });

  it('are known by the checksum of their gzip file if that of the contents is not known', async () => {
    const files = Object.entries(gzipped(mnistFiles()));
    const source = (hash: (bytes: Uint8Array) => string): FileSource => ({
      name: 'example',
      folder: 'example',
      files: files.map(([name, bytes]) => ({
        name: name.slice(0, -3),
        bytes: mnistFiles()[name.slice(0, -3)]!.length,
        gzipSha256: hash(bytes),
      })),
      downloads: [],
    });
    const parse = () => ({
      classes: ['0'],
      shape: [1, 1, 1] as const,
      train: [{ pixels: new Uint8Array(2), labels: new Uint8Array(2) }],
      test: [],
    });
    write(folder, Object.fromEntries(files));
    expect((await loadFiles(source(sha256), { folder }, parse)).name).toBe('example');
    const other = loadFiles(
      source(() => 'f00'),
      { folder },
      parse,
    );
    await expect(other).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH', summary: expect.stringMatching(/has f00/) });
    const plain = write(join(folder, 'plain'), mnistFiles());
    expect(
      (
        await loadFiles(
          source(() => 'f00'),
          { folder: plain },
          parse,
        )
      ).name,
    ).toBe('example');
  });

  it('of MNIST are not those of KMNIST, although they have the names and sizes', async () => {
    write(folder, mnistFiles());
    await expect(kmnist({ folder })).rejects.toMatchObject({ code: 'DATA_TRUNCATED' });
    expect((await kmnist({ ...SMALL, folder })).classes).toContain('tsu');
  });

  it.each([
    ['CIFAR-10', cifar10, cifar10Files(), 'DATA_TRUNCATED'],
    [
      'CIFAR-100',
      cifar100,
      { 'train.bin': records(9, () => [0, 0]), 'test.bin': records(3, () => [0, 0]) },
      'DATA_TRUNCATED',
    ],
    ['MNIST', mnist, mnistFiles(), 'DATA_TRUNCATED'],
    ['Fashion-MNIST', fashionMnist, gzipped(mnistFiles()), 'DATA_TRUNCATED'],
    [
      'CIFAR-10 in records of CIFAR-100',
      cifar10,
      renamed(cifar10Files(), () => records(3, () => [0, 0])),
      'WRONG_DATASET',
    ],
    [
      'CIFAR-100 in records of CIFAR-10',
      cifar100,
      { 'train.bin': records(9, () => [0]), 'test.bin': records(3, () => [0]) },
      'WRONG_DATASET',
    ],
  ] as const)('that are a few of %s are refused', async (_, load, files, code) => {
    await expect(load({ folder: write(folder, files) })).rejects.toMatchObject({ name: 'DataError', code });
  });
});

describe('files from the cache', () => {
  const md5 = (bytes: Uint8Array) => createHash('md5').update(bytes).digest('hex');
  let server: Server;
  let served: Contents;
  let requests: string[];
  let mirror: string;

  beforeEach(async () => {
    served = {};
    requests = [];
    server = createServer((request, response) => {
      requests.push(request.url!);
      const bytes = served[basename(request.url!)];
      response.statusCode = bytes ? 200 : 404;
      response.end(bytes);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}/some/where/`;
  });
  afterEach(() => new Promise((resolve) => server.close(resolve)));

  it('an archive is downloaded, unpacked once, and read from then on', async () => {
    write(join(folder, 'cifar-10-batches-bin'), cifar10Files());
    const archive = join(folder, 'a.tar.gz');
    await create({ file: archive, cwd: folder, gzip: true }, ['cifar-10-batches-bin']);
    served['a.tar.gz'] = readFileSync(archive);
    const source: FileSource = {
      name: 'example',
      folder: 'cifar-10-batches-bin',
      files: published(cifar10Files()),
      downloads: [{ url: 'https://example.org/a.tar.gz', md5: md5(served['a.tar.gz']), archive: true }],
    };
    const seen: DownloadProgress[] = [];
    const load = () =>
      loadFiles(source, { mirror, onProgress: (progress) => seen.push(progress) }, (files) => ({
        classes: [...'0123456789'],
        shape: [32, 32, 3],
        train: files.slice(0, 5).map(({ bytes }) => parseCifar10(bytes)),
        test: [parseCifar10(files[5]!.bytes)],
      }));
    const { checksum } = await load();
    expect(checksum).toBe((await cifar10({ ...SMALL, folder })).checksum);
    const size = served['a.tar.gz'].length;
    expect(seen.at(-1)).toEqual({ file: 'a.tar.gz', received: size, total: size });
    expect((await load()).checksum).toBe(checksum);
    expect(requests).toEqual(['/some/where/a.tar.gz']);
    expect(existsSync(join(folder, 'cache', 'a.tar.gz'))).toBe(false);
  });

  it('a zip archive is unpacked without its folder', async () => {
    const files = gzipped(emnistFiles('balanced', [3, 4]));
    served['gzip.zip'] = zipped(
      Object.fromEntries(Object.entries(files).map(([name, each]) => [`gzip/${name}`, each])),
    );
    const source: FileSource = {
      name: 'example',
      folder: 'emnist',
      files: published(emnistFiles('balanced', [3, 4])),
      downloads: [{ url: 'https://example.org/gzip.zip', md5: md5(served['gzip.zip']), archive: true }],
    };
    const parse = (read: readonly FileBytes[]) => ({
      classes: [...'0123456789'],
      shape: [28, 28, 1] as const,
      train: [parseIdx(read[0]!.bytes, read[1]!.bytes)],
      test: [parseIdx(read[2]!.bytes, read[3]!.bytes)],
    });
    const set = await loadFiles(source, { mirror }, parse);
    expect([set.test.label(0), set.test.label(1)]).toEqual([3, 4]);
    expect(existsSync(join(folder, 'cache', 'emnist', 'emnist-balanced-test-labels-idx1-ubyte.gz'))).toBe(true);
    expect(existsSync(join(folder, 'cache', 'gzip.zip'))).toBe(false);
    await loadFiles(source, { mirror }, parse);
    expect(requests).toEqual(['/some/where/gzip.zip']);
  });

  it('a zip archive that is damaged is reported', async () => {
    served['gzip.zip'] = Buffer.from('PK, but nothing else');
    const source: FileSource = {
      name: 'example',
      folder: 'emnist',
      files: published(emnistFiles('balanced', [3, 4])),
      downloads: [{ url: 'https://example.org/gzip.zip', md5: md5(served['gzip.zip']), archive: true }],
    };
    const load = loadFiles(source, { mirror }, () => ({ classes: [], shape: [1, 1, 1], train: [], test: [] }));
    await expect(load).rejects.toMatchObject({ name: 'DataError', code: 'CACHE_UNWRITABLE' });
  });

  it('single files are downloaded one by one; existing files stay', async () => {
    const files = gzipped(mnistFiles());
    Object.assign(served, files);
    const source: FileSource = {
      name: 'example',
      folder: 'example',
      files: published(mnistFiles()),
      downloads: Object.entries(files).map(([name, bytes]) => ({ url: `x:/${name}`, md5: md5(bytes), archive: false })),
    };
    const read: string[][] = [];
    const load = () =>
      loadFiles(source, { mirror }, (progress) => {
        read.push(progress.map(({ path, bytes }) => `${basename(path)} ${md5(bytes)}`));
        return {
          classes: ['0'],
          shape: [1, 1, 1],
          train: [{ pixels: new Uint8Array(2), labels: new Uint8Array(2) }],
          test: [],
        };
      });
    delete served['t10k-labels-idx1-ubyte.gz'];
    await expect(load()).rejects.toMatchObject({ name: 'DataError', code: 'DOWNLOAD_FAILED' });
    Object.assign(served, files);
    await load();
    expect(read).toEqual([Object.entries(mnistFiles()).map(([name, bytes]) => `${name}.gz ${md5(bytes)}`)]);
    expect(new Set(requests).size).toBe(4);
    expect(requests.length).toBe(5);
  });

  it('an archive that is not the official file is rejected', async () => {
    Object.assign(served, gzipped(mnistFiles()), { 'cifar-100-binary.tar.gz': Uint8Array.of(1) });
    await expect(mnist({ mirror })).rejects.toMatchObject({ name: 'DataError', code: 'CHECKSUM_MISMATCH' });
    await expect(cifar100({ mirror })).rejects.toThrow(/has the MD5 .*, not 03b5dce01913d631647c71ecec9e9cb8/);
  });

  it('a cache that cannot be written is reported', async () => {
    Object.assign(served, gzipped(mnistFiles()));
    writeFileSync(join(folder, 'file'), '');
    vi.stubEnv('GHL_CACHE', join(folder, 'file'));
    await expect(mnist({ mirror })).rejects.toMatchObject({ name: 'DataError', code: 'CACHE_UNWRITABLE' });
  });
});

describe('datasets by name', () => {
  it('load the set of that name, with the classes of the description', async () => {
    expect(Object.keys(datasets)).toEqual([
      'glyphs',
      'cifar10',
      'cifar100',
      'mnist',
      'fashion-mnist',
      'cifar100-coarse',
      'emnist',
      'kmnist',
    ]);
    write(folder, { ...mnistFiles(), ...cifar10Files(), ...emnistFiles('balanced', [0, 46]) });
    write(folder, { 'train.bin': records(3, () => [0, 0]), 'test.bin': records(1, () => [0, 0]) });
    for (const [name, { id, classes, target, folder: usual }] of Object.entries(datasets)) {
      const set = await dataset(name, usual === undefined ? { trainSize: 1, testSize: 1 } : { ...SMALL, folder });
      expect([id, set.name]).toEqual([name, name]);
      expect(set.classes).toEqual(classes);
      expect(target).toBeGreaterThan(1 / classes.length);
      expect(target).toBeLessThan(1);
    }
  });

  it('reject an unknown name, with the nearest known one', async () => {
    const promise = dataset('cifar-10');
    await expect(promise).rejects.toMatchObject({ name: 'ConfigurationError', code: 'UNKNOWN_DATASET' });
    await expect(promise).rejects.toThrow(/no dataset 'cifar-10'.\n.*did you mean 'cifar10'/);
    await expect(dataset('toString')).rejects.toMatchObject({ code: 'UNKNOWN_DATASET' });
  });
});
