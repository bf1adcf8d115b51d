/** The kernel of the first convolution, as an event for the report. */
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { RunEvent } from './events.js';

/** The kernel of the first layer with a rank-4 kernel, whose input are the images; null if there is none. */
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
      values: base64(new Uint8Array(values.buffer)),
    };
  }
  return null;
}

function base64(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
}
