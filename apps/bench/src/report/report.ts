/** The report of a race: its numbers as a table and as a page. */
import { relative } from 'node:path';
import { type Failure, phasesText, plannedRuns, type RacePlan, type RaceSummary, readRuns, summarise } from '@ghl/race';
import { replaceFile } from '../files/atomic-file.js';
import { readInspection } from '../files/inspection.js';
import type { RaceFolder } from '../files/race-folder.js';
import type { InspectedRun } from './inspection.js';
import { page } from './page.js';
import { specText } from './spec-text.js';
import { otherBackends, table } from './table.js';

/** The numbers, and the path of the page. */
export interface Report {
  readonly summary: RaceSummary;
  readonly path: string;
  /** The failures of runs; from {@link makeReport}, of those whose files are damaged. */
  readonly failures: readonly Failure[];
}

/** Reads all runs of a race and writes its page. A run whose files are damaged counts as failed. */
export async function makeReport(folder: RaceFolder): Promise<Report> {
  const plan = await folder.readPlan();
  const runs = await readRuns(plan, (run) => folder.run(run));
  const summary = summarise(plan, runs);
  const help = 'make the folder writable, or report a copy of it.';
  await replaceFile(folder.reportPath, page(plan, runs, summary, await readInspections(folder, plan)), help);
  return { summary, path: folder.reportPath, failures: runs.flatMap(({ damage }) => (damage ? [damage] : [])) };
}

/** The inspections of the first seed that has any. */
async function readInspections(folder: RaceFolder, plan: RacePlan): Promise<InspectedRun[]> {
  const inspected: InspectedRun[] = [];
  for (const run of plannedRuns(plan)) {
    const inspection = await readInspection(folder.run(run).path);
    if (inspection !== null) inspected.push({ recipe: run.recipe.name, seed: run.seed, inspection });
  }
  return inspected.filter(({ seed }) => seed === inspected[0]?.seed);
}

/** The table, the runs without a result, and the path of the page. */
export function reportText({ summary, path }: Report): string {
  const missing = summary.incomplete.map(
    ({ recipe, seed, state, code }) => `${recipe} ${seed}: ${state}${code ? `, ${code}` : ''}`,
  );
  const { epochs, batch } = summary;
  const protocols = Object.entries(summary.recipes).flatMap(
    ([
      recipe,
      {
        protocol: { network, data, phases },
      },
    ]) => {
      const isCommon = phases.length === 1 && phases[0]?.epochs === epochs && phases[0].batch === batch;
      if (isCommon && !network && !data) return [];
      const options = Object.entries({ network, data }).map(([what, value]) => value && `, ${what} ${specText(value)}`);
      return [`${recipe}: ${phasesText(phases)}${options.join('')}`];
    },
  );
  const others = otherBackends(summary).map((each) => `not on ${summary.backends[0]} alone: ${each}`);
  return [table(summary), ...protocols, ...missing, ...others, `report: ${relative('', path)}`].join('\n');
}

/** The summary with the path of the page. */
export function reportDocument({ summary, path }: Report): object {
  return { ...summary, report: path };
}
