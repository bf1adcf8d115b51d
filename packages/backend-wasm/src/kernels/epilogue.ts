/**
 * The epilogue of a fused product or convolution: a bias, then an activation, each by its own kernel.
 */
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import {
  Add,
  Elu,
  type FusedConv2DAttrs,
  LeakyRelu,
  Prelu,
  Relu,
  Relu6,
  Sigmoid,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import { runKernel } from './kernel.js';

/** The optional inputs. */
export interface EpilogueInputs {
  readonly bias?: TensorInfo;
  readonly preluActivationWeights?: TensorInfo;
}

/** Activations whose only input is x. */
const activations = { relu: Relu, relu6: Relu6, elu: Elu, sigmoid: Sigmoid };

/** Returns f(`plain` + bias), and disposes of `plain`. */
export function applyEpilogue(
  {
    inputs: { bias, preluActivationWeights },
    attrs: { activation, leakyreluAlpha },
    backend,
  }: {
    readonly inputs: EpilogueInputs;
    readonly attrs: Pick<FusedConv2DAttrs, 'activation' | 'leakyreluAlpha'>;
    readonly backend: BackendWasm;
  },
  plain: TensorInfo,
): TensorInfo {
  let out = plain;
  const apply = (name: string, inputs: object, attrs?: object) => {
    const next = runKernel(backend, name, inputs, attrs);
    backend.disposeData(out.dataId);
    out = next;
  };
  if (bias !== undefined) apply(Add, { a: out, b: bias });
  if (activation === 'prelu') apply(Prelu, { x: out, alpha: preluActivationWeights });
  else if (activation === 'leakyrelu') apply(LeakyRelu, { x: out }, { alpha: leakyreluAlpha });
  else if (activation !== 'linear') apply(activations[activation], { x: out });
  return out;
}
