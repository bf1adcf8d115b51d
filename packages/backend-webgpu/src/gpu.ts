/** Where WebGPU comes from: the platform, or in Node the package `webgpu`; and where there is none, why. */
import type { Support } from '@ghl/core';
import { node } from './node.js';

/** A GPU that can be asked for a device. */
export interface GpuPlatform {
  /** What the adapter came from. */
  readonly gpu: GPU;
  readonly adapter: GPUAdapter;
  /** What a browser has as globals, by name; empty where they are there already. */
  readonly globals: Readonly<Record<string, unknown>>;
}

type Refusal = Extract<Support, { readonly supported: false }>;

const otherwise = 'else train on @ghl/backend-wasm.';

/** Asks for the quickest GPU; what is missing and what to do where there is none. Never throws, prints nothing. */
export async function findGpu(): Promise<GpuPlatform | Refusal> {
  try {
    return await (node ? inNode() : inBrowser());
  } catch (cause) {
    return refusal(
      `WebGPU fails here: ${cause instanceof Error ? cause.message : cause}`,
      `update the browser or the package webgpu, and the graphics driver; ${otherwise}`,
    );
  }
}

async function inBrowser(): Promise<GpuPlatform | Refusal> {
  if (globalThis.isSecureContext === false) {
    return refusal(
      `Browsers offer WebGPU to secure pages only, which ${globalThis.location?.origin} is not.`,
      'serve the page over https, or from localhost.',
    );
  }
  const gpu = globalThis.navigator?.gpu as GPU | undefined;
  if (gpu === undefined) {
    return refusal(
      'This browser has no WebGPU.',
      `use a current Chrome, Edge, Firefox or Safari, or switch WebGPU on in its settings; ${otherwise}`,
    );
  }
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) {
    return refusal(
      'This browser has WebGPU, but offers no GPU.',
      `switch hardware acceleration on and update the graphics driver; chrome://gpu says what is missing; ${otherwise}`,
    );
  }
  return { gpu, adapter, globals: {} };
}

/** Made once and never let go of: Dawn still looks after events when it is collected, and the process crashes. */
let dawnGpu: GPU | undefined;

async function inNode(): Promise<GpuPlatform | Refusal> {
  // By a variable, so that no bundler looks for a package that a browser does not need.
  const name = 'webgpu';
  let dawn: typeof import('webgpu');
  try {
    dawn = await import(/* @vite-ignore */ /* webpackIgnore: true */ name);
  } catch (cause) {
    const message = String((cause as Error).message);
    if ((cause as { code?: string }).code === 'ERR_MODULE_NOT_FOUND' && message.includes(`'${name}'`)) {
      return refusal('The package webgpu, which brings WebGPU to Node, is not installed.', 'npm install webgpu@0.6.2');
    }
    return refusal(
      `The package webgpu does not load on ${process.platform} ${process.arch}: ${message.split('\n')[0]}`,
      `it has binaries for macOS, and for Windows and Linux (with glibc) on x64 and arm64; ${otherwise}`,
    );
  }
  const loader = process.platform === 'linux' ? loadFailure('libvulkan.so.1') : undefined;
  if (loader !== undefined) {
    return refusal(
      `There is no Vulkan loader here: ${loader}`,
      'install it and the driver of your GPU (Debian, Ubuntu: libvulkan1, and mesa-vulkan-drivers for AMD and Intel; ' +
        `NVIDIA's driver brings its own); ${otherwise}`,
    );
  }
  dawnGpu ??= dawn.create([]);
  const gpu = dawnGpu;
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) {
    return refusal(
      'The package webgpu finds no GPU here.',
      process.platform === 'linux'
        ? 'install the Vulkan driver of your GPU (AMD, Intel: mesa-vulkan-drivers; NVIDIA: its own, in a container with ' +
            `NVIDIA_DRIVER_CAPABILITIES=all); vulkaninfo --summary says what there is; ${otherwise}`
        : `update the graphics driver; ${otherwise}`,
    );
  }
  return { gpu, adapter, globals: dawn.globals as Record<string, unknown> };
}

function refusal(reason: string, help: string): Refusal {
  return { supported: false, reason, help };
}

/**
 * Why a shared library cannot be loaded, or undefined where it can. Asked before Dawn is, which answers on standard
 * error.
 */
function loadFailure(library: string): string | undefined {
  try {
    process.dlopen({ exports: {} }, library);
    return undefined;
  } catch (cause) {
    const { message } = cause as Error;
    // Node has opened it, found no add-on in it, and closed it again.
    return message.includes('did not self-register') ? undefined : message;
  }
}

/** Runs `make` with what TensorFlow.js asks for when a backend is made: `navigator.gpu`. */
export function withNavigator<T>(gpu: GPU, make: () => T): T {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  if (globalThis.navigator?.gpu !== undefined) return make();
  Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true });
  try {
    return make();
  } finally {
    if (before === undefined) Reflect.deleteProperty(globalThis, 'navigator');
    else Object.defineProperty(globalThis, 'navigator', before);
  }
}

/** Makes globals of those that are missing. Returns what takes them away again. */
export function provideGlobals(globals: Readonly<Record<string, unknown>>): () => void {
  const added = Object.keys(globals).filter((name) => !(name in globalThis));
  for (const name of added) {
    Object.defineProperty(globalThis, name, { value: globals[name], configurable: true, writable: true });
  }
  return () => {
    for (const name of added) Reflect.deleteProperty(globalThis, name);
  };
}
