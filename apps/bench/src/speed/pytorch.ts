/** The PyTorch twin of a network, in a process of its own: says what it is to be, and asks it for one step at a time. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { GhlError, UnsupportedError } from '@ghl/core';
import { constantsOf } from '@ghl/recipes';
import type { LayersModel, layers } from '@tensorflow/tfjs-layers';
import type { Batches } from './batches.js';
import { SCHEDULED_STEPS } from './contender.js';

/** Ways in which the twin trains, and what they are. */
export const WAYS = {
  backprop: 'back-propagation',
  ghlPublished: 'GHL as published: patches unfolded',
  ghlGradient: 'GHL by one filter gradient',
} as const;

/** Name of a way to train. */
export type Way = keyof typeof WAYS;

const script = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'python', 'twin.py');
const INSTALL = 'python3 -m pip install torch numpy';

/** A running twin. */
export class Twin {
  /** Versions of PyTorch and Python. */
  readonly versions: { readonly torch: string; readonly python: string };
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #answers: AsyncIterator<string>;

  private constructor(
    child: ChildProcessByStdio<Writable, Readable, null>,
    answers: AsyncIterator<string>,
    versions: Twin['versions'],
  ) {
    this.#child = child;
    this.#answers = answers;
    this.versions = versions;
  }

  /**
   * Starts Python, as `python3` on the PATH, and waits until PyTorch is loaded.
   *
   * @throws UnsupportedError `NO_PYTHON`, `NO_TORCH`.
   */
  static async start(): Promise<Twin> {
    const child = spawn('python3', [script], { stdio: ['pipe', 'pipe', 'ignore'] });
    child.stdin.on('error', () => {}); // a process that has ended is noticed by its missing answer
    const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const started = once(child, 'spawn').catch((cause) => {
      throw new UnsupportedError('NO_PYTHON', `--against pytorch needs python3, which could not be started: ${cause}`, {
        help: `put Python 3.9 or later on the PATH as python3, then \`${INSTALL}\`.`,
        cause,
      });
    });
    await started;
    const hello = await answerOf(answers);
    if (hello.error === undefined) return new Twin(child, answers, hello as unknown as Twin['versions']);
    throw new UnsupportedError(
      'NO_TORCH',
      `--against pytorch needs PyTorch, which python3 (${hello.python ?? 'of unknown version'}) cannot load: ${hello.message}`,
      { help: `\`${INSTALL}\`, in an environment whose python3 comes first on the PATH.` },
    );
  }

  /**
   * Hands over the network, its weights, the batches and the recipe's constants.
   *
   * @throws UnsupportedError `NO_TWIN` for a layer that the twin does not know.
   */
  async begin(model: LayersModel, network: string, batches: Batches, threads: number): Promise<void> {
    const { temperatures, convolutionStep, convolutionDecay, restStep } = constantsOf(network);
    const twins = twinLayers(model, temperatures);
    const weights: Record<string, number[][]> = {};
    const numbers: Float32Array[] = [];
    for (const layer of model.layers) {
      const own = layer.trainableWeights.filter(() =>
        twins.some(({ kind, name }) => name === layer.name && kind !== 'batchNorm'),
      );
      if (own.length > 0) weights[layer.name] = own.map(({ shape }) => shape as number[]);
      for (const weight of own) numbers.push(Float32Array.from(await weight.read().data()));
    }
    batches.images.forEach((images, i) => {
      numbers.push(images, batches.labels[i] as Float32Array);
    });
    const { size, shape, classes, images } = batches;
    const setting = {
      layers: twins,
      weights,
      shape,
      classes: classes.length,
      batch: size,
      batches: images.length,
      threads,
      steps: SCHEDULED_STEPS,
      convolutionStep,
      convolutionDecay,
      restStep,
    };
    await this.#ask({ do: 'begin', setting }, numbers);
  }

