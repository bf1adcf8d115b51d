/**
 * The time of each kernel of the active backend while a body runs. `tf.profile` is unsuitable, because it reads each
 * result back. On a device with time stamps, the time is that of the device. On other devices that only enqueue work,
 * it is the time to enqueue.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { RecipeCandidate } from './candidate.js';

/** Part of a step. */
type Pass = 'forward' | 'backward' | 'update';

/** A row of a profile: all calls of a kernel for one layer in one pass, of an average step. */
export interface ProfileRow {
  /** Null in the row for the time outside of kernels. */
  readonly kernel: string | null;
  readonly layer: string | null;
  readonly pass: Pass | null;
  readonly calls: number;
  readonly ms: number;
  /** Share of the step's time. */
  readonly share: number;
  /** Input and output, in 10⁶ bytes. */
  readonly megabytes: number;
}

/** The time of a candidate's steps by kernel, the longest first. */
export async function profile({ model, step }: RecipeCandidate, steps: number): Promise<ProfileRow[]> {
  let whole = 0;
  const kernels = await timeKernels(model, async () => {
    for (let i = 0; i < steps; i++) whole += (await step(i)).ms;
  });
  const row = (ms: number) => ({ ms: ms / steps, share: ms / whole });
  const inside = kernels.reduce((sum, { ms }) => sum + ms, 0);
  return [
    ...kernels.map(({ kernel, layer, pass, calls, ms, bytes }) => ({
      kernel,
      layer,
      pass,
      calls: calls / steps,
      ...row(ms),
      megabytes: bytes / steps / 1e6,
    })),
    { kernel: null, layer: null, pass: null, calls: 0, ...row(whole - inside), megabytes: 0 },
  ].sort((a, b) => b.ms - a.ms);
}

/** All calls of a kernel for one layer in one pass. */
export interface KernelTime {
  readonly kernel: string;
  /** The layer of the kernel; null if it is unknown, as for the loss. */
  readonly layer: string | null;
  /** `'update'` is the work of rules, modulators and transforms, and the change of the weights. */
  readonly pass: Pass;
  readonly calls: number;
  /** Time without that of kernels that it called. */
  readonly ms: number;
  /** Sizes of the input and output tensors. */
  readonly bytes: number;
}

/**
 * Runs a body and times its kernels. The kernels are restored in all cases.
 *
 * @param model The model that the body trains.
 */
export async function timeKernels(model: LayersModel, body: () => Promise<void>): Promise<KernelTime[]> {
  const backend = tf.getBackend();
  const kernels = tf.getKernelsForBackend(backend);
  const { place, release } = watch(model);
  const clock = stampsItsWork() ? deviceClock : hostClock();
  const groups = new Map<string, Calls>();
  const replace = (kernel: tf.KernelConfig) => {
    tf.unregisterKernel(kernel.kernelName, backend);
    tf.registerKernel(kernel);
  };
  for (const kernel of kernels) {
    const { kernelName, kernelFunc } = kernel;
    const timed: tf.KernelFunc = (call) => {
      const { result, own } = clock(() => kernelFunc(call));
      const tensors = [...Object.values(call.inputs), result].flat().filter((each) => each != null);
      const where = place(tensors.map(({ shape }) => shape));
      const key = [kernelName, where.layer, where.pass].join('\0');
      const { own: times = [], bytes = 0 } = groups.get(key) ?? {};
      const moved = tensors.reduce((sum, { shape, dtype }) => sum + tf.util.sizeFromShape(shape) * size(dtype), 0);
      groups.set(key, { kernel: kernelName, ...where, own: [...times, own], bytes: bytes + moved });
      return result;
    };
    replace({ ...kernel, kernelFunc: timed });
  }
  try {
    await body();
  } finally {
    for (const kernel of kernels) replace(kernel);
    release();
  }
  const times = [...groups.values()].map(async ({ own, ...rest }) => {
    const ms = (await Promise.all(own)).reduce((sum, one) => sum + one, 0);
    return { ...rest, calls: own.length, ms };
  });
  return (await Promise.all(times)).sort((a, b) => b.ms - a.ms);
}

type Calls = Omit<KernelTime, 'calls' | 'ms'> & { readonly own: readonly (number | Promise<number>)[] };

/** Runs a kernel; `own` is its time in ms without that of kernels that it calls. */
type Clock = <T>(kernel: () => T) => { readonly result: T; readonly own: number | Promise<number> };

