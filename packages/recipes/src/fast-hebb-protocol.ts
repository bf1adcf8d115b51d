/** FastHebb's protocol, for any rule: Hebbian layers first, then a classifier on top of them. */
import { chain, decayWeights, gradientDescent, type LocalRule, local, momentum, scaleBy } from '@ghl/core';
import { byEpoch, type Protocol } from './recipe.js';

const each = <T>(names: readonly string[], value: T) => Object.fromEntries(names.map((name) => [name, value]));

/** The layers of `fastHebb` that learn by the rule. */
const HEBBIAN = ['conv1', 'conv2', 'conv3', 'conv4', 'fc5'];

/**
 * Two phases of 20 epochs in batches of 64. In the first, every hidden layer learns by the rule at step 1e-2, without
 * labels. In the second, the classifier and the batch norm before its dropout descend the gradient with Nesterov's
 * momentum 0.9, weight decay 5e-4 and step 1e-3, which halves in each epoch from the middle of the phase.
 */
export function fastHebbProtocol(rule: LocalRule, data: NonNullable<Protocol['data']>): Protocol {
  return {
    data,
    phases: [
      {
        epochs: 20,
        batch: 64,
        assign: () => ({
          ...each(HEBBIAN, chain(local(rule), scaleBy(1e-2))),
          ...each(['fc5/bias', 'bn5', 'classifier'], null),
        }),
      },
      {
        epochs: 20,
        batch: 64,
        assign: (options) => {
          const step = byEpoch(
            options,
            (epoch, epochs) => 1e-3 * 0.5 ** Math.max(0, epoch + 1 - Math.ceil(epochs / 2)),
          );
          const head = chain(gradientDescent(), decayWeights(5e-4), momentum({ nesterov: true }), scaleBy(step));
          return { ...each([...HEBBIAN, 'bn1', 'bn2', 'bn3', 'bn4'], null), ...each(['bn5', 'classifier'], head) };
        },
      },
    ],
  };
}
