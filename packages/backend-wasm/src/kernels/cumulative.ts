/** Cumulative sums and products, also along negative axes, which other kernels do not support. */
import { Cumprod, Cumsum, type CumsumAttrs, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { type KernelCall, kernel } from './kernel.js';

export const kernels = [Cumprod, Cumsum].map((name) =>
  kernel(name, (call: KernelCall<{ x: TensorInfo }, CumsumAttrs>, stock) => {
    const { inputs, attrs } = call;
    const [axis] = util.parseAxisParam(attrs.axis, inputs.x.shape);
    return stock({ ...call, attrs: { ...attrs, axis } });
  }),
);
