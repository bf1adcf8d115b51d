/** An error with a code when a model is saved to or loaded from a file in Node without tfjs-node. */
import { UnsupportedError } from '@ghl/core';
import * as tf from '@tensorflow/tfjs-core';

const installed = Symbol.for('@ghl/learner codes files in Node');

/**
 * Makes TensorFlow.js throw UnsupportedError `NO_IO_HANDLER` in Node when it saves to or loads from a place that it
 * cannot reach, such as a file without tfjs-node. Its own error says that a fetch failed.
 */
export function codeFileErrors(): void {
  const scope = globalThis as { process?: { versions?: { node?: string } }; [installed]?: true };
  if (scope.process?.versions?.node === undefined || scope[installed]) return;
  scope[installed] = true;
  let asking = false;
  /** Whether no other router, such as that of tfjs-node, has a handler. */
  const alone = (handlersOf: () => readonly unknown[]) => {
    if (asking) return false;
    asking = true;
    try {
      return handlersOf().length === 0;
    } finally {
      asking = false;
    }
  };
  tf.io.registerSaveRouter((url) => {
    if (!alone(() => tf.io.getSaveHandlers(url))) return NONE;
    return {
      save: async () => {
        throw unreachable(`save to '${url}'`, 'model.save(tf.io.withSaveHandler(write))');
      },
    };
  });
  tf.io.registerLoadRouter((url, options) => {
    if (!alone(() => tf.io.getLoadHandlers(url))) return NONE;
    return {
      load: async () => {
        try {
          return (await tf.io.browserHTTPRequest(url as string, options).load?.()) as tf.io.ModelArtifacts;
        } catch (cause) {
          throw unreachable(`load from '${url}'`, 'tf.loadLayersModel(tf.io.fromMemory(artifacts))', cause);
        }
      },
    };
  });
}

/** The result of a router without a handler. tfjs compares with null, which its types omit. */
const NONE = null as unknown as tf.io.IOHandler;

function unreachable(action: string, instead: string, cause?: unknown): UnsupportedError {
  return new UnsupportedError(
    'NO_IO_HANDLER',
    `TensorFlow.js cannot ${action} in Node.`,
    `without tfjs-node it supports http only. Use ${instead}, as in the README of @ghl/learner under "Saving".`,
    cause,
  );
}
