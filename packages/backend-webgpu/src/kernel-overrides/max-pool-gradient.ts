/**
 * The gradient of max pooling. ∂y belongs to the first maximum of a window, as on the cpu backend. The stock kernel
 * takes the last one, and a wrong one for infinite values. In a window with a NaN, ∂y belongs to the first value, as on
 * `@ghl/backend-wasm`. The first pass finds the maximum of each window. The second pass sums ∂y over the windows that
 * cover each value.
 */
import type { KernelOverride } from '@ghl/core/backend';
import { checkNotEmpty } from '@ghl/core/plugin';
import { backend_util, MaxPoolGrad, type MaxPoolGradAttrs, type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { KernelCall } from '../kernels/kernel.js';
import { isNan, makeOutput, runPass, workgroupSize } from '../kernels/pass.js';

type Inputs = Readonly<Record<'dy' | 'input' | 'output', TensorInfo>>;

/** Splits the element `i` of a tensor into image `b`, row, column and channel `c`. */
const locate = (row: string, height: string, column: string, width: string) => `
  let i = group * ${workgroupSize} + local;
  if (i >= uniforms.size) { return; }
  let c = i % uniforms.channels;
  let ${column} = i / uniforms.channels % uniforms.${width};
  let ${row} = i / uniforms.channels / uniforms.${width} % uniforms.${height};
  let b = i / uniforms.channels / uniforms.${width} / uniforms.${height};`;

/** The kernel. */
export const maxPoolGradient: KernelOverride = {
  name: MaxPoolGrad,
  create: (stock) => (call) => {
    const { inputs, attrs, backend } = call as unknown as KernelCall<Inputs, MaxPoolGradAttrs>;
    const { dy, input: x } = inputs;
    if (x.dtype !== 'float32' || dy.dtype !== 'float32') return stock!(call);
    checkNotEmpty(MaxPoolGrad, { dy, input: x });
    const { filterSize, strides, pad, dimRoundingMode } = attrs;
    type Shape4D = [number, number, number, number];
    const info = backend_util.computePool2DInfo(x.shape as Shape4D, filterSize, strides, 1, pad, dimRoundingMode);
    const { inHeight, inWidth, inChannels: channels, filterHeight, filterWidth, strideHeight, strideWidth } = info;
    const { top, left } = info.padInfo;
    // The attributes do not contain the rounding.
    const [, outHeight, outWidth] = dy.shape as Shape4D;
    const sizes = { channels, inHeight, inWidth, outHeight, outWidth };
    const window = { filterHeight, filterWidth, strideHeight, strideWidth, top, left };
    const chosen = makeOutput(backend, dy.shape);
    const dx = makeOutput(backend, x.shape);
    const windows = util.sizeFromShape(dy.shape);
    runPass(backend, {
      name: MaxPoolGrad,
      variant: 'choose',
      outputs: { chosen: { tensor: chosen, type: 'i32' } },
      inputs: { x: { tensor: x } },
      integers: { size: windows, ...sizes, ...window },
      workgroups: Math.ceil(windows / workgroupSize),
      declarations: isNan,
      body: `
        ${locate('p', 'outHeight', 'q', 'outWidth')}
        let firstRow = p * uniforms.strideHeight - uniforms.top;
        let firstColumn = q * uniforms.strideWidth - uniforms.left;
        var first = -1;
        var best = -1;
        var greatest = 0.0;
        var lost = false;
        for (var h = max(0, firstRow); h < min(uniforms.inHeight, firstRow + uniforms.filterHeight); h++) {
          for (var w = max(0, firstColumn); w < min(uniforms.inWidth, firstColumn + uniforms.filterWidth); w++) {
            let at = h * uniforms.inWidth + w;
            let value = x[(b * uniforms.inHeight * uniforms.inWidth + at) * uniforms.channels + c];
            lost |= isNan(value);
            if (best < 0 || value > greatest) { best = at; greatest = value; }
            if (first < 0) { first = at; }
          }
        }
        chosen[i] = select(best, first, lost);`,
    });
    const size = util.sizeFromShape(x.shape);
    runPass(backend, {
      name: MaxPoolGrad,
      variant: 'gather',
      outputs: { dx: { tensor: dx } },
      inputs: { dy: { tensor: dy }, chosen: { tensor: chosen, type: 'i32' } },
      integers: { size, ...sizes, ...window },
      workgroups: Math.ceil(size / workgroupSize),
      body: `
        ${locate('h', 'inHeight', 'w', 'inWidth')}
        let lastP = min((h + uniforms.top) / uniforms.strideHeight, uniforms.outHeight - 1);
        let lastQ = min((w + uniforms.left) / uniforms.strideWidth, uniforms.outWidth - 1);
        let firstP = max(0, (h + uniforms.top - uniforms.filterHeight + uniforms.strideHeight) / uniforms.strideHeight);
        let firstQ = max(0, (w + uniforms.left - uniforms.filterWidth + uniforms.strideWidth) / uniforms.strideWidth);
        var sum = 0.0;
        for (var p = firstP; p <= lastP; p++) {
          for (var q = firstQ; q <= lastQ; q++) {
            let window = ((b * uniforms.outHeight + p) * uniforms.outWidth + q) * uniforms.channels + c;
            if (chosen[window] == h * uniforms.inWidth + w) { sum += dy[window]; }
          }
        }
        dx[i] = sum;`,
    });
    backend.disposeData(chosen.dataId);
    return dx;
  },
};
