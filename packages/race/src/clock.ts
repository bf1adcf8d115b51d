/** The time and the event loop of the host, which the caller of the trainer supplies. */
export interface Clock {
  /** Milliseconds since a fixed moment. */
  now(): number;
  /**
   * Resolves after the host has handled its pending events: signals, messages, input. TensorFlow.js on a CPU never
   * waits, so the trainer calls this after every step.
   */
  yieldToEventLoop(): Promise<void>;
}
