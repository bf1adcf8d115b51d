/** The table at the end of a race. */

import { backendsText, type RaceSummary, type Statistic } from '@ghl/race';
import Table from 'cli-table3';
import { mean } from 'simple-statistics';

/** One row as text, for the terminal and the report. */
export interface Row {
  readonly recipe: string;
  readonly testAccuracy: string;
  readonly bestValidation: string;
  readonly secondsToTarget: string;
  readonly imagesPerSecond: string;
  readonly alignment: string;
  readonly paper: string;
}

/** The text of a missing number. */
const NONE = '–';

/** Headings of the columns, and whether the column is shown. */
export function columns({ target, recipes }: RaceSummary): { readonly key: keyof Row; readonly title: string }[] {
  const inPaper = Object.values(recipes).some(({ paper }) => paper !== null);
  return [
    { key: 'recipe', title: 'recipe' },
    { key: 'testAccuracy', title: 'test accuracy %' },
    { key: 'bestValidation', title: '… at best validation %' },
    { key: 'secondsToTarget', title: `seconds to ${percent(target, 0)} %` },
    { key: 'imagesPerSecond', title: 'images/s a process' },
    { key: 'alignment', title: 'alignment' },
    ...(inPaper ? [{ key: 'paper' as const, title: 'paper %' }] : []),
  ];
}

/** The rows, best first. */
export function rows({ recipes }: RaceSummary): Row[] {
  return Object.entries(recipes)
    .sort(([, a], [, b]) => (b.testAccuracy.mean ?? -1) - (a.testAccuracy.mean ?? -1))
    .map(([recipe, summary]) => ({
      recipe,
      testAccuracy: spread(summary.testAccuracy, percent),
      bestValidation: spread(summary.bestValidation.testAccuracy, percent),
      secondsToTarget: spread(summary.secondsToTarget, (value) => value.toFixed(1)),
      imagesPerSecond: spread(summary.imagesPerSecond, (value) => value.toFixed(0)),
      alignment: overall(Object.values(summary.alignment)),
      paper: summary.paper === null ? NONE : percent(summary.paper, 2),
    }));
}

/** The table as text. */
export function table(summary: RaceSummary): string {
  const visible = columns(summary);
  const text = new Table({
    head: visible.map(({ title }) => title),
    colAligns: visible.map(({ key }) => (key === 'recipe' ? 'left' : 'right')),
    style: { head: [], border: [], compact: true },
  });
  for (const row of rows(summary)) text.push(visible.map(({ key }) => row[key]));
  return text.toString();
}

/** Runs that another backend than the first of the race computed, in whole or in part; one line each. */
export function otherBackends({ backends: [first], recipes }: RaceSummary): string[] {
  return Object.entries(recipes).flatMap(([recipe, { backends }]) =>
    backends.flatMap((own, seed) =>
      own.every((each) => each === first) ? [] : [`${recipe}, seed ${seed}: ${backendsText(own)}`],
    ),
  );
}

/** `mean ± sd`, and the number of seeds unless it is all of them. */
function spread({ n, mean: middle, sd, seeds }: Statistic, format: (value: number) => string): string {
  if (middle === null) return seeds.length > 0 ? NONE : '';
  const part = n < seeds.length ? ` (${n} of ${seeds.length})` : '';
  return `${format(middle)}${sd === null ? '' : ` ± ${format(sd)}`}${part}`;
}

function overall(layers: readonly Statistic[]): string {
  const means = layers.flatMap(({ mean: middle }) => (middle === null ? [] : [middle]));
  return means.length > 0 ? mean(means).toFixed(2) : NONE;
}

/** An accuracy in per cent. */
export function percent(accuracy: number, digits = 1): string {
  return (100 * accuracy).toFixed(digits);
}
