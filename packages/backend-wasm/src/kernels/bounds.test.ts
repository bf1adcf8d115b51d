/**
 * Checks that the kernels of the module stay within their buffers, and that their bits depend neither on the memory
 * around the buffers nor on the number of threads.
 */
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { KernelName } from '../kernel-name.js';
import { type Bare, bareStock, buffers } from '../module.fixture.js';
import { bits, KernelModule } from '../module.js';

const bare: Bare[] = [];
const modules: KernelModule[] = [];
beforeAll(async () => {
  for (const threads of [1, 2, 4]) {
    const memory = bareStock(true);
    bare.push(memory);
    modules.push(await KernelModule.load(memory.stock, { threads, variant: undefined, winograd: true }));
    modules.at(-1)!.reserve(4 << 20); // so that no test moves it
  }
});
afterAll(() => {
  for (const module of modules) module.dispose();
});

type Memory = ReturnType<typeof buffers>;
type Numbers = readonly number[];

/** A call: the sizes of its inputs and outputs in floats, and its arguments as a function of their addresses. */
interface Call {
  readonly kernel: KernelName;
  readonly inputs: Numbers;
  readonly outputs: Numbers;
  arguments(inputs: Numbers, outputs: Numbers): Numbers;
}

function run(module: KernelModule, memory: Memory, call: Call): Float32Array[] {
  const inputs = call.inputs.map(memory.input);
  const outputs = call.outputs.map(memory.output);
  const at = (list: readonly Float32Array[]) => list.map(({ byteOffset }) => byteOffset);
  module.run(call.kernel, call.arguments(at(inputs), at(outputs)));
  memory.check();
  return outputs;
}

/** Sizes near that of a vector, and a few larger than a task. */
const size = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(16383, 16385, 40001));
const upTo = (most: number, least = 1) => fc.integer({ min: least, max: most });
const matrix = fc
  .oneof(
    fc.tuple(upTo(9), upTo(70)),
    fc.tuple(upTo(9), fc.constantFrom(255, 2049, 16391)),
    fc.tuple(upTo(9000), upTo(7)),
  )
  .map(([rows, columns]) => ({ rows, columns }));

const unary = fc.tuple(upTo(7, 0), size).map(
  ([operator, n]): Call => ({
    kernel: 'unary',
    inputs: [n],
    outputs: [n],
    arguments: ([x], [y]) => [operator, n, x!, y!],
  }),
);

const binary = fc.tuple(upTo(7, 0), matrix, upTo(4, 0)).map(([operator, { rows, columns }, layout]): Call => {
  const n = rows * columns;
  // The gradient of ReLU has no broadcasting.
  const [a, b] = [
    [0, 0],
    [0, 1],
    [0, 2],
    [1, 0],
    [2, 0],
  ][operator === 7 ? 0 : layout] as [number, number];
  const length = (way: number) => [n, columns, rows][way]!;
  return {
    kernel: 'binary',
    inputs: [length(a), length(b)],
    outputs: [n],
    arguments: ([x0, x1], [y]) => [operator, n, columns, a, b, x0!, x1!, y!],
  };
});

const selection = size.map(
  (n): Call => ({
    kernel: 'select',
    inputs: [Math.ceil(n / 4), n, n],
    outputs: [n],
    arguments: ([condition, a, b], [y]) => [n, condition!, a!, b!, y!],
  }),
);

const conversion = fc.tuple(size, fc.constantFrom(1, 4)).map(
  ([n, bytes]): Call => ({
    kernel: 'convert',
    inputs: [Math.ceil((n * bytes) / 4)],
    outputs: [n],
    arguments: ([x], [y]) => [n, bytes, x!, y!],
  }),
);

const reduction = fc
  .tuple(fc.constantFrom<KernelName>('sumRows', 'sumColumns', 'sumAll', 'maximumOfAll'), matrix, fc.boolean())
  .map(([kernel, { rows, columns }, product]): Call => {
    const all = kernel === 'sumAll' || kernel === 'maximumOfAll';
    const second = product && kernel === 'sumRows';
    const [r, c] = all ? [1, rows * columns] : [rows, columns];
    return {
      kernel,
      inputs: second ? [r * c, r * c] : [r * c],
      outputs: [all ? 1 : kernel === 'sumRows' ? c : r],
      arguments: ([a, b], [y]) => [r, c, 1, a!, b ?? 0, y!],
    };
  });

const softmax = matrix.map(
  ({ rows, columns }): Call => ({
    kernel: 'softmax',
    inputs: [rows * columns],
    outputs: [rows * columns],
    arguments: ([x], [y]) => [rows, columns, 1, x!, y!, 0, bits(0.5)],
  }),
);

const drop = size.map(
  (n): Call => ({
    kernel: 'dropout',
    inputs: [n],
    outputs: [n],
    arguments: ([x], [y]) => [n, 7, 11, 2 ** 30, bits(2), x!, y!],
  }),
);

const pair = (most: number, least = 1) => fc.tuple(upTo(most, least), upTo(most, least));
const pooling = fc
  .record({
    kernel: fc.constantFrom<KernelName>('maxPool', 'averagePool', 'maxPoolGradient', 'averagePoolGradient'),
    batch: upTo(9),
    input: pair(9),
    channels: fc.oneof(upTo(40), upTo(150, 120)),
    output: pair(7),
    window: pair(5),
    stride: pair(4),
    before: pair(5, 0),
    // Sizes of the input, output, window, stride and padding: often those of an image.
    frames: fc.oneof(fc.constant([1, 1, 1, 1, 0]), fc.tuple(upTo(4), upTo(3), upTo(3), upTo(3), upTo(2, 0))),
  })
  .map(({ kernel, batch, input, channels, output, window, stride, before, frames }): Call => {
    // Any geometry must be safe, although no pool has windows beyond the image.
    const geometry = [batch, ...input, channels, ...output, ...window, ...stride, ...before, ...frames];
    const x = batch * frames[0]! * input[0] * input[1] * channels;
    const y = batch * frames[1]! * output[0] * output[1] * channels;
    switch (kernel) {
      case 'maxPoolGradient':
        return {
          kernel,
          inputs: [x, y, y],
          outputs: [x],
          arguments: ([x0, y0, dy], [dx]) => [...geometry, x0!, y0!, dy!, dx!],
        };
      case 'averagePoolGradient':
        return { kernel, inputs: [y], outputs: [x], arguments: ([dy], [dx]) => [...geometry, 0, 0, dy!, dx!] };
      default:
        return { kernel, inputs: [x], outputs: [y], arguments: ([x0], [y0]) => [...geometry, x0!, y0!, 0, 0] };
    }
  });

it.each([
  ['unary', unary, 80],
  ['binary', binary, 200],
  ['select', selection, 30],
  ['convert', conversion, 30],
  ['reductions', reduction, 120],
  ['softmax', softmax, 50],
  ['dropout', drop, 50],
  ['pooling', pooling, 120],
] as const)('%s', (_, calls, numRuns) => {
  fc.assert(
    fc.property(calls, (call) => {
      const results = modules.map((module, i) => {
        const mark = bare[i]!.mark();
        const memory = buffers(bare[i]!, [Number.NaN, -7, 2 ** 99][i]);
        const outputs = run(module, memory, call).map((output) => new Int32Array(output.slice().buffer));
        bare[i]!.release(mark);
        return outputs;
      });
      const [one, ...others] = results.map((outputs) => outputs.map((output) => output.join()).join(' '));
      for (const other of others) expect(other === one).toBe(true);
    }),
    { numRuns },
  );
});
