/** `bench report`: table and page, made from the runs in a folder. */
import { replaceFile } from './durable.js';
import type { RaceFolder } from './race.js';
import { page } from './report/page.js';
import { type RaceSummary, readRuns, summarise } from './summary.js';

/** The numbers, and where the page is. */
export interface Report {
  readonly summary: RaceSummary;
  readonly path: string;
}

/** Reads all runs of a race and writes its page. */
export async function makeReport(folder: RaceFolder): Promise<Report> {
  const plan = await folder.readPlan();
  const runs = await readRuns(folder, plan);
  const summary = summarise(plan, runs);
  const help = 'make the folder writable, or report a copy of it.';
  await replaceFile(folder.reportPath, page(plan, runs, summary), help);
  return { summary, path: folder.reportPath };
}
