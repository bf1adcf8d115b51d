/** Softmax over the last axis, by the module: that of TensorFlow.js, and competition of units at a temperature. */
import { COMPETITION, type CompetitionForm } from '@ghl/core/backend';
import { checkNotEmpty } from '@ghl/core/plugin';
import { Softmax, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { bits } from '../module.js';
import { address } from './heap.js';
import { floatKernel, type KernelCall, kernel } from './kernel.js';

/** As in assembly/softmax.ts. */
const forms: Readonly<Record<CompetitionForm, number>> = { shares: 0, signed: 1, winner: 2 };

const softmax = kernel(Softmax, (call: KernelCall<{ logits: TensorInfo }, object>, stock) => {
  const {
    inputs: { logits },
    backend,
    module,
  } = call;
  if (logits.dtype !== 'float32' || logits.shape.length === 0 || logits.shape.includes(0)) return stock(call);
  const columns = logits.shape.at(-1)!;
  const out = backend.makeOutput(logits.shape, 'float32');
  const rows = util.sizeFromShape(logits.shape) / columns;
  module.run('softmax', [rows, columns, 1, address(backend, logits), address(backend, out), 0, bits(2), forms.shares]);
  return out;
});

const competition = floatKernel(
  COMPETITION,
  ({
    inputs: { x },
    attrs: { temperature, form = 'shares' },
    backend,
    module,
  }: KernelCall<{ x: TensorInfo }, { temperature: number; form?: CompetitionForm }>) => {
    checkNotEmpty(COMPETITION, { x });
    const [rows, columns] = x.shape as [number, number];
    const shares = backend.makeOutput(x.shape, 'float32');
    const overlap = backend.makeOutput([columns], 'float32');
    const [a, b, y] = [x, shares, overlap].map((tensor) => address(backend, tensor));
    const sharpness = bits(Math.min(2 / temperature, 2 ** 127));
    module.run('compete', [rows, columns, 1, a!, b!, y!, sharpness, forms[form]]);
    return [shares, overlap];
  },
);

export const kernels = [softmax, competition];
