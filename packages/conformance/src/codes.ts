/** The codes of the errors that only this package throws. */
import type {} from '@ghl/core';
import type { ConformanceError } from './case.js';

declare module '@ghl/core' {
  interface ErrorCodes {
    /**
     * A rule or modulator claims a property that it does not have, or hides one that it has.
     *
     * @remarks Correct the claim, or the implementation.
     */
    readonly FALSE_CLAIM: ConformanceError;
    /**
     * A rule or modulator changed an argument, or two equal calls gave different results.
     *
     * @remarks Return new tensors, and draw random numbers from a seed.
     */
    readonly IMPURE: ConformanceError;
    /**
     * A call left more tensors than it found.
     *
     * @remarks Wrap the computation in `tf.tidy()`, or dispose of the tensors.
     */
    readonly LEAK: ConformanceError;
    /**
     * The numbers, shapes or structure of a result differ from the expected ones.
     *
     * @remarks Compare the implementation with the equation that the case names.
     */
    readonly MISMATCH: ConformanceError;
    /**
     * A result holds NaN or an infinite number.
     *
     * @remarks Guard divisions and logarithms.
     */
    readonly NOT_FINITE: ConformanceError;
    /**
     * A plugin reads a signal that it does not declare.
     *
     * @remarks List it in `signals`.
     */
    readonly UNDECLARED_SIGNAL: ConformanceError;
    /**
     * The backend under test cannot run here.
     *
     * @remarks Do what the message says.
     */
    readonly UNSUPPORTED: ConformanceError;
  }
}
