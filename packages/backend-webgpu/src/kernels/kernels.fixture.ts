/** Tensors for tests of kernels, and kernels run by name. */
import { numbers } from '@ghl/conformance/testing';
import * as tf from '@tensorflow/tfjs-core';

export const sizeOf = (shape: readonly number[]) => shape.reduce((n, d) => n * d, 1);

export function tensor(shape: readonly number[], seed: number): tf.Tensor {
  return tf.tensor(numbers(seed, shape), [...shape]);
}

/** Reads all outputs of a kernel, and disposes of them and of the inputs. */
export async function run(
  name: string,
  inputs: Readonly<Record<string, tf.Tensor>>,
  attrs: object,
): Promise<Float32Array[]> {
  const outputs = [tf.engine().runKernel(name, inputs as tf.NamedTensorMap, attrs as never)].flat() as tf.Tensor[];
  const read = await Promise.all(outputs.map((output) => output.data<'float32'>()));
  tf.dispose([...outputs, ...Object.values(inputs)]);
  return read;
}
