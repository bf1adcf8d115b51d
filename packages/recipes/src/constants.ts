/**
 * The constants of the paper's code for each network. Convolutions learn by the recipe's product; every other weight
 * descends its gradient, with the same cosine.
 */
import { unknownName } from '@ghl/core/plugin';

/** One network's constants. τ is 1/t, t the factor that the paper's code multiplies y by before the softmax. */
export interface NetworkConstants {
  /** Temperature τ of each convolution's competition, by layer name. */
  readonly temperatures: Readonly<Record<string, number>>;
  /** Peak step size of the convolutions. */
  readonly convolutionStep: number;
  /** Weight decay of the convolutions, coupled to the step size. */
  readonly convolutionDecay: number;
  /** Peak step size of all other weights, which have no weight decay. */
  readonly restStep: number;
}

const deep = { conv1: 1, conv2: 1 / 0.65, conv3: 4 };
const fast = { conv1: 1, conv2: 1, conv3: 1, conv4: 1 };

/** Constants by network name. Those of the small variants are ours, chosen on the validation part of the glyphs. */
export const constants: Readonly<Record<string, NetworkConstants>> = {
  deephebb: { temperatures: deep, convolutionStep: 1e-2, convolutionDecay: 5e-2, restStep: 5e-3 },
  fasthebb: { temperatures: fast, convolutionStep: 5e-2, convolutionDecay: 1e-2, restStep: 1e-4 },
  'deephebb-small': { temperatures: deep, convolutionStep: 5e-2, convolutionDecay: 1e-2, restStep: 5e-2 },
  'fasthebb-small': { temperatures: fast, convolutionStep: 5e-2, convolutionDecay: 1e-2, restStep: 1e-1 },
};

/** @throws ConfigurationError `UNKNOWN_NETWORK`. */
export function constantsOf(network: string): NetworkConstants {
  const found = Object.hasOwn(constants, network) ? constants[network] : undefined;
  if (found === undefined) throw unknownName('network', network, Object.keys(constants));
  return found;
}
