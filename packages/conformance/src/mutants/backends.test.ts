/** Backends with deliberate faults: each fails the cases in `fails`, and passes all others. */

import { type BackendAdapter, UnsupportedError } from '@ghl/core';
import { MathBackendCPU } from '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, it } from 'vitest';
import { type BackendClaims, backendCases, ConformanceError, failures } from '../index.js';

type Inputs = Record<string, tf.TensorInfo>;
type Attributes = Record<string, unknown>;

/** A change of a kernel of the CPU backend: of its result, or of its arguments. */
interface Change {
  result?(values: Float32Array, shape: readonly number[], inputs: Inputs): void;
  attributes?(attributes: Attributes): Attributes;
}

const NAME = 'mutant';

/** The CPU backend under another name, with some of its kernels changed. */
function adapter(changes: Readonly<Record<string, Change>>, own: Partial<BackendAdapter> = {}): BackendAdapter {
  return {
    name: NAME,
    isSupported: async () => ({ supported: true }),
    activate: async () => {
      if (tf.findBackendFactory(NAME) === null) {
        tf.registerBackend(NAME, () => new MathBackendCPU());
        tf.copyRegisteredKernels('cpu', NAME);
        for (const [kernelName, change] of Object.entries(changes)) replaceKernel(kernelName, change);
      }
      await tf.setBackend(NAME);
      return { name: NAME, versions: {}, kernels: Object.keys(changes) };
    },
    deactivate: async () => remove(),
    ...own,
  };
}

function replaceKernel(kernelName: string, { result, attributes = (same) => same }: Change): void {
  const sound = tf.getKernel(kernelName, 'cpu').kernelFunc;
  tf.unregisterKernel(kernelName, NAME);
  tf.registerKernel({
    kernelName,
    backendName: NAME,
    kernelFunc: (call) => {
      const { backend, inputs, attrs } = call as unknown as {
        backend: MathBackendCPU;
        inputs: Inputs;
        attrs: Attributes;
      };
      const output = sound({ ...call, attrs: attributes({ ...attrs }) as tf.NamedAttrMap }) as tf.TensorInfo;
      result?.(backend.data.get(output.dataId).values as Float32Array, output.shape, inputs);
      return output;
    },
  });
}

function remove(): void {
  if (tf.findBackendFactory(NAME) === null) return;
  for (const { kernelName } of tf.getKernelsForBackend(NAME)) tf.unregisterKernel(kernelName, NAME);
  tf.removeBackend(NAME);
}

afterEach(async () => {
  remove();
  await tf.setBackend('cpu');
});

/** Kernel taps in reverse order. */
function reverseTaps(values: Float32Array, [height, width, ...rest]: readonly number[]): void {
  const each = rest.reduce((product, size) => product * size, 1);
  const taps = Array.from({ length: (height as number) * (width as number) }, (_, tap) =>
    values.slice(tap * each, (tap + 1) * each),
  );
  for (const [i, tap] of taps.reverse().entries()) values.set(tap, i * each);
}

const conv = (map: string) => ['conv1d', 'conv2d'].map((kind) => `${kind}-${map}`);
const map = (change: (value: number, i: number) => number) => (values: Float32Array) => {
  for (const [i, value] of values.entries()) values[i] = change(value, i);
};
const all = (except: readonly string[] = []) =>
  backendCases(adapter({}))
    .map(({ id }) => id)
    .filter((id) => !except.includes(id));

let calls = 0;
function unsteady(values: Float32Array): void {
  calls++;
  map((value) => value * (1 + (calls % 7) * 2 ** -23))(values);
}

interface Mutant {
  readonly name: string;
  readonly fails: readonly string[];
  readonly changes?: Readonly<Record<string, Change>>;
  readonly own?: Partial<BackendAdapter>;
  readonly claims?: BackendClaims;
}

