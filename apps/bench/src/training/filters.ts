/** The first convolution's kernel, as an event: what a reader can look at. */
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { RunEvent } from '../run-store.js';

/** The kernel of the first layer with a rank-4 one, which sees the images themselves; null if there is none. */
export async function firstFilters(model: LayersModel, step: number): Promise<RunEvent | null> {
  for (const layer of model.layers) {
    const kernel = layer.weights.find(({ shape }) => shape.length === 4);
    if (kernel === undefined) continue;
    const values = Float32Array.from(await kernel.read().data());
    return {
      type: 'filters',
      step,
      layer: layer.name,
      shape: kernel.shape as [number, number, number, number],
      values: Buffer.from(values.buffer).toString('base64'),
    };
  }
  return null;
}
