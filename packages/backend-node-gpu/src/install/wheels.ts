/**
 * The Python wheels: TensorFlow 2.18.1, the last version that pins NVIDIA's libraries exactly, and these libraries. A
 * wheel is for one version of Python, but its native libraries are not.
 */

/** One wheel. */
export interface Wheel {
  /** Name and version of the project, as arguments of `pip`. */
  readonly requirement: string;
  readonly file: string;
  readonly sha256: string;
  readonly bytes: number;
}

/** The wheels of one libtensorflow. */
export interface Library {
  /** The processor that it computes on. */
  readonly kind: 'cpu' | 'gpu';
  readonly version: string;
  readonly wheels: readonly Wheel[];
  /** The approximate size of the required files, in bytes. */
  readonly unpacked: number;
}

/** The version of Python that the wheels are for, independent of the one that runs `pip`. */
export const python = '3.12';
/** The platform that the wheels are for: Linux on x64 with glibc 2.17 or later. */
export const platform = 'manylinux2014_x86_64';

const version = '2.18.1';
const tag = 'cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64';

const nvidia = (project: string, version: string, sha256: string, bytes: number): Wheel => ({
  requirement: `nvidia-${project}-cu12==${version}`,
  file: `nvidia_${project.replaceAll('-', '_')}_cu12-${version}-py3-none-manylinux2014_x86_64.whl`,
  sha256,
  bytes,
});

/** For the CPU. */
export const cpu: Library = {
  kind: 'cpu',
  version,
  wheels: [
    {
      requirement: `tensorflow-cpu==${version}`,
      file: `tensorflow_cpu-${version}-${tag}.whl`,
      sha256: '8e0f27dbd92c6d380ae0ccfe73c7343f65c127b0aa98467c30c2e71eda7c76a4',
      bytes: 230_350_167,
    },
  ],
  unpacked: 690e6,
};

/**
 * For NVIDIA GPUs: the wheels of `tensorflow[and-cuda]`, except for the compiler of CUDA, random numbers, and
 * communication between GPUs, which the package for Node does not use.
 */
export const gpu: Library = {
  kind: 'gpu',
  version,
  wheels: [
    {
      requirement: `tensorflow==${version}`,
      file: `tensorflow-${version}-${tag}.whl`,
      sha256: '442d2a774811789a8ad948e7286cb950fe3d87d3754e8cc6449d53b03dbfdaa6',
      bytes: 615_623_178,
    },
    nvidia('cublas', '12.5.3.2', 'ca070ad70e9fa6654084575d01bd001f30cc4665e33d4bb9fc8e0f321caa034b', 363_313_169),
    nvidia('cuda-cupti', '12.5.82', 'bde77a5feb66752ec61db2adfe47f56b941842825b4c7e2068aff27c9d107953', 13_811_507),
    nvidia('cuda-nvrtc', '12.5.82', '3dbd97b0104b4bfbc3c4f8c79cd2496307c89c43c29a9f83125f1d76296ff3fd', 24_873_108),
    nvidia('cuda-runtime', '12.5.82', '3e79a060e126df40fd3a068f3f787eb000fa51b251ec6cd97d09579632687115', 895_707),
    nvidia('cudnn', '9.3.0.75', '9ad9c6929ebb5295eb4a1728024666d1c88283373e265a0c5c883e6f9d5cd76d', 577_163_502),
    nvidia('cufft', '11.2.3.61', '9a6e8df162585750f61983a638104a48c756aa13f9f48e19ab079b38e3c828b8', 192_524_114),
    nvidia('cusolver', '11.6.3.83', '93cfafacde4428b71778eeb092ec615a02a3d05404da1bcf91c53e3fa1bce42b', 130_341_232),
    nvidia('cusparse', '12.5.1.3', '016df8e993c437e8301e62739f01775cba988fd5253cd4c64173f8e8d2f8e752', 217_558_979),
    nvidia('nvjitlink', '12.5.82', 'f9b37bc5c8cf7509665cb6ada5aaa0ce65618f2332b7d3e78e9790511f111212', 21_298_879),
  ],
  unpacked: 3.7e9,
};

/** The path of a member of a wheel in the folder of the library, or null if it is not required. */
export function placeOf(member: string): string | null {
  const header = member.match(
    /^tensorflow\/(include\/(?:tensorflow\/c\/|xla\/tsl\/c\/|(?:tensorflow\/core|tsl)\/platform\/ctstring).*\.h)$/,
  );
  if (header !== null) return header[1]!;
  const library = member.match(/^tensorflow\/(libtensorflow_(?:cc|framework)\.so\.2)$/);
  if (library !== null) return `lib/${library[1]}`;
  // TensorFlow loads them from ../nvidia/*/lib, relative to its own folder.
  return /^nvidia\/\w+\/lib\/.*\.so[.\d]*$/.test(member) ? member : null;
}
