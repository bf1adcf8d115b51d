/** The networks of this package. Written by `npm run collect` from the files of this folder: do not edit. */
import type { Network } from '../network.js';
import { network as deephebb } from './deephebb.js';
import { network as deephebbSmall } from './deephebb-small.js';
import { network as fasthebb } from './fasthebb.js';
import { network as fasthebbSmall } from './fasthebb-small.js';

export { deepHebb } from './deephebb.js';
export { deepHebbSmall } from './deephebb-small.js';
export { fastHebb } from './fasthebb.js';
export { fastHebbSmall } from './fasthebb-small.js';

/** The networks by name. */
export const networks: Readonly<Record<'deephebb' | 'deephebb-small' | 'fasthebb' | 'fasthebb-small', Network>> = {
  deephebb: deephebb,
  'deephebb-small': deephebbSmall,
  fasthebb: fasthebb,
  'fasthebb-small': fasthebbSmall,
};
