/** Finds WebGPU: in a browser, or in Node through the package `webgpu`. */
import type { Support } from '@ghl/core';
import { node } from './node.js';

/** A GPU that provides a device. */
export interface GpuPlatform {
  /** The entry point of WebGPU that returned the adapter. */
  readonly gpu: GPU;
  readonly adapter: GPUAdapter;
  /** The globals that a browser has, by name; empty in a browser. */
  readonly globals: Readonly<Record<string, unknown>>;
}

type Refusal = Extract<Support, { readonly supported: false }>;

const otherwise = 'else train on @ghl/backend-wasm.';

/** Finds the fastest GPU, or the reason and the remedy. Never throws, and prints nothing. */
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
      `Browsers offer WebGPU to secure pages only; ${globalThis.location?.origin} is not secure.`,
      'serve the page over https, or from localhost.',
    );
  }
  const gpu = globalThis.navigator?.gpu as GPU | undefined;
  if (gpu === undefined) {
    return refusal(
      'This browser has no WebGPU.',
      `use a current Chrome, Edge, Firefox or Safari, or enable WebGPU in its settings; ${otherwise}`,
    );
  }
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) {
    return refusal(
      'This browser has WebGPU, but offers no GPU.',
      `enable hardware acceleration and update the graphics driver; chrome://gpu shows the missing part; ${otherwise}`,
    );
  }
  return { gpu, adapter, globals: {} };
}

/** Created once and never released: Dawn processes events after its garbage collection, and the process crashes. */
let dawnGpu: GPU | undefined;

async function inNode(): Promise<GpuPlatform | Refusal> {
  // A variable, so that bundlers do not search for a package that browsers do not need.
  const name = 'webgpu';
  let dawn: typeof import('webgpu');
  try {
    dawn = await import(/* @vite-ignore */ /* webpackIgnore: true */ name);
  } catch (cause) {
    const message = String((cause as Error).message);
    if ((cause as { code?: string }).code === 'ERR_MODULE_NOT_FOUND' && message.includes(`'${name}'`)) {
      return refusal('The package webgpu, the WebGPU for Node, is not installed.', 'npm install webgpu@0.6.2');
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
            `NVIDIA_DRIVER_CAPABILITIES=all); vulkaninfo --summary lists the GPUs; ${otherwise}`
        : `update the graphics driver; ${otherwise}`,
    );
  }
  return { gpu, adapter, globals: dawn.globals as Record<string, unknown> };
}

function refusal(reason: string, help: string): Refusal {
  return { supported: false, reason, help };
}

/**
 * The reason that a shared library does not load, or undefined if it does. This check precedes Dawn, which prints to
 * standard error.
 */
function loadFailure(library: string): string | undefined {
  try {
    process.dlopen({ exports: {} }, library);
    return undefined;
  } catch (cause) {
    const { message } = cause as Error;
    // Node opened the library, found no add-on in it, and closed it.
    return message.includes('did not self-register') ? undefined : message;
  }
}

/** Runs `make` with `navigator.gpu`, which TensorFlow.js reads when it creates a backend. */
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

/** Adds the globals that are missing. Returns a function that removes them. */
export function provideGlobals(globals: Readonly<Record<string, unknown>>): () => void {
  const added = Object.keys(globals).filter((name) => !(name in globalThis));
  for (const name of added) {
    Object.defineProperty(globalThis, name, { value: globals[name], configurable: true, writable: true });
  }
  return () => {
    for (const name of added) Reflect.deleteProperty(globalThis, name);
  };
}
