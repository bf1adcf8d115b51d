/**
 * How a layer whose behaviour depends on the training step (dropout) learns which step it is: the optimizer that trains
 * the model hands it a counter, so that a resumed run draws what the uninterrupted run would have drawn.
 */

/** The number of updates made so far. */
export interface StepCounter {
  /** 0 during the first step. */
  readonly current: number;
}

/** A layer that wants to know the step. */
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
