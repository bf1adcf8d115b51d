import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { create } from 'tar';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { cifar10, cifar100 } from './cifar.js';
import { dataset, datasets } from './datasets.js';
import { type DownloadProgress, type FileSource, loadFiles } from './files.js';
import { fashionMnist, mnist } from './mnist.js';
import { parseCifar10 } from './records.js';

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

const gzipped = (contents: Contents): Contents =>
  Object.fromEntries(Object.entries(contents).map(([name, bytes]) => [`${name}.gz`, gzipSync(bytes)]));

describe('files in a folder', () => {
  it('are found in it, or in the folder inside it that bears the usual name', async () => {
    const bare = await cifar10({ folder: write(join(folder, 'bare'), cifar10Files()) });
    write(join(folder, 'data', 'cifar-10-batches-bin'), cifar10Files());
    const inner = await cifar10({ folder: join(folder, 'data') });
    expect(inner.checksum).toBe(bare.checksum);
    expect([bare.name, bare.shape, bare.classes.length]).toEqual(['cifar10', [32, 32, 3], 10]);
    expect([bare.train.size, bare.validation.size, bare.test.size]).toEqual([18, 2, 3]);
    expect([0, 1, 2].map((i) => [bare.test.label(i), bare.test.image(i)[0]])).toEqual([[0, 0], [1, 1], [2, 2]]); // biome-ignore format: one line
  });

  it('are read as CIFAR-100 with its hundred fine classes', async () => {
    const files = { 'train.bin': records(10, (i) => [i, 90 + i]), 'test.bin': records(2, (i) => [i, 40 * i]) };
    write(join(folder, 'cifar-100-binary'), files);
    const { test, classes, name } = await cifar100({ folder, validationSize: 0 });
    expect(name).toBe('cifar100');
    expect(new Set(classes).size).toBe(100);
    expect([...classes].sort()).toEqual(classes);
    expect([0, 1].map((i) => test.label(i))).toEqual([0, 40]);
  });

  it('may be gzipped or not', async () => {
    write(join(folder, 'mnist'), gzipped(mnistFiles()));
    write(join(folder, 'fashion-mnist'), mnistFiles());
    const [digits, clothes] = [await mnist({ folder }), await fashionMnist({ folder })];
    expect(clothes.checksum).toBe(digits.checksum);
    expect([digits.name, clothes.name]).toEqual(['mnist', 'fashion-mnist']);
    expect(digits.shape).toEqual([28, 28, 1]);
    expect(clothes.classes).toContain('ankle boot');
  });

  it('are those of GHL_DATA where no folder is given', async () => {
    vi.stubEnv('GHL_DATA', write(join(folder, 'a'), mnistFiles()));
    const set = await mnist();
    expect(set.test.size).toBe(3);
    const given = await mnist({ folder: write(join(folder, 'b'), mnistFiles([4])) });
    expect(given.test.size).toBe(1);
  });

  it('pass their options on', async () => {
    write(folder, mnistFiles());
    const options = { folder, trainSize: 4, validationSize: 3, seed: 7, normalise: { mean: 0, std: 1 } };
    const { train, validation } = await mnist(options);
    expect([train.size, validation.size]).toEqual([4, 3]);
    expect((await mnist({ ...options, seed: 8 })).checksum).not.toBe((await mnist(options)).checksum);
    await expect(mnist({ ...options, trainSize: 8 })).rejects.toMatchObject({ code: 'TRAIN_SIZE' });
    await expect(mnist({ ...options, validationSize: 10 })).rejects.toMatchObject({ code: 'VALIDATION_SIZE' });
  });
});

