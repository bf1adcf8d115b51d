/** The package of TensorFlow.js that binds native TensorFlow: where it is, and the parts of it that are used here. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { KernelBackend, Tensor, TensorInfo } from '@tensorflow/tfjs-core';

/** The packages that will do, the one for NVIDIA GPUs first. Both run on a CPU too. */
const packageNames = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const;

/** The version of TensorFlow.js that all of its packages must have. */
export const tfjsVersion = '4.22.0';

/** Where the package looks for its native part: built for Node-API 8, which every Node since 16 has. */
const bindingFile = join('lib', 'napi-v8', 'tfjs_binding.node');

/** One of the packages, as it is installed. */
export interface TfjsNode {
  readonly name: string;
  readonly version: string;
  readonly folder: string;
  /** Its native part, which may be missing. */
  readonly binding: string;
}

/**
 * Finds the package: one whose native part is there, else one that lacks it, else nothing.
 *
 * @param from Files beside which it may be installed.
 */
export function findTfjsNode(from: readonly string[]): TfjsNode | undefined {
  const candidates = packageNames.flatMap((name) => {
    for (const file of from) {
      try {
        const manifest = createRequire(file).resolve(`${name}/package.json`);
        const folder = dirname(manifest);
        const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
        return [{ name, version, folder, binding: join(folder, bindingFile) }];
      } catch {
        // Not beside this file.
      }
    }
    return [];
  });
  return candidates.find(({ binding }) => existsSync(binding)) ?? candidates[0];
}

/** The native functions. */
export interface Binding {
  readonly TF_Version: string;
  readonly TF_FLOAT: number;
  readonly TF_ATTR_TYPE: number;
  /** Tensors that TensorFlow holds. */
  getNumOfTensors(): number;
}

/** What the package registers as the backend `tensorflow`. */
export interface NodeBackend extends KernelBackend {
  readonly binding: Binding;
  readonly isUsingGpuDevice: boolean;
  executeSingleOutput(op: string, attributes: readonly object[], inputs: readonly TensorInfo[]): Tensor;
}
