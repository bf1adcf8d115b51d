/**
 * The constants of the paper's code for each network. Convolutions learn by the recipe's product; every other weight
 * descends its gradient, with the same cosine.
 */
import { unknownName } from '@ghl/core/plugin';
import { networks } from '@ghl/models';

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

/** Constants by network name, as `@ghl/models` has them. */
export const constants: Readonly<Record<string, NetworkConstants>> = Object.fromEntries(
  Object.entries(networks).map(([name, { constants: ours }]) => [
    name,
    {
      temperatures: ours.temperatures,
      convolutionStep: ours.step,
      convolutionDecay: ours.decay,
      restStep: ours.restStep,
    },
  ]),
);

/** @throws ConfigurationError `UNKNOWN_NETWORK`. */
export function constantsOf(network: string): NetworkConstants {
  const found = Object.hasOwn(constants, network) ? constants[network] : undefined;
  if (found === undefined) throw unknownName('network', network, Object.keys(constants));
  return found;
}