describe('bad files', () => {
  async function refused(made: Promise<unknown>, code: string, ...messages: RegExp[]): Promise<void> {
    await expect(made).rejects.toMatchObject({ name: 'DataError', code });
    for (const message of messages) await expect(made).rejects.toThrow(message);
  }

  it('no such folder', async () => {
    await refused(
      cifar10({ folder: join(folder, 'nowhere') }),
      'DATA_NOT_FOUND',
      /There is no folder .*nowhere\./,
      /help:/,
    );
  });

  it('an empty folder: it says what it looked for, and where', async () => {
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

  it('a folder in the place of a file', async () => {
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
      cifar10({ folder: write(folder, files) }),
      'DATA_TRUNCATED',
      /data_batch_2.bin has 9219 bytes .* 12292/,
    );
  });

  it('a label out of range', async () => {
    const files = { ...cifar10Files(), 'test_batch.bin': records(1, () => [12]) };
    await refused(cifar10({ folder: write(folder, files) }), 'DATA_CORRUPT', /test_batch.bin has the label 12/);
  });

  it('gzip that is none', async () => {
    const files = gzipped(mnistFiles());
    files['train-labels-idx1-ubyte.gz'] = Uint8Array.of(1, 2, 3, 4);
    await refused(
      mnist({ folder: write(folder, files) }),
      'DATA_CORRUPT',
      /train-labels-idx1-ubyte.gz is no sound gzip/,
    );
  });

  it('gzip with a flipped bit', async () => {
    const files = gzipped(mnistFiles());
    const bytes = files['train-images-idx3-ubyte.gz']!;
    bytes[bytes.length - 5]! ^= 1; // in the CRC
    await refused(
      mnist({ folder: write(folder, files) }),
      'DATA_CORRUPT',
      /train-images-idx3-ubyte.gz is no sound gzip/,
    );
  });

  it('gzip that ends too early, in its data or in its trailer', async () => {
    const whole = gzipped(mnistFiles());
    const name = 'train-images-idx3-ubyte.gz';
    const cut = (bytes: number) => ({ folder: write(folder, { ...whole, [name]: whole[name]!.subarray(0, bytes) }) });
    await refused(mnist(cut(100)), 'DATA_TRUNCATED', /train-images-idx3-ubyte.gz has \d+ bytes where .* need 7856/);
    await refused(mnist(cut(whole[name]!.length - 4)), 'DATA_TRUNCATED', /bytes and ends before its gzip stream does/);
  });

  it('files of the other set of the same names', async () => {
    const digits = write(join(folder, 'a'), mnistFiles([7, 2, 1, 0, 4, 1, 4, 9, 5, 9, 0, 6, 9, 0, 1, 5, 9]));
    const clothes = write(join(folder, 'b'), mnistFiles([9, 2, 1, 1, 6, 1, 4, 6, 5, 7, 4, 5, 7, 3, 4, 1, 2]));
    await refused(fashionMnist({ folder: digits }), 'WRONG_DATASET', /is mnist's, not fashion-mnist's/);
    await refused(mnist({ folder: clothes }), 'WRONG_DATASET', /is fashion-mnist's, not mnist's/);
    expect((await mnist({ folder: digits })).test.size).toBe(17);
    expect((await fashionMnist({ folder: clothes })).test.size).toBe(17);
  });

  it('an option that is none', async () => {
    const made = cifar10({ foldr: folder } as object);
    await expect(made).rejects.toMatchObject({ code: 'UNKNOWN_OPTION' });
    await expect(made).rejects.toThrow(/did you mean 'folder'/);
  });

  it('a place without files', async () => {
    vi.stubGlobal('process', undefined);
    const made = cifar10({ folder });
    await made.catch(() => undefined).finally(() => vi.unstubAllGlobals());
    await expect(made).rejects.toMatchObject({ name: 'UnsupportedError', code: 'NO_FILE_SYSTEM' });
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
      files: Object.keys(cifar10Files()),
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
    expect(checksum).toBe((await cifar10({ folder })).checksum);
    const size = served['a.tar.gz'].length;
    expect(seen.at(-1)).toEqual({ file: 'a.tar.gz', received: size, total: size });
    expect((await load()).checksum).toBe(checksum);
    expect(requests).toEqual(['/some/where/a.tar.gz']);
    expect(existsSync(join(folder, 'cache', 'a.tar.gz'))).toBe(false);
  });

  it('single files are downloaded one by one; those that are there stay', async () => {
    const files = gzipped(mnistFiles());
    Object.assign(served, files);
    const source: FileSource = {
      name: 'example',
      folder: 'example',
      files: Object.keys(mnistFiles()),
      downloads: Object.entries(files).map(([name, bytes]) => ({ url: `x:/${name}`, md5: md5(bytes), archive: false })),
    };
    const read: string[][] = [];
    const load = () =>
      loadFiles(source, { mirror }, (found) => {
        read.push(found.map(({ path, bytes }) => `${basename(path)} ${md5(bytes)}`));
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

  it('what is not the official file is refused', async () => {
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
  it('have the names that their sets bear', async () => {
    expect(Object.keys(datasets)).toEqual(['glyphs', 'cifar10', 'cifar100', 'mnist', 'fashion-mnist']);
    write(folder, { ...mnistFiles(), ...cifar10Files() });
    write(folder, { 'train.bin': records(3, () => [0, 0]), 'test.bin': records(1, () => [0, 0]) });
    for (const name of Object.keys(datasets)) {
      const set = await dataset(name, name === 'glyphs' ? { trainSize: 1, testSize: 1 } : { folder });
      expect(set.name).toBe(name);
    }
  });

  it('are refused if unknown, with the nearest that is known', async () => {
    const made = dataset('cifar-10');
    await expect(made).rejects.toMatchObject({ name: 'ConfigurationError', code: 'UNKNOWN_DATASET' });
    await expect(made).rejects.toThrow(/no dataset 'cifar-10'.\n.*did you mean 'cifar10'/);
    await expect(dataset('toString')).rejects.toMatchObject({ code: 'UNKNOWN_DATASET' });
  });
});

it("nothing of Node is imported before a dataset's files are read", () => {
  const seen = new Set<string>();
  const foreign = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = readFileSync(new URL(file, import.meta.url), 'utf8');
    for (const [, name] of text.matchAll(/^(?:import|export) (?!type )[^;]*?from '([^']+)'/gm)) {
      if (name!.startsWith('./')) visit(name!.replace(/\.js$/, '.ts'));
      else foreign.add(name!);
    }
  };
  visit('./index.ts');
  expect(seen.size).toBeGreaterThan(6);
  expect([...foreign].sort()).toEqual([
    '@ghl/core',
    '@noble/hashes/sha2.js',
    '@noble/hashes/utils.js',
    '@tensorflow/tfjs-core',
    '@tensorflow/tfjs-data',
    'seedrandom',
  ]);
});