/** The time until a kernel returns. */
function hostClock(): Clock {
  /** For each running kernel, the ms of the kernels that it called. */
  const inner: number[] = [];
  return (kernel) => {
    inner.push(0);
    const from = performance.now();
    const result = kernel();
    const whole = performance.now() - from;
    const own = whole - (inner.pop() as number);
    if (inner.length > 0) inner[inner.length - 1] = (inner.at(-1) as number) + whole;
    return { result, own };
  };
}

/**
 * The time of the work that a kernel put on the queue of the device. The WebGPU backend counts it apart from inner
 * kernels.
 */
function deviceClock<T>(kernel: () => T): { result: T; own: Promise<number> } {
  let run = (): T => {
    throw new Error('The backend did not run what it was to time.');
  };
  const timed = tf.engine().backend.time(() => {
    try {
      const result = kernel();
      run = () => result;
    } catch (error) {
      run = () => {
        throw error;
      };
    }
  });
  return { result: run(), own: timed.then(({ kernelMs }) => kernelMs as number) };
}

const stampsItsWork = () => (tf.engine().backend as { supportTimestampQuery?: boolean }).supportTimestampQuery === true;

const size = (dtype: tf.DataType) => (dtype === 'string' ? 0 : tf.util.bytesPerElement(dtype));

interface Place {
  readonly layer: string | null;
  readonly pass: Pass;
}

/** The members of a node on the engine's tape that are used here. */
interface Node {
  gradient?: (dys: tf.Tensor[]) => Record<string, () => tf.Tensor>;
}

type Call = { apply: (...values: unknown[]) => unknown };

/**
 * Follows a step: forward kernels belong to the layer that is being applied, backward kernels to the one that put their
 * node on the tape. The work of a rule may happen during either. Shapes identify it: kernel-shaped, or y with all
 * positions in one axis.
 */
function watch(model: LayersModel): {
  place(shapes: readonly (readonly number[])[]): Place;
  release(): void;
} {
  let here: Place | null = null;
  let wentBack = false;
  const inside = <T>(place: Place, body: () => T): T => {
    const outer = here;
    here = place;
    try {
      return body();
    } finally {
      here = outer;
    }
  };
  const tape = () => (tf.engine().state.activeTape ?? []) as Node[];
  const goBack = (node: Node, layer: string) => {
    const { gradient } = node;
    if (gradient === undefined) return;
    const place: Place = { layer, pass: 'backward' };
    node.gradient = (dys) => {
      wentBack = true;
      const lazy = inside(place, () => gradient(dys));
      return Object.fromEntries(Object.entries(lazy).map(([name, compute]) => [name, () => inside(place, compute)]));
    };
  };

  const byKernel = new Map<string, string>();
  const byUnits = new Map<string, string>();
  for (const layer of model.layers) {
    const kernel = layer.trainableWeights.map(({ shape }) => shape as number[]).find((shape) => shape.length >= 2);
    if (kernel !== undefined) byKernel.set(kernel.join(), layer.name);
    const output = layer.outputShape as (number | null)[];
    // For a layer with one position, y with two axes may belong to any layer.
    if (kernel !== undefined && output.length > 2) {
      const positions = output.slice(1, -1).reduce((all: number, axis) => all * (axis ?? 1), 1);
      byUnits.set([positions, output.at(-1)].join(), layer.name);
    }
    const { apply } = layer as unknown as Call;
    (layer as unknown as Call).apply = (...values) =>
      inside({ layer: layer.name, pass: 'forward' }, () => {
        wentBack = false;
        const from = tape().length;
        const result = apply.apply(layer, values);
        for (const node of tape().slice(from)) goBack(node, layer.name);
        return result;
      });
  }
  let batch = 0;
  const release = () => {
    for (const layer of model.layers) delete (layer as unknown as Partial<Call>).apply;
  };
  return {
    release,
    place(shapes) {
      if (here?.pass === 'forward') {
        batch = shapes[0]?.[0] ?? batch;
        return here;
      }
      const unitsOf = ([rows, units]: readonly number[]) => byUnits.get([(rows as number) / batch, units].join());
      const rule = shapes.map((shape) => (shape.length === 2 ? unitsOf(shape) : undefined)).find(Boolean);
      if (rule !== undefined) return { layer: rule, pass: 'update' };
      const owner = shapes.map((shape) => byKernel.get(shape.join())).find(Boolean);
      return {
        layer: owner ?? here?.layer ?? null,
        pass: here?.pass ?? (wentBack ? 'update' : 'forward'),
      };
    },
  };
}
