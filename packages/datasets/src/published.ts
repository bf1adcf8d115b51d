/**
 * The data sets that come as files, as their authors published them: names, sizes, checksums, and where to download
 * them.
 */

/** A file to download, with the checksum that its authors publish. */
export interface Download {
  /** Where its authors, or the mirror that common libraries use, keep it. */
  readonly url: string;
  /** MD5, in hex. */
  readonly md5: string;
  /** Whether it is a .tar.gz or .zip whose one folder holds the dataset's files; else it is one of them. */
  readonly archive: boolean;
}

/** A file of a dataset, decompressed. */
export interface PublishedFile {
  readonly name: string;
  /** Size in bytes. */
  readonly bytes: number;
  /** SHA-256, in hex; of CIFAR-100 and EMNIST only the archive's checksum is known. */
  readonly sha256?: string;
  /** SHA-256, in hex, of the published gzip file, if that of its contents is not known. */
  readonly gzipSha256?: string;
}

/** A dataset as files. */
export interface FileSource {
  readonly name: string;
  /** Usual name of its folder. */
  readonly folder: string;
  /** Its files; each may also be there gzipped, with `.gz` after its name. */
  readonly files: readonly PublishedFile[];
  readonly downloads: readonly Download[];
}

/** The checksums of a file of MNIST's kind. */
type Checksums = readonly [md5: string, sha256: string | null, gzipSha256?: string];

/** CIFAR-10, binary version. */
export const CIFAR10: FileSource = {
  name: 'cifar10',
  folder: 'cifar-10-batches-bin',
  files: Object.entries({
    'data_batch_1.bin': 'cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5',
    'data_batch_2.bin': 'a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed',
    'data_batch_3.bin': 'bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67',
    'data_batch_4.bin': '014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48',
    'data_batch_5.bin': '755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add',
    'test_batch.bin': '8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b',
  }).map(([name, sha256]) => ({ name, bytes: 10_000 * 3073, sha256 })),
  downloads: [
    {
      url: 'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz',
      md5: 'c32a1d4ab5d03f1284b67883e8d87530',
      archive: true,
    },
  ],
};

/** CIFAR-100, binary version. */
export const CIFAR100: FileSource = {
  name: 'cifar100',
  folder: 'cifar-100-binary',
  files: [
    { name: 'train.bin', bytes: 50_000 * 3074 },
    { name: 'test.bin', bytes: 10_000 * 3074 },
  ],
  downloads: [
    {
      url: 'https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz',
      md5: '03b5dce01913d631647c71ecec9e9cb8',
      archive: true,
    },
  ],
};

/** MNIST. */
export const MNIST = idx('mnist', 'https://ossci-datasets.s3.amazonaws.com/mnist', [
  ['f68b3c2dcbeaaa9fbdd348bbdeb94873', 'ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db'],
  ['d53e105ee54ea40749a09fcbcd1e9432', '65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5'],
  ['9fb629c4189551a2d022fa330f9573f3', '0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7'],
  ['ec29112dd5afa0611ce80d1b7f02629c', 'ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2'],
]);

/** Fashion-MNIST, whose files have the names, formats and sizes of MNIST's. */
export const FASHION_MNIST = idx('fashion-mnist', 'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com', [
  ['8d4fb7e6c68d591d4c3dfef9ec88bf0d', 'c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888'],
  ['25c81989df183df01b3e8a0aad5dffbe', 'bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9'],
  ['bef4ecab320f06d8554ea6380940ec79', '5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b'],
  ['bb300cfdad3c16e7a12a480ee83cd310', '0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34'],
]);

/** KMNIST, whose files have the names, formats and sizes of MNIST's. TensorFlow Datasets has the SHA-256 of each. */
export const KMNIST = idx('kmnist', 'http://codh.rois.ac.jp/kmnist/dataset/kmnist', [
  ['bdb82020997e1d708af4cf47b453dcf7', null, '51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4'],
  ['e144d726b3acfaa3e44228e80efcd344', null, 'e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17'],
  ['5c965bf0a639b31b8f53240b1b52f4d7', null, 'edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5'],
  ['7320c461ea6c1c855c0b718fb2a4b134', null, '20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c'],
]);

/** A part of EMNIST. */
export type EmnistSplit = 'balanced' | 'letters' | 'digits' | 'mnist' | 'byclass' | 'bymerge';

/** Training and test images of each part of EMNIST. */
export const EMNIST_SIZES: Readonly<Record<EmnistSplit, readonly [number, number]>> = {
  balanced: [112_800, 18_800],
  letters: [124_800, 20_800],
  digits: [240_000, 40_000],
  mnist: [60_000, 10_000],
  byclass: [697_932, 116_323],
  bymerge: [697_932, 116_323],
};

/** One part of EMNIST. All parts are in one archive. */
export function emnistSource(split: EmnistSplit): FileSource {
  const part = (name: 'train' | 'test', count: number) => [
    { name: `emnist-${split}-${name}-images-idx3-ubyte`, bytes: 16 + count * 784 },
    { name: `emnist-${split}-${name}-labels-idx1-ubyte`, bytes: 8 + count },
  ];
  const [train, test] = EMNIST_SIZES[split];
  return {
    name: 'emnist',
    folder: 'emnist',
    files: [...part('train', train), ...part('test', test)],
    downloads: [
      {
        url: 'https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip',
        md5: '58c8d27c78d21e728a6bc7b3cc06412e',
        archive: true,
      },
    ],
  };
}

/** The sets whose files are named in an error if they are where those of another set should be. */
export const PUBLISHED: readonly FileSource[] = [CIFAR10, CIFAR100, MNIST, FASHION_MNIST];

/**
 * @param checksums Of each file: MD5 of the download, which is gzipped; SHA-256 of its contents, or null if only that
 * of the download is known, which follows.
 */
function idx(name: string, server: string, checksums: readonly Checksums[]): FileSource {
  const sizes = {
    'train-images-idx3-ubyte': 16 + 60_000 * 784,
    'train-labels-idx1-ubyte': 8 + 60_000,
    't10k-images-idx3-ubyte': 16 + 10_000 * 784,
    't10k-labels-idx1-ubyte': 8 + 10_000,
  };
  const files = Object.entries(sizes).map(([file, bytes], i) => {
    const [, sha256, gzipSha256] = checksums[i]!;
    return { name: file, bytes, ...(sha256 !== null && { sha256 }), ...(gzipSha256 !== undefined && { gzipSha256 }) };
  });
  return {
    name,
    folder: name,
    files,
    downloads: files.map((file, i) => ({
      url: `${server}/${file.name}.gz`,
      md5: checksums[i]![0],
      archive: false,
    })),
  };
}
