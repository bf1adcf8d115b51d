/** The step counter of step-dependent layers, such as a dropout whose mask must be the same after a resume. */
import { followsStep, type StepCounter, type StepFollower } from '@ghl/core/engine';
import type { Plan } from './assignment.js';

const counters = new WeakMap<StepFollower, StepCounter>();

/** Sets the step of step-dependent layers while `body` runs, then restores it. */
export function withStep<T>(plan: Plan, step: number, body: () => T): T {
  const followers = plan.layers.map(({ layer }): unknown => layer).filter(followsStep);
  const before = followers.map((follower) => counters.get(follower));
  const follow = (follower: StepFollower, counter: StepCounter | undefined) => {
    if (counter === undefined) counters.delete(follower);
    else counters.set(follower, counter);
    follower.followStep(counter ?? null);
  };
  try {
    for (const follower of followers) follow(follower, { current: step });
    return body();
  } finally {
    followers.forEach((follower, i) => {
      follow(follower, before[i]);
    });
  }
}
