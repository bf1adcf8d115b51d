/** Dropout that draws its mask in the kernel, by a counter-based generator: Threefry-2x32 of 13 rounds. */
import { DROPOUT, type DropoutAttributes } from '@ghl/core/backend';
import { checkNotEmpty } from '@ghl/core/plugin';
import { type TensorInfo, util } from '@tensorflow/tfjs-core';
import { type KernelCall, kernel } from './kernel.js';
import { makeOutput, runPass, workgroupSize } from './pass.js';

/** The rotation of each round, of a word of 32 bits. */
const turns = [13, 15, 26, 6, 17, 29, 16, 24] as const;

const rounds = Array.from({ length: 13 }, (_, r) => {
  const turn = turns[r % 8]!;
  const round = `a += b; b = a ^ ((b << ${turn}u) | (b >> ${32 - turn}u));`;
  const injected = (r + 1) / 4;
  if (!Number.isInteger(injected)) return round;
  return `${round} a += k${injected % 3}; b += k${(injected + 1) % 3} + ${injected}u;`;
});

export const dropout = kernel(
  DROPOUT,
  ({ inputs: { x }, attrs: { key, threshold, scale }, backend }: KernelCall<{ x: TensorInfo }, DropoutAttributes>) => {
    checkNotEmpty(DROPOUT, { x });
    const out = makeOutput(backend, x.shape);
    const size = util.sizeFromShape(x.shape);
    const draws = 4 * Math.ceil(size / 8);
    runPass(backend, {
      name: DROPOUT,
      outputs: { result: { tensor: out } },
      inputs: { x: { tensor: x } },
      integers: { size, draws, key0: key[0] | 0, key1: key[1] | 0, threshold },
      floats: { scale },
      workgroups: Math.ceil(draws / workgroupSize),
      body: `
        let draw = group * ${workgroupSize} + local;
        if (draw >= uniforms.draws) { return; }
        let k0 = bitcast<u32>(uniforms.key0);
        let k1 = bitcast<u32>(uniforms.key1);
        let k2 = 0x1bd11bdau ^ k0 ^ k1;
        var a = u32(draw) + k0;
        var b = k1;
        ${rounds.join('\n')}
        let i = draw / 4 * 8 + draw % 4;
        let threshold = u32(uniforms.threshold);
        if (i < uniforms.size) { result[i] = x[i] * select(0.0, uniforms.scale, (a >> 1) >= threshold); }
        if (i + 4 < uniforms.size) { result[i + 4] = x[i + 4] * select(0.0, uniforms.scale, (b >> 1) >= threshold); }`,
    });
    return out;
  },
);
