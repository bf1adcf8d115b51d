/** The gradient of ReLU in TensorFlow's one kernel for it; TensorFlow.js takes seven. */
import type { Kernel } from './kernel.js';

/** ∂x = ∂y where y > 0, else 0, for a NaN too: handing it on would take another pass. Inputs `dy`, `y`. */
export const reluGradient: Kernel = {
  name: 'GhlTensorFlowReluGrad',
  run: ({ inputs: { dy, y }, backend }) =>
    backend.executeSingleOutput(
      'ReluGrad',
      [{ name: 'T', type: backend.binding.TF_ATTR_TYPE, value: backend.binding.TF_FLOAT }],
      [dy!, y!],
    ),
};
