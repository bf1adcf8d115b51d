/** The descriptor of a network: a function that builds it, and the training of the paper's code. */
import { ConfigurationError } from '@ghl/core';
import { checkBoolean, checkChoice, checkNumber, checkOptions } from '@ghl/core/plugin';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { checkSeed } from './dropout.js';

/** Options of every network of this package. */
export interface NetworkOptions {
  /** Height, width and channels of an image. Default [32, 32, 3]. */
  readonly inputShape?: readonly [height: number, width: number, channels: number];
  /** Number of classes. Default 10. */
  readonly classes?: number;
  /** Seed of the initial weights and of the dropout masks: any whole number. Default 0. */
  readonly seed?: number;
  /**
   * Activation after each convolution: ReLU, as in the paper's code; Triangle, as in its text and in Deep SoftHebb; or
   * RePU with the powers of Triangle. Default 'relu'.
   */
  readonly activation?: 'relu' | 'triangle' | 'repu';
  /**
   * The border of the image in convolutions that keep its size: zeros, or a reflection, as in Deep SoftHebb. Networks
   * whose convolutions are unpadded are the same with both. Default 'zero'.
   */
  readonly padding?: 'zero' | 'reflect';
  /**
   * Norm of a unit's initial weights in the convolutions, approximately: they are drawn from N(0, radius² / fan-in).
   * Deep SoftHebb has 25. Default √2, which is He's initialisation.
   */
  readonly radius?: number;
  /** Rate of the dropout before the classifier, in [0, 1). Default 0.5. */
  readonly dropout?: number;
  /**
   * Initial weights of the classifier: uniform within ±1 / √fan-in, as in PyTorch; or uniform from 0 to √(300 /
   * fan-in), as in the code of Deep SoftHebb, which has 0.1105 for DeepHebb. Default 'symmetric'.
   */
  readonly classifier?: 'symmetric' | 'positive';
  /**
   * Whether the output is the classifier's net input, for a loss of logits, and not its softmax. The cross-entropy of a
   * softmax has no gradient for an example whose right class has a probability below 1e-7. Default false.
   */
  readonly logits?: boolean;
}

/** The options of a network, checked, with the defaults. A radius of undefined means √2, without its rounding error. */
export interface NetworkSettings extends Required<Omit<NetworkOptions, 'radius'>> {
  readonly radius: number | undefined;
}

/** A function that builds a network. */
export type NetworkBuilder = (options?: NetworkOptions) => LayersModel;

/** The constants of a training: τ, step sizes and weight decay. A recipe of `@ghl/recipes` accepts them as options. */
export interface NetworkConstants {
  /** Temperature τ of each convolution's competition, by layer name: 1/t, t the factor in the paper's code. */
  readonly temperatures: Readonly<Record<string, number>>;
  /** Peak step size of the convolutions. */
  readonly step: number;
  /** Weight decay of the convolutions, coupled to the step size. */
  readonly decay: number;
  /** Peak step size of all other weights, which have no weight decay. */
  readonly restStep: number;
}

/** The number of epochs and the size of a batch. */
export interface Protocol {
  /** Passes over the training images. */
  readonly epochs: number;
  /** Images per step. */
  readonly batch: number;
}

/** Results that others published for a network. */
export interface PublishedResults {
  /** The publication and the tables in it. */
  readonly source: string;
  /** Test accuracy by dataset and recipe. */
  readonly accuracy: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** A network by name, with everything that a comparison needs to know about it. */
export interface Network {
  /** The name on the command line, which is also the name of the network's file. */
  readonly id: string;
  /** Builds the network. */
  readonly build: NetworkBuilder;
  /** How the paper's code trains it. */
  readonly protocol: Protocol;
  /** The constants of that training. */
  readonly constants: NetworkConstants;
  /** Accuracies of that training, if the paper has them. */
  readonly published?: PublishedResults;
}

const VARIANTS = ['activation', 'padding', 'radius', 'dropout', 'classifier', 'logits'];

/**
 * Checks the options of a network and fills in the defaults.
 *
 * @param least Smallest height and width that the layers can process.
 * @throws ConfigurationError `UNKNOWN_OPTION`, `BAD_VALUE`, `INPUT_TOO_SMALL`.
 */
export function checkNetworkOptions(network: string, options: NetworkOptions, least: number): NetworkSettings {
  const image = checkImageOptions(network, options, least, { own: VARIANTS });
  const {
    activation = 'relu',
    padding = 'zero',
    radius,
    dropout = 0.5,
    classifier = 'symmetric',
    logits = false,
  } = options;
  checkChoice(`${network}.activation`, activation, ['relu', 'triangle', 'repu']);
  checkChoice(`${network}.padding`, padding, ['zero', 'reflect']);
  if (radius !== undefined) checkNumber(`${network}.radius`, radius, { above: 0 });
  checkNumber(`${network}.dropout`, dropout, { least: 0, below: 1 });
  checkChoice(`${network}.classifier`, classifier, ['symmetric', 'positive']);
  checkBoolean(`${network}.logits`, logits);
  return { ...image, activation, padding, radius, dropout, classifier, logits };
}

/** The options that every network has. */
export type ImageOptions = Pick<NetworkOptions, 'inputShape' | 'classes' | 'seed'>;

/**
 * Checks the options that every network has and fills in the defaults.
 *
 * @param special Names of the other options of this network, and its usual shape of an image if that is not CIFAR's.
 * @throws As {@link checkNetworkOptions}.
 */
export function checkImageOptions(
  network: string,
  options: ImageOptions,
  least: number,
  special: { readonly own?: readonly string[]; readonly inputShape?: readonly [number, number, number] } = {},
): Required<ImageOptions> {
  checkOptions(network, options, ['inputShape', 'classes', 'seed', ...(special.own ?? [])]);
  const { inputShape = special.inputShape ?? [32, 32, 3], classes = 10, seed = 0 } = options;
  const isSize = (value: unknown) => Number.isSafeInteger(value) && (value as number) > 0;
  if (!Array.isArray(inputShape) || inputShape.length !== 3 || !inputShape.every(isSize)) {
    throw new ConfigurationError(
      'BAD_VALUE',
      `${network}.inputShape is ${JSON.stringify(inputShape)}.`,
      'give [height, width, channels], three whole numbers above 0.',
    );
  }
  if (Math.min(inputShape[0], inputShape[1]) < least) {
    throw new ConfigurationError(
      'INPUT_TOO_SMALL',
      `${network} got images of ${inputShape[0]}×${inputShape[1]}.`,
      `its layers need at least ${least}×${least}.`,
    );
  }
  if (!isSize(classes) || classes < 2) {
    throw new ConfigurationError(
      'BAD_VALUE',
      `${network}.classes is ${String(classes)}.`,
      'give a whole number of at least 2.',
    );
  }
  checkSeed(`${network}.seed`, seed);
  return { inputShape, classes, seed };
}
