/** The installation with shell scripts as `python3` and `c++`, which log their arguments. */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  createWriteStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ZipFile } from 'yazl';
import { install } from './install.js';
import { checkPlatform } from './requirements.js';
import { cpu, gpu, type Library, placeOf } from './wheels.js';

const file = 'tensorflow_cpu-1.0-py3-none-any.whl';
const [native, framework] = ['tensorflow/libtensorflow_cc.so.2', 'tensorflow/libtensorflow_framework.so.2'];
const members = {
  [native]: 'the library',
  [framework]: 'its framework',
  'tensorflow/include/tensorflow/c/c_api.h': 'the header',
  'tensorflow/python/module.py': 'not needed',
};

let home: string;
let project: string;
let index: string;
let library: Library;
const packageFolder = () => join(project, 'node_modules/@tensorflow/tfjs-node');
const cache = () => join(home, 'cache/tensorflow');
const requests = () => readFileSync(join(home, 'asked'), 'utf8').trim().split('\n');
const downloads = () => requests().filter((line) => line.includes('download'));

function program(name: string, script: string): void {
  writeFileSync(join(home, 'bin', name), `#!/bin/sh\necho "${name} $@" >> "${home}/asked"\n${script}\n`);
  chmodSync(join(home, 'bin', name), 0o755);
}

/** Writes a wheel to the index of this `pip`, and sets the library to it. */
async function publish(contents: Readonly<Record<string, string>>): Promise<void> {
  const zip = new ZipFile();
  for (const [name, text] of Object.entries(contents)) zip.addBuffer(Buffer.from(text), name);
  zip.end();
  await pipeline(zip.outputStream, createWriteStream(join(index, file)));
  describeIndex();
}
function describeIndex(): void {
  const bytes = readFileSync(join(index, file));
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const requirement = 'tensorflow-cpu==1.0';
  library = {
    kind: 'cpu',
    version: '1.0',
    unpacked: 100,
    wheels: [{ requirement, file, sha256, bytes: bytes.length }],
  };
}

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'ghl-install-'));
  [project, index] = [join(home, 'project'), join(home, 'index')];
  for (const folder of [join(home, 'bin'), index, packageFolder()]) mkdirSync(folder, { recursive: true });
  writeFileSync(join(packageFolder(), 'package.json'), JSON.stringify({ version: '4.22.0' }));
  vi.stubEnv('GHL_CACHE', join(home, 'cache'));
  vi.stubEnv('CXX', '');
  vi.stubEnv('PATH', `${join(home, 'bin')}${delimiter}/usr/bin${delimiter}/bin`);
  // Copies from the index to the folder after --dest.
  program(
    'python3',
    `case "$*" in
      *--version) echo "pip 23.2.1 from /somewhere" ;;
      *) while [ "$1" != --dest ]; do shift; done; cp "${index}/${file}" "$2" ;;
    esac`,
  );
  program('c++', 'for last; do :; done; [ "$1" = --version ] || echo "no library" > "$last"');
  await publish(members);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true });
});

const say: string[] = [];
/** Installs the library. The binding of this `c++` does not load, so that every installation ends with an error. */
async function untilItLoads(): Promise<void> {
  await expect(install(project, library, (line) => say.push(line))).rejects.toMatchObject({ code: 'BINDING_UNUSABLE' });
}

/** Runs as a user who owns none of the files: file modes do not apply to root. */
async function asAnother<Result>(run: () => Promise<Result>): Promise<Result> {
  if (process.getuid?.() !== 0) return run();
  for (const path of [home, join(home, 'asked')]) chmodSync(path, 0o777);
  process.seteuid?.(65534);
  try {
    return await run();
  } finally {
    process.seteuid?.(0);
  }
}

const folders = () => readdirSync(cache()).filter((name) => name !== 'wheels');

