/** The report: one page that opens offline. */
import type { RacePlan } from '../race-plan.js';
import type { RaceSummary, RecordedRun } from '../summary.js';

export function page(_plan: RacePlan, _runs: readonly RecordedRun[], summary: RaceSummary): string {
  return `<!doctype html><pre>${JSON.stringify(summary, null, 2)}</pre>`;
}
