/** The codes of the errors that only this package throws. */
import type {
  ConfigurationError,
  DataError,
  NonFiniteError,
  SignalError,
  StateError,
  UnsupportedError,
} from '@ghl/core';

declare module '@ghl/core' {
  interface ErrorCodes {
    /**
     * `measureNextStep()` was called again before the first call had its answer.
     *
     * @remarks Await the first call.
     */
    readonly ALREADY_MEASURING: ConfigurationError;
    /**
     * The second argument of `plasticOptimizer()` is not an object of updaters by selector.
     *
     * @remarks Pass `{ conv1: chain(…), '*': chain(gradientDescent(), scaleBy(1e-2)) }`.
     */
    readonly BAD_ASSIGNMENT: ConfigurationError;
    /**
     * A selector of an assignment has a value that cannot move a weight.
     *
     * @remarks Pass a plasticity, a `tf.Optimizer`, or `null`.
     */
    readonly BAD_UPDATER: ConfigurationError;
    /**
     * `classWeight` lacks a class, or does not fit the outputs of the model.
     *
     * @remarks Give a weight for each class, for several outputs in one record for each.
     */
    readonly CLASS_WEIGHT: ConfigurationError;
    /**
     * The optimizer was used after `dispose()`.
     *
     * @remarks Create another with `plasticOptimizer(model, assignment)`.
     */
    readonly DISPOSED: ConfigurationError;
    /**
     * A record of inputs, or an element of a dataset, lacks an input of the model.
     *
     * @remarks Give a tensor for each of `model.inputNames`.
     */
    readonly INPUT_MISSING: DataError;
    /**
     * The inputs do not have the shape that the model takes.
     *
     * @remarks Use the shapes that the message names.
     */
    readonly INPUT_SHAPE: DataError;
    /**
     * A record of labels, or an element of a dataset, lacks the labels of an output.
     *
     * @remarks Give a tensor for each of `model.outputNames`.
     */
    readonly LABEL_MISSING: DataError;
    /**
     * The labels do not have the shape that the loss takes.
     *
     * @remarks Use one of the shapes that the message names.
     */
    readonly LABEL_SHAPE: DataError;
    /**
     * The loss of a model was a function, which TensorFlow.js does not save.
     *
     * @remarks Compile the loaded model again: `model.compile({ optimizer: model.optimizer, loss, metrics })`.
     */
    readonly LOSS_NOT_SAVED: StateError;
    /**
     * The function passed to `minimize()` returned a loss that is not a scalar.
     *
     * @remarks Return `tf.mean()` of the losses of the examples.
     */
    readonly LOSS_SHAPE: ConfigurationError;
    /**
     * A metric of a model was a function, which TensorFlow.js does not save.
     *
     * @remarks Compile the loaded model again: `model.compile({ optimizer: model.optimizer, loss, metrics })`.
     */
    readonly METRIC_NOT_SAVED: StateError;
    /**
     * A layer was added or removed after `plasticOptimizer()`.
     *
     * @remarks Create another optimizer with `plasticOptimizer(model, assignment)`.
     */
    readonly MODEL_CHANGED: ConfigurationError;
    /**
     * A weight of the model was disposed of before the last step.
     *
     * @remarks Dispose of a model after its last step.
     */
    readonly MODEL_DISPOSED: UnsupportedError;
    /**
     * `applyGradients()` got a weight whose rule needs the activity of its layer.
     *
     * @remarks Call `minimize()`, which records it.
     */
    readonly NEEDS_ACTIVITY: ConfigurationError;
    /**
     * A step would have made a weight NaN or infinite. No weight was changed.
     *
     * @remarks The message names the likely cause: often a step size that is too large.
     */
    readonly NON_FINITE_STEP: NonFiniteError;
    /**
     * No weight can move in a step: the model, its layers or all updaters are frozen.
     *
     * @remarks Set `trainable = true` before the step, or give a trainable weight a updater.
     */
    readonly NOTHING_TRAINABLE: ConfigurationError;
    /**
     * `minimize()` did not get a function.
     *
     * @remarks Pass a function that returns the scalar loss.
     */
    readonly NOT_A_FUNCTION: ConfigurationError;
    /**
     * The function passed to `minimize()` returned a promise or another value that is not a loss.
     *
     * @remarks Return a scalar tensor of float32 synchronously.
     */
    readonly NOT_A_LOSS: ConfigurationError;
    /**
     * `plasticOptimizer()` did not get a layers model.
     *
     * @remarks Pass a `tf.LayersModel`. A graph model has no layers to train.
     */
    readonly NOT_A_MODEL: UnsupportedError;
    /**
     * The loss does not depend on a weight whose updater reads the gradient.
     *
     * @remarks Compute the loss from the output of this model, inside the function passed to `minimize()`.
     */
    readonly NO_GRADIENT: ConfigurationError;
    /**
     * A model was saved to or loaded from a place that TensorFlow.js cannot reach in Node, such as `file://` without
     * tfjs-node.
     *
     * @remarks Pass a handler, as the README of `@ghl/learner` shows under "Saving".
     */
    readonly NO_IO_HANDLER: UnsupportedError;
    /**
     * `learningRate` was assigned to, or `setLearningRate()` called on, an optimizer of `plasticOptimizer()`, which has
     * none.
     *
     * @remarks Set `optimizer.stepScale`, or give a updater a schedule.
     */
    readonly NO_LEARNING_RATE: ConfigurationError;
    /**
     * The function passed to `minimize()` returned nothing, but a updater reads the loss.
     *
     * @remarks Return the scalar loss.
     */
    readonly NO_LOSS: ConfigurationError;
    /**
     * An optimizer was used before it got its model.
     *
     * @remarks Create it with `plasticOptimizer(model, assignment)`.
     */
    readonly NO_MODEL: ConfigurationError;
    /**
     * The model has no trainable weights.
     *
     * @remarks Build it first: give its first layer an `inputShape`.
     */
    readonly NO_WEIGHTS: ConfigurationError;
    /**
     * A custom optimizer that cannot save itself is in the assignment of a model that is saved.
     *
     * @remarks Give it `getWeights()` and `setWeights()`, or save the model without its optimizer.
     */
    readonly OPTIMIZER_NOT_SAVED: UnsupportedError;
    /**
     * A local rule was assigned to a weight that is not a kernel.
     *
     * @remarks Use `gradientDescent()` for it.
     */
    readonly RULE_ON_BIAS: ConfigurationError;
    /**
     * Training was given a weight for each example, which TensorFlow.js ignores.
     *
     * @remarks Use `classWeight`, or weigh the losses in a loop of `minimize()`.
     */
    readonly SAMPLE_WEIGHT: UnsupportedError;
    /**
     * A selector matches only weights that its updater cannot move.
     *
     * @remarks Use `gradientDescent()` for biases and scales, or remove the selector.
     */
    readonly SELECTOR_CLAIMS_NOTHING: ConfigurationError;
    /**
     * A pattern of an assignment matches no layer and no weight.
     *
     * @remarks Use one of the names that the message lists.
     */
    readonly SELECTOR_UNMATCHED: ConfigurationError;
    /**
     * A signal is a tensor of a dtype that is not a number.
     *
     * @remarks Use float32, int32 or bool.
     */
    readonly SIGNAL_DTYPE: SignalError;
    /**
     * A signal is NaN or infinite.
     *
     * @remarks Pass a finite number.
     */
    readonly SIGNAL_NOT_FINITE: SignalError;
    /**
     * A signal does not have one number, or one number per example.
     *
     * @remarks Pass one number, a tensor with one number or one per example, or a function that returns it.
     */
    readonly SIGNAL_SHAPE: SignalError;
    /**
     * The function passed to `minimize()` used the optimizer itself.
     *
     * @remarks Only compute the loss in it; take the next step afterwards.
     */
    readonly STEP_UNDER_WAY: ConfigurationError;
    /**
     * Two patterns of an assignment match the same weight.
     *
     * @remarks Name the layer itself, which takes precedence over patterns, or narrow one pattern.
     */
    readonly TWO_PATTERNS: ConfigurationError;
    /**
     * No selector of the assignment covers a trainable weight.
     *
     * @remarks Add a selector for it, or `'*'`; `null` freezes a weight.
     */
    readonly UNCLAIMED_WEIGHT: ConfigurationError;
    /**
     * A saved model names an optimizer that TensorFlow.js does not have.
     *
     * @remarks Use one of the names that the message lists.
     */
    readonly UNKNOWN_OPTIMIZER: ConfigurationError;
    /**
     * A variable is not a weight that the optimizer moves.
     *
     * @remarks Create the optimizer on the model whose weights it moves.
     */
    readonly UNKNOWN_VARIABLE: ConfigurationError;
  }
}
