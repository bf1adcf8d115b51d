/** The codes of the errors that only this package throws. */
import type { ConfigurationError, DataError, NonFiniteError } from '@ghl/core';

declare module '@ghl/core' {
  interface ErrorCodes {
    /**
     * A layer produced NaN or an infinite value, which a classifier cannot use.
     *
     * @remarks Look for NaN in the weights and in the examples: training has probably diverged.
     */
    readonly NON_FINITE_ACTIVATION: NonFiniteError;
    /**
     * An evaluation got no examples.
     *
     * @remarks Pass at least one. A dataset that was read to its end needs a new iterator.
     */
    readonly NO_EXAMPLES: DataError;
    /**
     * A linear probe would solve for too many features.
     *
     * @remarks Average over positions with a smaller `pool`, or name a layer with fewer units.
     */
    readonly TOO_MANY_FEATURES: ConfigurationError;
  }
}
