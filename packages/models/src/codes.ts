/** The codes of the errors that only this package throws. */
import type { ConfigurationError } from '@ghl/core';

declare module '@ghl/core' {
  interface ErrorCodes {
    /**
     * A layer was built on an input whose last axis has no size.
     *
     * @remarks Give the last axis of the input a size.
     */
    readonly UNKNOWN_CHANNELS: ConfigurationError;
  }
}
