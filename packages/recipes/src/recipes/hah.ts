/** HaH: the gradient plus a local objective for sparse, strong activities. */
import { adam, chain, gradientDescent, local, scaleBy, sum } from '@ghl/core';
import { hah as rule } from '@ghl/rule-hah';
import { byEpoch, type Protocol, type ProtocolRecipe } from '../recipe.js';

/** The weight of the local objective in each Hebbian layer, in order. */
const WEIGHTS = [0.0045, 0.0025, 0.0013, 0.001, 0.0008, 0.0005];

/**
 * HaH on the layers in `temperatures`, which are the first six convolutions of `hahVgg16`: 100 epochs of
 * `sum(gradientDescent(), chain(local(hah()), scaleBy(α)))` for these, and of the gradient for all other weights. Both
 * pass through Adam, whose step is 1e-3 and falls to a tenth at 60 % and at 80 % of the epochs. Batches of 128.
 *
 * The published training also shifts and mirrors the images, and has an option for an L1 penalty. This recipe does
 * neither.
 *
 * @see Cekic, Bakiskan and Madhow, "Neuro-inspired deep neural networks with sparse, strong activations", ICIP 2022.
 * @example
 * ```ts
 * import { plasticOptimizer } from '@ghl/learner';
 * import { hahVgg16Small, networks } from '@ghl/models';
 * import { hah } from '@ghl/recipes';
 * import '@tensorflow/tfjs-backend-cpu';
 *
 * const model = hahVgg16Small();
 * const [{ assign, epochs }] = hah.phases;
 * const assignment = assign({ ...networks['hah-vgg16-small'].constants, epochs, steps: 40 * epochs });
 * model.compile({ optimizer: plasticOptimizer(model, assignment), loss: 'categoricalCrossentropy' });
 * console.log(Object.keys(assignment).join());
 * // => conv1,conv2,conv3,conv4,conv5,conv6,*
 * ```
 */
export const hah: Protocol = {
  phases: [
    {
      epochs: 100,
      batch: 128,
      assign(options) {
        const size = (epoch: number, epochs: number) =>
          1e-3 * (epoch < 0.6 * epochs ? 1 : epoch < 0.8 * epochs ? 0.1 : 0.01);
        const step = chain(adam(), scaleBy(byEpoch(options, size)));
        const layers = Object.keys(options.temperatures).map((layer, i) => {
          const weight = WEIGHTS[i] ?? 0;
          return [layer, chain(sum(gradientDescent(), chain(local(rule()), scaleBy(weight))), step)];
        });
        return { ...Object.fromEntries(layers), '*': chain(gradientDescent(), step) };
      },
    },
  ],
};

/** hah by name. */
export const recipe: ProtocolRecipe = {
  name: 'hah',
  describe: 'the gradient plus a local objective for sparse, strong activities',
  protocol: hah,
};
