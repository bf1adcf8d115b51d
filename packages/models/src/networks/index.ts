/** The networks of this package. Written by `npm run collect` from the files of this folder: do not edit. */
import type { Network } from '../network.js';
import { network as deephebb } from './deephebb.js';
import { network as deephebbSmall } from './deephebb-small.js';
import { network as fasthebb } from './fasthebb.js';
import { network as fasthebbSmall } from './fasthebb-small.js';
import { network as hahVgg16 } from './hah-vgg16.js';
import { network as hahVgg16Small } from './hah-vgg16-small.js';
import { network as ibHebb } from './ib-hebb.js';
import { network as ibHebbSmall } from './ib-hebb-small.js';
import { network as oneHidden } from './one-hidden.js';
import { network as oneHiddenSmall } from './one-hidden-small.js';

export { deepHebb } from './deephebb.js';
export { deepHebbSmall } from './deephebb-small.js';
export { fastHebb } from './fasthebb.js';
export { fastHebbSmall } from './fasthebb-small.js';
export { hahVgg16 } from './hah-vgg16.js';
export { hahVgg16Small } from './hah-vgg16-small.js';
export { ibHebb } from './ib-hebb.js';
export { ibHebbSmall } from './ib-hebb-small.js';
export { oneHidden } from './one-hidden.js';
export { oneHiddenSmall } from './one-hidden-small.js';

/** The networks by name. */
export const networks: Readonly<
  Record<
    | 'deephebb'
    | 'deephebb-small'
    | 'fasthebb'
    | 'fasthebb-small'
    | 'hah-vgg16'
    | 'hah-vgg16-small'
    | 'ib-hebb'
    | 'ib-hebb-small'
    | 'one-hidden'
    | 'one-hidden-small',
    Network
  >
> = {
  deephebb: deephebb,
  'deephebb-small': deephebbSmall,
  fasthebb: fasthebb,
  'fasthebb-small': fasthebbSmall,
  'hah-vgg16': hahVgg16,
  'hah-vgg16-small': hahVgg16Small,
  'ib-hebb': ibHebb,
  'ib-hebb-small': ibHebbSmall,
  'one-hidden': oneHidden,
  'one-hidden-small': oneHiddenSmall,
};
