/** The process that measures one backend, where several are compared. */
import { answerParent } from '../ask-child.js';
import type { SpeedOptions } from '../command-line.js';
import { measureBackend } from '../speed-command.js';
import type { SpeedSummary } from './summary.js';

await answerParent<SpeedOptions, SpeedSummary>(measureBackend);
