/**
 * The set-up of every unit test. A test fails if it prints unexpected output, or changes the number of tensors. Adds
 * the matcher `toBeAllClose`.
 */
import { beforeEach, expect } from 'vitest';
import failOnConsole from 'vitest-fail-on-console';
import { toBeAllClose } from './all-close.js';

failOnConsole({
  shouldFailOnDebug: true,
  shouldFailOnInfo: true,
  shouldFailOnLog: true,
  // TensorFlow.js's CPU backend recommends tfjs-node, once per process.
  silenceMessage: (message: string) => message.includes('Hi, looks like you are running TensorFlow.js in Node.js'),
});

expect.extend({ toBeAllClose });

/** `tf.memory().numTensors` without an import of TensorFlow.js, which takes time and many tests do not need. */
const numTensors = (): number | undefined =>
  (globalThis as { _tfengine?: { state: { numTensors: number } } })._tfengine?.state.numTensors;

// Tensors of beforeAll are not counted as leaks. onTestFinished runs after every afterEach; the first one registered
// runs last.
beforeEach(({ task, onTestFinished }) => {
  const before = numTensors() ?? 0;
  onTestFinished(() => {
    const leaked = (numTensors() ?? 0) - before;
    if (leaked !== 0 && task.result?.state !== 'fail') {
      throw new Error(
        leaked > 0
          ? `The test leaves ${leaked} tensors more than it found.\nhelp: dispose them, or make them within tf.tidy.`
          : `The test disposed ${-leaked} tensors that were made before it.\nhelp: make in each test what it disposes.`,
      );
    }
  });
});