  /** Makes a step on a batch; the time is Python's, without the words that went to and fro. */
  async step(way: Way, batch: number): Promise<{ readonly ms: number; readonly loss: number }> {
    return (await this.#ask({ do: 'step', way, batch })) as { ms: number; loss: number };
  }

  /** GFLOP/s of one product of square matrices. */
  async gemm(side: number): Promise<number> {
    return (await this.#ask({ do: 'gemm', size: side })).gflops as number;
  }

  /** The most memory that its process had, in MiB. */
  async peakMemory(): Promise<number> {
    return (await this.#ask({ do: 'peak' })).mebibytes as number;
  }

  /** The kernels and biases of one way by layer, as TensorFlow.js orders them. */
  async weights(way: Way): Promise<Record<string, Float32Array[]>> {
    const { weights } = (await this.#ask({ do: 'weights', way })) as { weights: Record<string, string[]> };
    return Object.fromEntries(
      Object.entries(weights).map(([layer, values]) => [
        layer,
        values.map((text) => new Float32Array(Uint8Array.from(Buffer.from(text, 'base64')).buffer)),
      ]),
    );
  }

  /** Ends the process. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'close');
    this.#child.stdin.end();
    await ended;
  }

  /** @throws GhlError `TWIN_FAILED` with what Python said. */
  async #ask(request: object, numbers: readonly Float32Array[] = []): Promise<Answer> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    for (const each of numbers) this.#child.stdin.write(new Uint8Array(each.buffer, each.byteOffset, each.byteLength));
    const answer = await answerOf(this.#answers);
    if (answer.error === undefined) return answer;
    throw new GhlError('TWIN_FAILED', `The PyTorch twin failed: ${answer.message}`, {
      help: 'often memory ran out: try a smaller --batch; else leave out --against.',
    });
  }
}

interface Answer {
  readonly error?: string;
  readonly message?: string;
  readonly [name: string]: unknown;
}

async function answerOf(answers: AsyncIterator<string>): Promise<Answer> {
  const { value, done } = await answers.next();
  if (done) return { error: 'ENDED', message: 'python3 ended without an answer.' };
  try {
    return JSON.parse(value);
  } catch {
    return { error: 'GARBLED', message: `python3 said '${value}'.` };
  }
}

/** A layer as the twin is told of it. */
type TwinLayer = { readonly kind: string; readonly name: string } & Readonly<Record<string, unknown>>;

type Config = Record<string, unknown> & {
  readonly strides: number | [number, number];
  readonly padding: 'same' | 'valid';
  readonly kernelSize: [number, number];
  readonly poolSize: [number, number];
};

/**
 * The network in PyTorch's words.
 *
 * @throws UnsupportedError `NO_TWIN`.
 */
function twinLayers(model: LayersModel, temperatures: Readonly<Record<string, number>>): TwinLayer[] {
  return model.layers.flatMap((layer): TwinLayer[] => {
    const { name } = layer;
    const config = layer.getConfig() as Config;
    const input = layer.inboundNodes[0]?.inputShapes[0] as number[];
    const channels = input.at(-1) as number;
    const window = (size: [number, number]) => ({ size, ...placed(layer, input, size, config) });
    switch (layer.getClassName()) {
      case 'InputLayer':
        return [];
      case 'Conv2D':
        if (config.useBias || config.activation !== 'linear') break;
        return [
          {
            kind: 'convolution',
            name,
            inputs: channels,
            units: config.filters,
            temperature: temperatures[name] ?? null,
            ...window(config.kernelSize),
          },
        ];
      case 'Dense':
        if (!config.useBias) break;
        return [{ kind: 'dense', name, inputs: channels, units: config.units }];
      case 'GhlBatchNorm': {
        const { epsilon, momentum, center, scale } = config;
        if (center !== scale) break;
        const spatial = input.length === 4;
        return [
          { kind: 'batchNorm', name, channels, spatial, affine: scale, epsilon, momentum: 1 - (momentum as number) },
        ];
      }
      case 'ReLU':
        return [{ kind: 'relu', name }];
      case 'MaxPooling2D':
        return [{ kind: 'maxPool', name, ...window(config.poolSize) }];
      case 'AveragePooling2D':
        if (config.padding !== 'valid') break;
        return [{ kind: 'averagePool', name, ...window(config.poolSize) }];
      case 'Flatten':
        return [{ kind: 'flatten', name, shape: input.slice(1) }];
      case 'GhlDropout':
        return [{ kind: 'dropout', name, rate: config.rate }];
    }
    throw noTwin(layer, 'such a layer');
  });
}

/** Strides, and the padding that PyTorch has to be told, which is the same before and after. */
function placed(layer: layers.Layer, input: readonly number[], size: readonly number[], { strides, padding }: Config) {
  const stride = typeof strides === 'number' ? [strides, strides] : strides;
  const pads = size.map((extent, axis) => {
    const [length, step] = [input[axis + 1] as number, stride[axis] as number];
    const total = padding === 'valid' ? 0 : Math.max(0, (Math.ceil(length / step) - 1) * step + extent - length);
    if (total % 2 === 1) throw noTwin(layer, 'a padding that differs before and after');
    return total / 2;
  });
  return { stride, padding: pads };
}

function noTwin(layer: layers.Layer, what: string): UnsupportedError {
  return new UnsupportedError(
    'NO_TWIN',
    `The PyTorch twin does not know ${what}: ${layer.name}, ${layer.getClassName()}.`,
    {
      help: 'compare another network, or leave out --against.',
    },
  );
}
