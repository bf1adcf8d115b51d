/** A network in the terms of PyTorch, from which the reference is built. */
import { UnsupportedError } from '@ghl/core';
import type { LayersModel, layers } from '@tensorflow/tfjs-layers';

/** A layer as the reference receives it. */
export type ReferenceLayer = { readonly kind: string; readonly name: string } & Readonly<Record<string, unknown>>;

type Config = Record<string, unknown> & {
  readonly strides: number | [number, number];
  readonly padding: 'same' | 'valid';
  readonly kernelSize: [number, number];
  readonly poolSize: [number, number];
};

/**
 * Describes the layers of a network in terms of PyTorch.
 *
 * @throws UnsupportedError `NO_TWIN`.
 */
export function referenceLayers(model: LayersModel, temperatures: Readonly<Record<string, number>>): ReferenceLayer[] {
  return model.layers.flatMap((layer): ReferenceLayer[] => {
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
        return [{ kind: 'dropout', name, rate: layer.trainable ? config.rate : 0 }];
    }
    throw noTwin(layer, 'such a layer');
  });
}

/** Strides, and the padding for PyTorch, which is the same before and after. */
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
    `The PyTorch reference does not know ${what}: ${layer.name}, ${layer.getClassName()}.`,
    'compare another network, or leave out --against.',
  );
}
