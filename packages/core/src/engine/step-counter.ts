/**
 * The training step, for layers whose behaviour depends on it, such as dropout. The optimizer that trains the model
 * passes them a counter, so that a resumed run draws the same numbers as an uninterrupted run.
 */

/** The number of updates made so far. */
export interface StepCounter {
  /** 0 during the first step. */
  readonly current: number;
}

/** A layer that depends on the step. */
export interface StepFollower {
  /**
   * Called by the learner with the step's counter before its forward pass, and after it with the one before, or null.
   */
  followStep(counter: StepCounter | null): void;
}

/** Whether `value` is a {@link StepFollower}. */
export function followsStep(value: unknown): value is StepFollower {
  return typeof (value as Partial<StepFollower> | null)?.followStep === 'function';
}