const mutants: Mutant[] = [
  {
    name: 'transposed correlate',
    fails: [...conv('correlate'), 'reactivate'],
    changes: { Conv2DBackpropFilter: { result: reverseTaps } },
  },
  {
    name: 'transposed depthwise correlate',
    fails: ['depthwise-correlate'],
    changes: { DepthwiseConv2dNativeBackpropFilter: { result: reverseTaps } },
  },
  {
    name: 'shared pass that finds nothing',
    fails: ['shared-correlate'],
    // Twice the channels of any layer of the grid: the shared pass alone has them.
    changes: {
      Conv2DBackpropFilter: {
        result: (values, shape) => {
          if ((shape[3] as number) === 48) values.fill(0);
        },
      },
    },
  },
  {
    name: 'strides in the wrong order',
    fails: ['conv2d-forward'],
    changes: {
      Conv2D: {
        attributes: (attributes) => {
          const [height, width] = attributes.strides as [number, number];
          return height > width ? { ...attributes, strides: [width, height] } : attributes;
        },
      },
    },
  },
  {
    name: 'forward negated on images one row high',
    fails: ['conv1d-forward'],
    changes: {
      Conv2D: {
        result: (values, [, height], { x }) => {
          if (height === 1 && x?.shape[1] === 1) map((value) => -value)(values);
        },
      },
    },
  },
  {
    name: 'backward of a filter that is not turned',
    fails: conv('backward'),
    changes: {
      Conv2DBackpropInput: {
        result: (values, shape) => reverseTaps(values, (shape as number[]).slice(1)),
      },
    },
  },
  {
    name: 'depthwise channels swapped',
    fails: ['depthwise-forward'],
    changes: { DepthwiseConv2dNative: { result: (values) => values.reverse() } },
  },
  {
    name: 'depthwise backward of the sign',
    fails: ['depthwise-backward'],
    changes: { DepthwiseConv2dNativeBackpropInput: { result: map((value) => -value) } },
  },
  {
    name: 'half the precision in products of matrices',
    fails: ['dense-forward', 'dense-correlate', 'dense-backward', 'elementwise'],
    changes: { BatchMatMul: { result: map((value) => value * (1 + 2 ** -11)) } },
  },
  { name: 'sign of 0 is 1', fails: ['sign'], changes: { Sign: { result: map((value) => value || 1) } } },
  {
    name: 'smallest numbers flushed to 0',
    fails: ['sign'],
    changes: {
      Sign: {
        result: (values, _, inputs) => {
          const { x } = inputs as { x: tf.Tensor };
          const numbers = x.dataSync();
          for (const [i, value] of numbers.entries()) if (Math.abs(value) < 1e-20) values[i] = 0;
        },
      },
    },
  },
  {
    name: 'softmax that overflows',
    fails: ['softmax', 'competition'],
    changes: {
      Softmax: {
        result: (values, _, { logits }) => {
          const numbers = (logits as tf.Tensor).dataSync();
          for (const [i, value] of numbers.entries()) if (Math.exp(value) > 3e38) values[i] = Number.NaN;
        },
      },
    },
  },
  {
    name: 'the last of equal numbers as the largest',
    fails: ['competition', 'winners'],
    changes: {
      ArgMax: {
        result: (values, _, { x }) => {
          const numbers = (x as tf.Tensor).dataSync();
          const columns = numbers.length / values.length;
          for (let row = 0; row < values.length; row++) {
            const of = numbers.slice(row * columns, (row + 1) * columns);
            values[row] = of.lastIndexOf(Math.max(...of));
          }
        },
      },
    },
  },
  {
    name: 'ReLU that rectifies nothing',
    fails: ['elementwise'],
    changes: { Relu: { result: map((value) => value - 1) } },
  },
  {
    name: 'sums in any order',
    fails: ['deterministic'],
    changes: { Conv2D: { result: unsteady } },
  },
  {
    name: 'sums in any order, as claimed',
    fails: [],
    changes: { Conv2D: { result: unsteady } },
    claims: { deterministic: false },
  },
  {
    name: 'buffer kept',
    fails: ['memory'],
    changes: {
      Conv2D: {
        result: () => {
          (tf.engine().backend as MathBackendCPU).write(new Float32Array(4), [4], 'float32');
        },
      },
    },
  },
  {
    name: 'another name than the backend has',
    fails: ['activate-idempotent', 'reactivate'],
    own: {
      activate: async () => {
        await adapter({}).activate();
        return { name: 'other', versions: {}, kernels: [] };
      },
    },
  },
  {
    name: 'a new backend at every activation',
    fails: ['activate-idempotent'],
    own: {
      activate: async () => {
        remove();
        tf.registerBackend(NAME, () => new MortalBackend());
        tf.copyRegisteredKernels('cpu', NAME);
        await tf.setBackend(NAME);
        return { name: NAME, versions: {}, kernels: [] };
      },
    },
  },
];

/** A backend whose tensors are lost with it, like those of a device. */
class MortalBackend extends MathBackendCPU {
  private gone = false;

  override dispose(): void {
    this.gone = true;
  }

  override async read(dataId: object): Promise<tf.BackendValues> {
    if (this.gone) throw new Error('The device is lost.');
    return super.read(dataId);
  }
}

it('passes every case with the CPU backend under another name', async () => {
  expect(await failures(backendCases(adapter({})))).toEqual([]);
});

describe('a mutant of a backend', () => {
  it.each(mutants)('fails $fails: $name', async ({ fails, changes = {}, own, claims }) => {
    const failed = await failures(backendCases(adapter(changes, own), claims));
    expect(failed.map(({ id }) => id)).toEqual(fails);
  });

  it('exists for every case', () => {
    // The next suite tests isSupported().
    const ids = all(['is-supported']);
    expect(ids.filter((id) => !mutants.some(({ fails }) => fails.includes(id)))).toEqual([]);
  });
});

describe('a backend that does not run here', () => {
  const help = 'Use a machine with a GPU.';
  const refuse = async () => {
    throw new UnsupportedError('WEBGPU_UNSUPPORTED', 'There is no GPU.', help);
  };
  const codes = async (own: Partial<BackendAdapter>) =>
    Object.fromEntries(
      (await failures(backendCases(adapter({}, own)))).map(({ id, error }) => [
        id,
        error instanceof ConformanceError ? error.code : String(error),
      ]),
    );
  const everywhere = (code: string, except: readonly string[] = []) =>
    Object.fromEntries(all(except).map((id) => [id, code]));
  const others = everywhere('UNSUPPORTED', ['is-supported']);

  it('may report that, with reason and help', async () => {
    const isSupported = async () => ({ supported: false, reason: 'There is no GPU.', help }) as const;
    expect(await codes({ isSupported, activate: refuse })).toEqual(others);
  });

  it('fails without help', async () => {
    const isSupported = async () => ({ supported: false, reason: 'There is no GPU.', help: '' }) as const;
    expect(await codes({ isSupported, activate: refuse })).toEqual({ 'is-supported': 'MISMATCH', ...others });
  });

  it('fails if it activates', async () => {
    const isSupported = async () => ({ supported: false, reason: 'There is no GPU.', help }) as const;
    expect(await codes({ isSupported })).toEqual({ 'is-supported': 'MISMATCH', ...others });
  });

  it('fails if isSupported() throws', async () => {
    expect(await codes({ isSupported: () => Promise.reject(new Error('no GPU')) })).toEqual(
      everywhere('Error: no GPU'),
    );
  });
});
