/** All measurements of several layers, in one pass over the training examples and one over the test examples. */
import { checkOptions, number } from '@ghl/core/plugin';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { type DeadUnits, maxima } from './dead-units.js';
import { type Examples, type Labelled, READ_OPTIONS, type ReadOptions } from './examples.js';
import type { FeatureOptions } from './features.js';
import { activationOf, kernelOf, layerAt, layersOf } from './layers.js';
import { type ProbeResult, probeFit } from './linear-probe.js';
import { feed, type Measure } from './measure.js';
import { type NeighboursResult, neighbourMemory } from './nearest-neighbours.js';
import { patchSearch, type TopPatches } from './top-patches.js';
import { type WeightNorms, weightNorms } from './weight-norms.js';
import { type WinnerEntropy, winners } from './winner-entropy.js';

/** Options of {@link inspect}. */
export interface InspectOptions extends FeatureOptions, ReadOptions {
  /** The examples from which both classifiers are computed. */
  readonly train: Examples;
  /** The examples on which they are tested, and which all other measurements read. */
  readonly test: Examples;
  /** Paths of the layers. Default: those with a kernel. */
  readonly layers?: readonly string[];
  /** Number of units of a convolution whose patches are searched, from unit 0. Default 16. */
  readonly patchUnits?: number;
}

/** The measurements of one layer. */
export interface LayerInspection {
  /**
   * Path of the layer on whose output `dead`, `probe` and `neighbours` are measured: the next layer if it has no
   * weights and keeps the shape, such as a ReLU after a convolution; otherwise the layer itself.
   */
  readonly activation: string;
  /** See {@link weightNorms}; null for a layer without a kernel. */
  readonly norms: WeightNorms | null;
  /** See {@link deadUnits}. */
  readonly dead: DeadUnits;
  /** See {@link winnerEntropy}. */
  readonly winners: WinnerEntropy;
  /** See {@link linearProbe}. */
  readonly probe: ProbeResult;
  /** See {@link nearestNeighbours}. */
  readonly neighbours: NeighboursResult;
  /** See {@link topPatches}; null unless the layer is a convolution. */
  readonly patches: TopPatches | null;
}

/**
 * All measurements of this package for several layers of a model, by the path of the layer. It reads each example once
 * and runs the model once for each, however many layers there are. Classifiers and dead units read the activation after
 * a layer, see {@link LayerInspection.activation}: the mean of a linear output over positions has lost most of it.
 *
 * @throws ConfigurationError `UNKNOWN_LAYER`, `BAD_VALUE`, `TOO_MANY_FEATURES`; UnsupportedError `UNSUPPORTED_LAYER`;
 * DataError `NO_EXAMPLES`; NonFiniteError `NON_FINITE_ACTIVATION`.
 * @example
 * ```ts
 * import { glyphs } from '@ghl/datasets';
 * import { inspect } from '@ghl/evaluation';
 * import { deepHebbSmall } from '@ghl/models';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const data = await glyphs({ trainSize: 20, validationSize: 0, testSize: 10 });
 * const train = data.train.batches({ batchSize: 10, shuffle: false });
 * const test = data.test.batches({ batchSize: 10, shuffle: false });
 * const inspection = await inspect(deepHebbSmall(), { train, test, layers: ['conv1', 'pool1'] });
 * for (const [layer, { norms, probe }] of Object.entries(inspection)) {
 *   console.log(layer, norms?.norms.length, probe.features); // the means of four quadrants for each of eight units
 * }
 * // => conv1 8 32
 * // => pool1 undefined 32
 * ```
 */
export async function inspect(
  model: LayersModel,
  options: InspectOptions,
): Promise<Readonly<Record<string, LayerInspection>>> {
  checkOptions('inspect', options, ['train', 'test', 'layers', 'patchUnits', 'pool', ...READ_OPTIONS]);
  const { train, test, pool } = options;
  const patchUnits = number(16, { least: 1 })('inspect patchUnits', options.patchUnits);
  const paths = options.layers ?? layersOf(model).flatMap((each) => (kernelOf(each) === null ? [] : [each.path]));
  const fits = paths.map((path) => {
    const layer = layerAt(model, path);
    const isConvolution = kernelOf(layer) !== null && layer.layer.outputShape.length === 4;
    const count = (layer.layer.outputShape as number[]).at(-1) as number;
    const units = Array.from({ length: Math.min(count, patchUnits) }, (_, unit) => unit);
    return {
      path,
      activation: activationOf(model, layer).path,
      hasKernel: kernelOf(layer) !== null,
      probe: probeFit({ pool }),
      neighbours: neighbourMemory({ pool }),
      dead: maxima({}),
      winners: winners(),
      patches: isConvolution ? patchSearch(model, path, { units }) : null,
    };
  });
  try {
    const trained = fits.map(({ activation, probe, neighbours }) => [activation, [probe, neighbours]] as const);
    await feed(model, byLayer(trained), 'train', train, options);
    const tested = fits.map(({ probe, neighbours, ...rest }) => ({
      ...rest,
      probe: probe.test(),
      neighbours: neighbours.test(),
    }));
    const measures = tested.flatMap(({ path, activation, probe, neighbours, dead, winners, patches }) => [
      [activation, [probe, neighbours, dead]] as const,
      [path, patches ? [winners, patches] : [winners]] as const,
    ]);
    await feed(model, byLayer(measures), 'test', test, options);
    const entries = tested.map(
      async (own): Promise<[string, LayerInspection]> => [
        own.path,
        {
          activation: own.activation,
          norms: own.hasKernel ? await weightNorms(model, own.path) : null,
          dead: own.dead.result(),
          winners: own.winners.result(),
          probe: own.probe.result(),
          neighbours: own.neighbours.result(),
          patches: own.patches?.result() ?? null,
        },
      ],
    );
    return Object.fromEntries(await Promise.all(entries));
  } finally {
    for (const { probe, neighbours } of fits) {
      probe.dispose();
      neighbours.dispose();
    }
  }
}

type Reader = Pick<Measure<Labelled, unknown>, 'add'>;

/** Measures by layer: two layers may have the same activation. */
function byLayer(entries: readonly (readonly [path: string, measures: readonly Reader[]])[]): Map<string, Reader[]> {
  const map = new Map<string, Reader[]>();
  for (const [path, measures] of entries) map.set(path, [...(map.get(path) ?? []), ...measures]);
  return map;
}
