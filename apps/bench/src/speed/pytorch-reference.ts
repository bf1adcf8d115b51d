/**
 * The PyTorch reference of a network, in a separate process. This side sends the network, and requests one step at a
 * time.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { GhlError, UnsupportedError } from '@ghl/core';
import { json, networkOf, toJson } from '@ghl/race';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { Batches } from './batches.js';
import { SCHEDULED_STEPS } from './candidate.js';
import { referenceLayers } from './reference-layers.js';

/** The variants of training in the reference, with descriptions. */
export const VARIANTS = {
  backprop: 'back-propagation',
  ghlPublished: 'GHL as published: patches unfolded',
  ghlGradient: 'GHL by one filter gradient',
} as const;

/** Name of a variant to train. */
export type Variant = keyof typeof VARIANTS;

const script = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'python', 'twin.py');
const INSTALL = 'python3 -m pip install torch numpy';

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** A running reference. */
export class PyTorchReference {
  /** Versions of PyTorch and Python. */
  readonly versions: { readonly torch: string; readonly python: string };
  readonly #child: Child;
  readonly #answers: AsyncIterator<Answer>;

  private constructor(child: Child, answers: AsyncIterator<Answer>, versions: PyTorchReference['versions']) {
    this.#child = child;
    this.#answers = answers;
    this.versions = versions;
  }

  /**
   * Starts Python, as `python3` on the PATH, and waits until PyTorch is loaded.
   *
   * @throws UnsupportedError `NO_PYTHON`, `NO_TORCH`.
   */
  static async start(): Promise<PyTorchReference> {
    const child = spawn('python3', [script], { stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin.on('error', () => {}); // an ended process is detected by its missing answer
    try {
      await once(child, 'spawn');
    } catch (cause) {
      throw new UnsupportedError(
        'NO_PYTHON',
        `--against pytorch needs python3, which could not be started: ${cause}`,
        `put Python 3.9 or later on the PATH as python3, then \`${INSTALL}\`.`,
        cause,
      );
    }
    const answers = answersOf(child);
    const hello = (await answers.next()).value as Answer;
    if (hello.error === undefined)
      return new PyTorchReference(child, answers, hello as unknown as PyTorchReference['versions']);
    throw new UnsupportedError(
      'NO_TORCH',
      `--against pytorch needs PyTorch, which python3 (${hello.python ?? 'of unknown version'}) cannot load: ${hello.message}`,
      `\`${INSTALL}\`, in an environment whose python3 comes first on the PATH.`,
    );
  }

  /**
   * Sends the network, its weights, the batches and the constants of the recipe.
   *
   * @throws UnsupportedError `NO_TWIN` for a layer that the reference does not know.
   */
  async begin(model: LayersModel, network: string, batches: Batches, threads: number): Promise<void> {
    const { temperatures, step, decay, restStep } = networkOf(network).constants;
    const descriptions = referenceLayers(model, temperatures);
    const weights: Record<string, number[][]> = {};
    const numbers: Float32Array[] = [];
    for (const layer of model.layers) {
      const own = layer.trainableWeights.filter(() =>
        descriptions.some(({ kind, name }) => name === layer.name && kind !== 'batchNorm'),
      );
      if (own.length > 0) weights[layer.name] = own.map(({ shape }) => shape as number[]);
      for (const weight of own) numbers.push(Float32Array.from(await weight.read().data()));
    }
    batches.images.forEach((images, i) => {
      numbers.push(images, batches.labels[i] as Float32Array);
    });
    const { size, shape, classes, images } = batches;
    const setting = {
      layers: descriptions,
      weights,
      shape,
      classes: classes.length,
      batch: size,
      batches: images.length,
      threads,
      steps: SCHEDULED_STEPS,
      convolutionStep: step,
      convolutionDecay: decay,
      restStep,
    };
    await this.#ask({ do: 'begin', setting }, numbers);
  }

  /** Makes a step on batch `index`, from 0 and cyclic. The time is measured in Python, without communication. */
  async step(variant: Variant, index: number): Promise<{ readonly ms: number; readonly loss: number }> {
    return (await this.#ask({ do: 'step', way: variant, batch: index })) as { ms: number; loss: number };
  }

  /** Multiplies two matrices of this side and returns the ms that it took. */
  async timeMatMul(side: number): Promise<number> {
    return (await this.#ask({ do: 'matmul', side })).ms as number;
  }

  /** The peak memory of its process, in MiB. */
  async peakMemory(): Promise<number> {
    return (await this.#ask({ do: 'peak' })).mebibytes as number;
  }

  /** The kernels and biases of one variant by layer, as TensorFlow.js orders them. */
  async weights(variant: Variant): Promise<Record<string, Float32Array[]>> {
    const { weights } = (await this.#ask({ do: 'weights', way: variant })) as { weights: Record<string, string[]> };
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

  /** @throws GhlError `TWIN_FAILED` with the message of Python. */
  async #ask(request: object, numbers: readonly Float32Array[] = []): Promise<Answer> {
    this.#child.stdin.write(`${toJson(request)}\n`);
    for (const each of numbers) this.#child.stdin.write(new Uint8Array(each.buffer, each.byteOffset, each.byteLength));
    const answer = (await this.#answers.next()).value as Answer;
    if (answer.error === undefined) return answer;
    throw new GhlError(
      'TWIN_FAILED',
      `The PyTorch reference failed: ${answer.message}`,
      'often memory ran out: try a smaller --batch; else leave out --against.',
    );
  }
}

interface Answer {
  readonly error?: string;
  readonly message?: string;
  readonly [name: string]: unknown;
}

/** The output of a process, line by line; after its end, an error for every request. */
async function* answersOf({ stdout, stderr }: Child): AsyncGenerator<Answer> {
  let output = '';
  stderr.on('data', (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-500);
  });
  for await (const line of createInterface({ input: stdout })) {
    let answer: Answer;
    try {
      answer = json.parse(JSON.parse(line)) as Answer;
    } catch {
      answer = { error: 'GARBLED', message: `python3 said '${line}'.` };
    }
    yield answer;
  }
  for (;;) yield { error: 'ENDED', message: `python3 ended without an answer. ${output}`.trim() };
}
