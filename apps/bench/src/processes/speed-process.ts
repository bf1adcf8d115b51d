/** The process that measures one of several backends. */
import { serve } from '../platform/child-process.js';
import { measureBackend, type SpeedOptions } from '../speed/measure.js';
import type { SpeedSummary } from '../speed/summary.js';

await serve<SpeedOptions, SpeedSummary>(measureBackend);
