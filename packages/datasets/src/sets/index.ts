/** The datasets of this package. Written by `npm run collect` from the files of this folder: do not edit. */
import type { Dataset } from '../dataset.js';
import { set as cifar10 } from './cifar10.js';
import { set as cifar100 } from './cifar100.js';
import { set as cifar100Coarse } from './cifar100-coarse.js';
import { set as emnist } from './emnist.js';
import { set as fashionMnist } from './fashion-mnist.js';
import { set as glyphs } from './glyphs.js';
import { set as kmnist } from './kmnist.js';
import { set as mnist } from './mnist.js';

export { cifar10 } from './cifar10.js';
export { cifar100 } from './cifar100.js';
export { cifar100Coarse } from './cifar100-coarse.js';
export { type EmnistOptions, emnist } from './emnist.js';
export { fashionMnist } from './fashion-mnist.js';
export { type GlyphOptions, glyphs } from './glyphs.js';
export { kmnist } from './kmnist.js';
export { mnist } from './mnist.js';

/** The datasets by name. */
export const datasets: Readonly<
  Record<
    'glyphs' | 'cifar10' | 'cifar100' | 'mnist' | 'fashion-mnist' | 'cifar100-coarse' | 'emnist' | 'kmnist',
    Dataset
  >
> = {
  glyphs: glyphs,
  cifar10: cifar10,
  cifar100: cifar100,
  mnist: mnist,
  'fashion-mnist': fashionMnist,
  'cifar100-coarse': cifar100Coarse,
  emnist: emnist,
  kmnist: kmnist,
};
