/** `bench report`: table and page, made from the runs in a folder. */
import { replaceFile } from './durable.js';
import type { Failure } from './failure.js';
import type { RaceFolder } from './race.js';
import { page } from './report/page.js';
import { type RaceSummary, readRuns, summarise } from './summary.js';

/** The numbers, and where the page is. */
export interface Report {
  readonly summary: RaceSummary;
  readonly path: string;
  /** Runs whose files are damaged. */
  readonly failures: readonly Failure[];
}

/** Reads all runs of a race and writes its page. A run whose files are damaged is left out, as one that failed. */
export async function makeReport(folder: RaceFolder): Promise<Report> {
  const plan = await folder.readPlan();
  const runs = await readRuns(folder, plan);
  const summary = summarise(plan, runs);
  const help = 'make the folder writable, or report a copy of it.';
  await replaceFile(folder.reportPath, page(plan, runs, summary), help);
  return { summary, path: folder.reportPath, failures: runs.flatMap(({ damage }) => (damage ? [damage] : [])) };
}
