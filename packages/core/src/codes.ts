/** The codes of the errors that more than one package throws, and those of this one. */
import type { ConfigurationError, DataError, SignalError, StateError, UnsupportedError } from './errors.js';

/**
 * Every code of the library with the class of its error: the cause, and the remedy as a remark. Each package adds
 * its own by declaration merging, and so can a plugin:
 * `declare module '@ghl/core' { interface ErrorCodes { MY_CODE: DataError } }`.
 */
export interface ErrorCodes {
  /**
   * `activate()` got other options than those that the backend runs with.
   *
   * @remarks Call `deactivate()` first. Tensors that live on the backend are lost.
   */
  readonly ALREADY_ACTIVE: ConfigurationError;
  /**
   * A tensor was read after `deactivate()` of its backend.
   *
   * @remarks Read tensors before `deactivate()`, or create them again.
   */
  readonly BACKEND_GONE: StateError;
  /**
   * A command got arguments that it does not take, or that do not go together.
   *
   * @remarks Run the command with `--help`.
   */
  readonly BAD_ARGUMENTS: ConfigurationError;
  /**
   * A value is not the `spec` of a rule, modulator or product.
   *
   * @remarks Pass the `spec` of a product, or its JSON: `{ name, args }`.
   */
  readonly BAD_SPEC: ConfigurationError;
  /**
   * An option or argument is outside its range or of the wrong type.
   *
   * @remarks Use a value within the range that the message names.
   */
  readonly BAD_VALUE: ConfigurationError;
  /**
   * A downloaded file, or one in a folder, is not the published one: it is damaged, or of another data set in the same
   * format, such as KMNIST.
   *
   * @remarks Fetch it again, use another mirror, or pass a folder that has the files. To read other files on purpose,
   * pass `verify: false`.
   */
  readonly CHECKSUM_MISMATCH: DataError;
  /**
   * A transform follows a constraint of the weights, such as `unitNorm`, that it could undo.
   *
   * @remarks Put `bounds`, `dale` and `keepZeros` after all other transforms and after a `sum`, and `unitNorm` at the
   * end.
   */
  readonly CONSTRAINT_ORDER: ConfigurationError;
  /**
   * The bytes passed to `loadState()` are not a saved state.
   *
   * @remarks Pass the bytes that `saveState()` returned, unchanged.
   */
  readonly CORRUPT_STATE: StateError;
  /**
   * A folder does not exist, or has no files of the data set.
   *
   * @remarks Pass the folder that has the files or its parent, or omit it to download the data set.
   */
  readonly DATA_NOT_FOUND: DataError;
  /**
   * A download failed or broke off.
   *
   * @remarks Check the network and try again, or pass a folder that has the files.
   */
  readonly DOWNLOAD_FAILED: DataError;
  /**
   * A kernel, a layer that learns or a signal got a tensor without values: a batch of no examples.
   *
   * @remarks Drop empty batches before training on them.
   */
  readonly EMPTY_TENSOR: DataError;
  /**
   * A signal has one number or row per example, but a layer was called with another number of examples.
   *
   * @remarks Pass one number or row per example of the batch, or use `per: 'batch'`.
   */
  readonly EXAMPLE_COUNT: SignalError;
  /**
   * An image is smaller than the network or the window needs.
   *
   * @remarks Use larger images, a smaller window, or padding `'same'`.
   */
  readonly INPUT_TOO_SMALL: ConfigurationError | DataError;
  /**
   * Another copy of the package of a backend is active in the process.
   *
   * @remarks Call `deactivate()` of that copy, or install one version; `npm ls <package>` shows all.
   */
  readonly OTHER_COPY: StateError;
  /**
   * The memory of the backend is full.
   *
   * @remarks Lower the batch size, and free tensors with `tf.dispose()` and `tf.tidy()`.
   */
  readonly OUT_OF_MEMORY: UnsupportedError;
  /**
   * A modulator has one factor per example or per activity where only one per batch makes sense.
   *
   * @remarks Use `per: 'batch'`, or a rule that does not sum over the examples first.
   */
  readonly PER_EXAMPLE_REFUSED: ConfigurationError;
  /**
   * A plasticity reads a signal that the step does not have.
   *
   * @remarks Pass it: `optimizer.minimize(f, { signals: { reward } })`.
   */
  readonly SIGNAL_MISSING: SignalError;
  /**
   * A saved state does not fit the product or the model.
   *
   * @remarks Load state into the same product, on weights of the same shape.
   */
  readonly STATE_MISMATCH: StateError;
  /**
   * The name of a command is unknown.
   *
   * @remarks Use one of the names that the message lists.
   */
  readonly UNKNOWN_COMMAND: ConfigurationError;
  /**
   * A saved product names a rule, modulator or transform that is not registered.
   *
   * @remarks Register it: `register({ name: factory })`.
   */
  readonly UNKNOWN_FACTORY: ConfigurationError;
  /**
   * The model has no layer of that name.
   *
   * @remarks Use one of the names that the message lists.
   */
  readonly UNKNOWN_LAYER: ConfigurationError;
  /**
   * The name of a network is unknown.
   *
   * @remarks Use one of the names that the message lists.
   */
  readonly UNKNOWN_NETWORK: ConfigurationError;
  /**
   * A function or command has no option of that name.
   *
   * @remarks Use one of the names that the message lists.
   */
  readonly UNKNOWN_OPTION: ConfigurationError;
  /**
   * A saved product contains a plain function, which cannot be rebuilt.
   *
   * @remarks Use a schedule factory such as `cosine(peak, steps)`, or give the function a `spec` and register its
   * factory.
   */
  readonly UNNAMED_FUNCTION: ConfigurationError;
  /**
   * A kernel got the data format NCHW.
   *
   * @remarks Use NHWC (`'channelsLast'`).
   */
  readonly UNSUPPORTED_DATA_FORMAT: UnsupportedError;
  /**
   * A local rule cannot train a layer of this kind, or one whose `call()` is not that of TensorFlow.js; or a dilated
   * layer has no gradient.
   *
   * @remarks Use `gradientDescent()` for that layer; for a dilated one, the stock layer, channels last.
   */
  readonly UNSUPPORTED_LAYER: UnsupportedError;
  /**
   * A file could not be written.
   *
   * @remarks Check permissions and free disk space, and run the command again.
   */
  readonly WRITE_FAILED: StateError | UnsupportedError;
  /**
   * A tensor does not have the shape that its place demands.
   *
   * @remarks Use the shape that the message names.
   */
  readonly WRONG_SHAPE: ConfigurationError | DataError;
}

/** The code of an error. */
export type ErrorCode = keyof ErrorCodes;
