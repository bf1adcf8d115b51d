/**
 * Loads the native part of the package in a separate process: a library for another processor or of another version can
 * end its process.
 */
import { execFile } from 'node:child_process';
import type { Refusal } from '@ghl/core/backend';

/** A library that loads. */
export interface LibraryInfo {
  /** Version of TensorFlow. */
  readonly version: string;
  /** The GPU, as TensorFlow names it; undefined if it uses the CPU. */
  readonly gpu: string | undefined;
  /** Why a library for GPUs uses none. */
  readonly withoutGpu: string | undefined;
}

const script = `
const binding = require(process.argv[1]);
process.stdout.write(JSON.stringify({ version: binding.TF_Version, gpu: binding.isUsingGpuDevice() }));
`;

/** The remedy for a library that is missing or broken. */
export const installHelp =
  "run 'npx @ghl/backend-node-gpu install', or the same with --gpu for an NVIDIA GPU; else train on @ghl/backend-wasm.";

/** Loads the library in a child process, for at most two minutes. */
export function probe(binding: string): Promise<LibraryInfo | Refusal> {
  const env = {
    ...process.env,
    NODE_OPTIONS: '',
    TF_CPP_MIN_LOG_LEVEL: '0',
    // By default, it allocates all memory of a GPU, which another process may hold.
    TF_FORCE_GPU_ALLOW_GROWTH: 'true',
  };
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ['-e', script, binding],
      { env, timeout: 120_000, maxBuffer: 2 ** 24 },
      (error, stdout, stderr) => {
        if (error !== null) return resolve(refusalOf(error.signal ?? undefined, error.killed === true, stderr));
        const { version, gpu } = JSON.parse(stdout) as { version: string; gpu: boolean };
        resolve({ version, gpu: gpu ? gpuName(stderr) : undefined, withoutGpu: gpu ? undefined : withoutGpu(stderr) });
      },
    );
  });
}

/** Why the process ended, from its signal and its output. */
export function refusalOf(signal: string | undefined, timedOut: boolean, stderr: string): Refusal {
  const help = installHelp;
  const missing = stderr.match(/Error: (\S+): cannot open shared object file/)?.[1];
  if (missing !== undefined) {
    return {
      supported: false,
      reason: /^lib(cud|cu|nv)/.test(missing)
        ? `CUDA's library ${missing} is missing.`
        : `The native library ${missing} is missing.`,
      help,
    };
  }
  const mismatch = stderr.match(
    /Error: (.*(?:undefined symbol|version `.*' not found|wrong ELF class|invalid ELF header|file too short|not a mach-o|cannot be loaded).*)/i,
  )?.[1];
  if (mismatch !== undefined) {
    return {
      supported: false,
      reason: `The native library is of another version, for another machine, or broken: ${mismatch}.`,
      help,
    };
  }
  if (timedOut) {
    return { supported: false, reason: 'The native library did not load within two minutes.', help };
  }
  if (signal === 'SIGILL') {
    return {
      supported: false,
      reason: 'The processor lacks instructions that this libtensorflow was built for, such as AVX.',
      help: 'train on @ghl/backend-wasm, or link a libtensorflow that was built for this processor.',
    };
  }
  const message = stderr.match(/(?:Error|F): (.*)/)?.[1] ?? stderr.trim().split('\n').at(-1) ?? '';
  return {
    supported: false,
    reason: `The native library does not load${signal === undefined ? '' : `, but ends its process (${signal})`}: ${message || 'it printed nothing'}.`,
    help,
  };
}

/**
 * The device in TensorFlow's line `Created device …/device:GPU:0 with … -> device: 0, name: NVIDIA …, pci bus id: …`.
 */
export function gpuName(log: string): string {
  return log.match(/Created device \S*GPU:\d+ .*?name: ([^,]+),/)?.[1] ?? 'GPU';
}

/** The message of a TensorFlow for CUDA that finds no GPU. */
export function withoutGpu(log: string): string | undefined {
  const message = log.match(
    /(Could not find cuda drivers[^\n]*|Cannot dlopen some GPU libraries[^\n]*|failed call to cuInit[^\n]*|Cannot find working cuda[^\n]*)/i,
  )?.[1];
  return message?.trim().replace(/\.$/, '');
}
