/** The whole update of a weight in one kernel, and the choice between the new and the previous weight. */
import { CHOOSE, FUSED_UPDATE } from '@ghl/core/backend';
import type { Operation } from '@ghl/core/plugin';
import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import { bits } from '../module.js';
import { address, share } from './heap.js';
import { floatKernel, type KernelCall, kernel } from './kernel.js';

/** Codes of the operations in assembly/fused-update.ts. */
const codes: readonly Operation[0][] = [
  'eligibility',
  'gradient',
  'one',
  'maxAbs',
  'rms',
  'magnitude',
  'flip',
  'scale',
  'decay',
  'clip',
  'power',
  'bounds',
  'unitMaxAbs',
  'unitRms',
  'normalizeUnits',
  'unitStep',
  'unitNorm',
];

interface FusedUpdateInputs {
  readonly weights: TensorInfo;
  readonly sums?: TensorInfo;
  readonly overlap?: TensorInfo;
  readonly gradient?: TensorInfo;
}

const fusedUpdate = floatKernel(
  FUSED_UPDATE,
  ({
    inputs: { weights, sums, overlap, gradient },
    attrs: { program, units = overlap?.shape[0] ?? 1, nonNegative = false },
    backend,
    module,
  }: KernelCall<FusedUpdateInputs, { program: readonly Operation[]; units?: number; nonNegative?: boolean }>) => {
    const out = backend.makeOutput(weights.shape, 'float32');
    const ok = backend.makeOutput([], 'bool');
    const at = (tensor: TensorInfo | undefined) => (tensor === undefined ? 0 : address(backend, tensor));
    module.run('fusedUpdate', [
      ...[util.sizeFromShape(weights.shape), units],
      ...[at(weights), at(sums), at(overlap), at(gradient), at(out), at(ok)],
      ...[Number(nonNegative), 0, 0, 0, program.length],
      ...program.flatMap(([name, by, and]) => [codes.indexOf(name), bits(by ?? 0), bits(and ?? 0)]),
    ]);
    return [out, ok];
  },
);

/** By reference: the host reads the flag in memory, without waiting and without a copy. */
const choose = kernel(
  CHOOSE,
  ({ inputs: { ok, value, before }, backend }: KernelCall<Record<'ok' | 'value' | 'before', TensorInfo>, object>) =>
    share(backend, backend.typedArrayFromHeap(ok)[0] ? value : before),
);

export const kernels = [fusedUpdate, choose];
