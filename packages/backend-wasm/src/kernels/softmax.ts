/** Softmax over the last axis, on our own module: TensorFlow.js's, and the competition of units at a temperature. */
import { COMPETITION } from '@ghl/core';
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import { Softmax, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { bits, type KernelModule } from '../module.js';
import { address, type KernelCall, kernel } from './heap.js';

export const softmax = kernel(Softmax, (call: KernelCall<{ logits: TensorInfo }, object>, stock) => {
  const {
    inputs: { logits },
    backend,
    module,
  } = call;
  if (logits.dtype !== 'float32' || logits.shape.length === 0 || logits.shape.includes(0)) return stock(call);
  return run(backend, module, logits, 1);
});

export const competition = kernel(
  COMPETITION,
  ({
    inputs: { x },
    attrs: { temperature },
    backend,
    module,
  }: KernelCall<{ x: TensorInfo }, { temperature: number }>) => run(backend, module, x, temperature),
);

function run(backend: BackendWasm, module: KernelModule, x: TensorInfo, temperature: number): TensorInfo {
  const columns = x.shape.at(-1)!;
  const out = backend.makeOutput(x.shape, 'float32');
  const rows = util.sizeFromShape(x.shape) / columns;
  module.run('softmax', [rows, columns, address(backend, x), address(backend, out), bits(1 / temperature)]);
  return out;
}
