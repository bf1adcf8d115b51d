/** A network that trains in milliseconds on every backend. */
import type { ImageSet } from '@ghl/datasets';
import { batchNorm, dropout } from '@ghl/models';
import * as tfl from '@tensorflow/tfjs-layers';

/** bn1 → conv1 → relu → pool → flatten → dropout → classifier. The activations at `flatten` have 36 numbers. */
export function smallNetwork({ shape, classes }: Pick<ImageSet, 'shape' | 'classes'>): tfl.LayersModel {
  const kernelInitializer = (seed: number) => tfl.initializers.glorotNormal({ seed });
  return tfl.sequential({
    layers: [
      batchNorm({ name: 'bn1', inputShape: [...shape] }),
      tfl.layers.conv2d({
        name: 'conv1',
        filters: 4,
        kernelSize: 5,
        strides: 4,
        useBias: false,
        kernelInitializer: kernelInitializer(1),
      }),
      tfl.layers.activation({ name: 'relu', activation: 'relu' }),
      tfl.layers.maxPooling2d({ name: 'pool', poolSize: 2 }),
      tfl.layers.flatten({ name: 'flatten' }),
      dropout({ name: 'dropout', rate: 0.5, seed: 1 }),
      tfl.layers.dense({
        name: 'classifier',
        units: classes.length,
        activation: 'softmax',
        kernelInitializer: kernelInitializer(2),
      }),
    ],
  });
}
