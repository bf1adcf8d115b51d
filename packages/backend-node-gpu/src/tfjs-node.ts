/** The package of TensorFlow.js that binds native TensorFlow: its location, and the parts that the adapter uses. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { KernelBackend, Tensor, TensorInfo } from '@tensorflow/tfjs-core';

/** The suitable packages, the one for NVIDIA GPUs first. Both also run on a CPU. */
const packageNames = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const;

/** The required version of all packages of TensorFlow.js. */
export const tfjsVersion = '4.22.0';

/** The path of the native part in the package. It is built for Node-API 8, which every Node since 16 has. */
const bindingFile = join('lib', 'napi-v8', 'tfjs_binding.node');

/** An installed package. */
export interface TfjsNode {
  readonly name: string;
  readonly version: string;
  readonly folder: string;
  /** The path of its native part, which may be missing. */
  readonly binding: string;
}

/**
 * Finds a package, preferably one that has its native part.
 *
 * @param from Files from which Node resolves the package.
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
        // Not installed for this file.
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

/** The backend `tensorflow`, which the package registers. */
export interface NodeBackend extends KernelBackend {
  readonly binding: Binding;
  readonly isUsingGpuDevice: boolean;
  executeSingleOutput(op: string, attributes: readonly object[], inputs: readonly TensorInfo[]): Tensor;
}
