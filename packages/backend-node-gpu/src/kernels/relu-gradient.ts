/** The gradient of ReLU in one kernel of TensorFlow, in place of the seven of TensorFlow.js. */
import type { Kernel } from './kernel.js';

/** ∂x = ∂y where y > 0, else 0, also where y is NaN: to propagate NaN would take another pass. Inputs `dy`, `y`. */
export const reluGradient: Kernel = {
  name: 'GhlTensorFlowReluGrad',
  run: ({ inputs: { dy, y }, backend }) =>
    backend.executeSingleOutput(
      'ReluGrad',
      [{ name: 'T', type: backend.binding.TF_ATTR_TYPE, value: backend.binding.TF_FLOAT }],
      [dy!, y!],
    ),
};