describe.skipIf(process.platform !== 'linux' || process.arch !== 'x64')('install', () => {
  it('downloads a wheel, unpacks the required files, links them, and builds against them', async () => {
    await untilItLoads();
    const [folder] = folders();
    const inside = (path: string) => readFileSync(join(cache(), folder!, path), 'utf8');
    expect(inside('lib/libtensorflow.so')).toBe('the library');
    expect(inside('lib/libtensorflow_framework.so')).toBe('its framework');
    expect(inside('include/tensorflow/c/c_api.h')).toBe('the header');
    expect(readlinkSync(join(packageFolder(), 'deps/lib'))).toBe(join(cache(), folder!, 'lib'));
    expect(readlinkSync(join(packageFolder(), 'deps/include'))).toBe(join(cache(), folder!, 'include'));
    expect(readFileSync(join(packageFolder(), 'lib/napi-v8/tfjs_binding.node'), 'utf8')).toBe('no library\n');
    const [download] = downloads();
    expect(download).toMatch(/-m pip download tensorflow-cpu==1\.0 .*--no-deps .*--platform manylinux2014_x86_64/);
    // This pip has no such option.
    expect(download).not.toContain('--resume-retries');
    const compiled = requests().at(-1)!;
    expect(compiled).toMatch(/-DNAPI_VERSION=8 .*tfjs_backend\.cc .*-ltensorflow .*-Wl,-rpath,\$ORIGIN/);
    expect(existsSync(join(compiled.match(/-I(\S*node-api-headers\S*)/)![1]!, 'node_api.h'))).toBe(true);
    expect(readdirSync(join(cache(), 'wheels'))).toEqual([]);
  });

  it('downloads no wheel that is in the cache, unpacked or not', async () => {
    mkdirSync(join(cache(), 'wheels'), { recursive: true });
    writeFileSync(join(cache(), 'wheels', file), readFileSync(join(index, file)));
    await untilItLoads();
    await untilItLoads();
    expect(requests().filter((line) => line.includes('download'))).toEqual([]);
  });

  it.each(['cut', 'removed'])('downloads and unpacks a library again if a file was %s', async (how) => {
    await untilItLoads();
    const [folder] = folders();
    const damaged = join(cache(), folder!, 'lib/libtensorflow_framework.so.2');
    if (how === 'cut') writeFileSync(damaged, 'its');
    else rmSync(damaged);
    say.length = 0;
    await untilItLoads();
    expect(readFileSync(damaged, 'utf8')).toBe('its framework');
    expect(downloads()).toHaveLength(2);
    expect(say[0]).toBe(`${join(cache(), folder!)} is incomplete: unpacking it again.`);
    expect(folders()).toEqual([folder]);
  });

  it('downloads a truncated wheel again', async () => {
    mkdirSync(join(cache(), 'wheels'), { recursive: true });
    writeFileSync(join(cache(), 'wheels', file), readFileSync(join(index, file)).subarray(0, 100));
    await untilItLoads();
    expect(downloads()).toHaveLength(1);
  });

  it('lets pip resume downloads if it can', async () => {
    const script = readFileSync(join(home, 'bin/python3'), 'utf8').replace('pip 23.2.1', 'pip 25.1');
    writeFileSync(join(home, 'bin/python3'), script);
    await untilItLoads();
    expect(downloads()[0]).toContain('--resume-retries');
  });

  it('rejects a wheel with another checksum, and removes it', async () => {
    const { wheels } = library;
    await publish({ ...members, [native]: 'another library' });
    library = { ...library, wheels };
    await expect(install(project, library, () => {})).rejects.toMatchObject({
      code: 'CHECKSUM_MISMATCH',
      message: expect.stringContaining(wheels[0]!.sha256),
    });
    expect(readdirSync(join(cache(), 'wheels'))).toEqual([]);
    expect(folders()).toEqual([]);
  });

  it('rejects a broken wheel, leaves no incomplete library, and succeeds with a correct wheel', async () => {
    const whole = readFileSync(join(index, file));
    writeFileSync(join(index, file), whole.subarray(0, whole.length - 10));
    describeIndex();
    await expect(install(project, library, () => {})).rejects.toMatchObject({ code: 'BROKEN_WHEEL' });
    expect(folders()).toEqual([]);
    expect(existsSync(join(packageFolder(), 'deps'))).toBe(false);
    writeFileSync(join(index, file), whole);
    describeIndex();
    await untilItLoads();
    expect(folders()).toHaveLength(1);
  });

  it('removes the files of an earlier process that was killed while it unpacked', async () => {
    // No process has a number that high.
    mkdirSync(join(cache(), 'part-99999999/lib'), { recursive: true });
    mkdirSync(join(cache(), `part-${process.ppid}`));
    await untilItLoads();
    expect(folders().filter((name) => name.startsWith('part-'))).toEqual([`part-${process.ppid}`]);
  });

  it('reports the output of pip', async () => {
    program('python3', 'case "$*" in *--version) echo "pip 23.2.1" ;; *) exit 1 ;; esac');
    await expect(install(project, library, () => {})).rejects.toMatchObject({ code: 'DOWNLOAD_FAILED' });
    program('python3', 'case "$*" in *--version) echo "pip 23.2.1" ;; esac');
    await expect(install(project, library, () => {})).rejects.toMatchObject({
      code: 'DOWNLOAD_FAILED',
      message: expect.stringContaining(`there is no ${file}`),
    });
  });

  it('reports the output of the compiler, and keeps the previous binding', async () => {
    program('c++', '[ "$1" = --version ] || { echo "tfjs_backend.cc:1: error: no" >&2; exit 1; }');
    const binding = join(packageFolder(), 'lib/napi-v8/tfjs_binding.node');
    mkdirSync(join(binding, '..'), { recursive: true });
    writeFileSync(binding, 'the one before');
    await expect(install(project, library, () => {})).rejects.toMatchObject({
      code: 'BUILD_FAILED',
      message: expect.stringContaining('tfjs_backend.cc:1: error: no'),
    });
    expect(readFileSync(binding, 'utf8')).toBe('the one before');
  });

  it('names all unmet requirements before any download', async () => {
    rmSync(packageFolder(), { recursive: true });
    vi.stubEnv('PATH', join(home, 'nowhere'));
    const error = await install(project, { ...library, unpacked: 1e18 }, () => {}).catch((each: Error) => each);
    expect(error).toMatchObject({ code: 'REQUIREMENTS_MISSING' });
    for (const absent of ['@tensorflow/tfjs-node', 'python3', 'C++ compiler', '1000000000.0 GB of disk space']) {
      expect((error as Error).message).toContain(absent);
    }
  });

  it('reports a python3 without pip, and a package of another version', async () => {
    program('python3', 'case "$*" in --version) echo "Python 3.12" ;; *) exit 1 ;; esac');
    writeFileSync(join(packageFolder(), 'package.json'), JSON.stringify({ version: '4.20.0' }));
    await expect(install(project, library, () => {})).rejects.toMatchObject({
      message: expect.stringMatching(/there is 4\.20\.0; pip, which 'python3 -m pip' does not find/),
    });
  });

  it.each(['', 'wheels'])('reports an existing cache that is not writable: %s', async (below) => {
    mkdirSync(join(cache(), 'wheels'), { recursive: true });
    chmodSync(join(home, 'cache'), 0o777);
    chmodSync(cache(), 0o777);
    chmodSync(join(cache(), below), 0o555);
    writeFileSync(join(home, 'asked'), '');
    const error = await asAnother(() => install(project, library, () => {}).catch((each: Error) => each));
    chmodSync(join(cache(), below), 0o777);
    expect(error).toMatchObject({ code: 'REQUIREMENTS_MISSING', help: expect.stringContaining('GHL_CACHE') });
    expect((error as Error).message).toMatch(/a cache that can be written: EACCES/);
    expect(downloads()).toEqual([]);
  });

  it.each(['', 'deps', 'deps/lib', 'lib'])('reports a package that is not writable: %s', async (below) => {
    mkdirSync(join(packageFolder(), 'deps/lib'), { recursive: true });
    mkdirSync(join(packageFolder(), 'lib'), { recursive: true });
    for (const each of ['', 'deps', 'deps/lib', 'lib']) chmodSync(join(packageFolder(), each), 0o777);
    chmodSync(join(packageFolder(), below), 0o555);
    writeFileSync(join(home, 'asked'), '');
    const error = await asAnother(() => install(project, library, () => {}).catch((each: Error) => each));
    chmodSync(join(packageFolder(), below), 0o777);
    expect(error).toMatchObject({ code: 'REQUIREMENTS_MISSING', help: expect.stringContaining(packageFolder()) });
    expect((error as Error).message).toMatch(/a @tensorflow\/tfjs-node that can be written to: EACCES/);
    expect(downloads()).toEqual([]);
  });

  it('names the file that cannot be written if only the build finds it', async () => {
    mkdirSync(join(packageFolder(), 'lib/napi-v8/tfjs_binding.node/taken'), { recursive: true });
    await expect(install(project, library, () => {})).rejects.toMatchObject({
      code: 'WRITE_FAILED',
      message: expect.stringContaining('tfjs_binding.node'),
      help: expect.stringContaining(packageFolder()),
    });
  });

  it('reports a cache that cannot be created, without delay', async () => {
    vi.stubEnv('GHL_CACHE', '/proc/ghl/cache');
    await expect(install(project, library, () => {})).rejects.toMatchObject({
      code: 'REQUIREMENTS_MISSING',
      message: expect.stringContaining("ENOENT: no such file or directory, mkdir '/proc/ghl'"),
    });
  });

  it('reports a cache that is not writable', async () => {
    writeFileSync(join(home, 'file'), '');
    vi.stubEnv('GHL_CACHE', join(home, 'file'));
    await expect(install(project, library, () => {})).rejects.toMatchObject({
      code: 'REQUIREMENTS_MISSING',
      message: expect.stringContaining('a cache that can be written'),
    });
    expect(statSync(join(home, 'file')).size).toBe(0);
  });
});

