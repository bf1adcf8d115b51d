/** The codes of the errors that only this package throws. */
import type { ConfigurationError, GhlError, NonFiniteError, StateError } from '@ghl/core';

declare module '@ghl/core' {
  interface ErrorCodes {
    /**
     * A checkpoint of a run was changed or cut short.
     *
     * @remarks Delete the folder of this run to run it again.
     */
    readonly CORRUPT_CHECKPOINT: StateError;
    /**
     * A record of a run is not in the format of this package.
     *
     * @remarks Delete the folder of this run to run it again.
     */
    readonly CORRUPT_RUN: StateError;
    /**
     * The events of a run are shorter than its checkpoint says.
     *
     * @remarks Delete the folder of this run to run it again.
     */
    readonly EVENTS_LOST: StateError;
    /**
     * The loss of a run became NaN or infinite.
     *
     * @remarks Look for NaN or infinite values in the data, and lower the step size.
     */
    readonly NON_FINITE_LOSS: NonFiniteError;
    /**
     * The backend now computes with other kernels than when the run started.
     *
     * @remarks Resume on the original machine, or accept differences by rounding with `--inexact`.
     */
    readonly RESUME_INEXACT: StateError;
    /**
     * The chosen rule and modulator would push every weight of a layer the same way.
     *
     * @remarks Use `--modulator sign`, or another rule.
     */
    readonly SENSELESS_PAIR: ConfigurationError;
    /**
     * A run met an error that is not one of these.
     *
     * @remarks Report it; `GHL_DEBUG=1` shows where it was thrown.
     */
    readonly UNEXPECTED: GhlError;
    /**
     * The name of a loss is unknown.
     *
     * @remarks Use one of the names that the message lists.
     */
    readonly UNKNOWN_LOSS: ConfigurationError;
    /**
     * The name of a modulator is unknown.
     *
     * @remarks Use one of the names that the message lists.
     */
    readonly UNKNOWN_MODULATOR: ConfigurationError;
    /**
     * The name of a recipe is unknown.
     *
     * @remarks Use one of the names that the message lists.
     */
    readonly UNKNOWN_RECIPE: ConfigurationError;
    /**
     * The name of a rule is unknown.
     *
     * @remarks Use one of the names that the message lists.
     */
    readonly UNKNOWN_RULE: ConfigurationError;
  }
}