it('rejects systems without wheels', () => {
  expect(() => checkPlatform('linux', 'x64', '2.17')).not.toThrow();
  for (const [system, processor, glibc] of [
    ['darwin', 'arm64', undefined],
    ['win32', 'x64', undefined],
    ['linux', 'arm64', '2.36'],
    ['linux', 'x64', undefined],
    ['linux', 'x64', '2.12'],
  ] as const) {
    expect(() => checkPlatform(system, processor, glibc)).toThrow(
      expect.objectContaining({ code: 'PLATFORM_UNSUPPORTED', help: expect.stringContaining('@ghl/backend-wasm') }),
    );
  }
});

it('extracts the libraries, the headers that the package includes, and the libraries of CUDA', () => {
  expect(placeOf('tensorflow/libtensorflow_cc.so.2')).toBe('lib/libtensorflow_cc.so.2');
  expect(placeOf('tensorflow/include/tsl/platform/ctstring.h')).toBe('include/tsl/platform/ctstring.h');
  expect(placeOf('nvidia/cudnn/lib/libcudnn.so.9')).toBe('nvidia/cudnn/lib/libcudnn.so.9');
  expect(placeOf('tensorflow/include/tensorflow/cc/ops.h')).toBeNull();
  expect(placeOf('nvidia/cudnn/include/cudnn.h')).toBeNull();
  expect(placeOf('../tensorflow/libtensorflow_cc.so.2')).toBeNull();
});

it('pins every wheel once, by a complete checksum', () => {
  const wheels = [...cpu.wheels, ...gpu.wheels];
  for (const { requirement, sha256, file, bytes } of wheels) {
    expect(requirement).toMatch(/^[\w-]+==[\d.]+$/);
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(file).toContain(requirement.split('==')[1]);
    expect(bytes).toBeGreaterThan(1e5);
  }
  expect(new Set(wheels.map(({ sha256 }) => sha256)).size).toBe(wheels.length);
});
