/** The section of the report on the layers of inspected runs, and their table for the terminal. */
import Table from 'cli-table3';
import type { InspectedLayer, Inspection } from '../files/inspection.js';
import { normChart, type Series } from './charts.js';
import { escaped } from './escape.js';
import { percent } from './table.js';

/** The inspection of one run. */
export interface InspectedRun {
  readonly recipe: string;
  readonly seed: number;
  readonly inspection: Inspection;
}

const NONE = '–';

/** The columns after the layer and the recipe. */
const columns: readonly { readonly title: string; readonly text: (layer: InspectedLayer) => string }[] = [
  { title: 'linear probe %', text: ({ probe }) => percent(probe) },
  { title: 'k-NN %', text: ({ neighbours }) => percent(neighbours) },
  { title: 'features', text: ({ features }) => String(features) },
  { title: 'winner entropy', text: ({ entropy }) => (Number.isFinite(entropy) ? entropy.toFixed(2) : NONE) },
  { title: 'dead units %', text: ({ dead }) => percent(dead) },
  { title: 'weight norm', text: ({ norms }) => (norms === null ? NONE : spread(norms)) },
];

/** The median, and the least and the greatest. */
function spread(norms: readonly number[]): string {
  const sorted = [...norms].sort((a, b) => a - b);
  const [least, middle, greatest] = [0, (sorted.length - 1) >> 1, sorted.length - 1].map((i) =>
    (sorted[i] as number).toPrecision(3),
  );
  return `${middle} (${least} to ${greatest})`;
}

/** The rows of the table, layer by layer. */
function rows(runs: readonly InspectedRun[]): { readonly run: InspectedRun; readonly layer: InspectedLayer }[] {
  const names = new Set(runs.flatMap(({ inspection }) => inspection.layers.map(({ layer }) => layer)));
  return [...names].flatMap((name) =>
    runs.flatMap((run) => run.inspection.layers.filter(({ layer }) => layer === name).map((layer) => ({ run, layer }))),
  );
}

/** The table as text. */
export function inspectionTable(runs: readonly InspectedRun[]): string {
  const table = new Table({
    head: ['layer', 'recipe', ...columns.map(({ title }) => title)],
    colAligns: ['left', 'left', ...columns.map(() => 'right' as const)],
    style: { head: [], border: [], compact: true },
  });
  for (const { run, layer } of rows(runs)) {
    table.push([layer.layer, `${run.recipe} ${run.seed}`, ...columns.map(({ text }) => text(layer))]);
  }
  return table.toString();
}

/** The section; empty if no run was inspected. */
export function inspectionSection(series: readonly Series[], runs: readonly InspectedRun[]): string {
  const [first] = runs;
  if (first === undefined) return '';
  const { trainImages, testImages } = first.inspection;
  const seriesOf = (recipe: string) => series.find(({ name }) => name === recipe) as Series;
  const body = rows(runs).map(({ run, layer }) => {
    const { colour, className } = seriesOf(run.recipe);
    const cells = [escaped(layer.layer), `<i></i>${escaped(run.recipe)}`, ...columns.map(({ text }) => text(layer))];
    return `<tr class="${className}" style="--colour: ${colour}">${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`;
  });
  const layers = [...new Set(rows(runs).map(({ layer }) => layer.layer))];
  const of = (name: string) => rows(runs).filter(({ layer }) => layer.layer === name);
  const norms = layers.flatMap((name) => {
    const distributions = of(name).flatMap(({ run, layer: { norms: values } }) =>
      values === null ? [] : [{ series: seriesOf(run.recipe), values }],
    );
    return distributions.length === 0
      ? []
      : [`<div class="panel"><h3>${escaped(name)}</h3>${normChart(distributions)}</div>`];
  });
  const pictures = layers.flatMap((name) => {
    const panels = of(name).flatMap(({ run, layer: { patches } }) =>
      patches === null
        ? []
        : [
            `<figure class="panel ${seriesOf(run.recipe).className}" style="margin: 0"><h3>${escaped(run.recipe)}</h3><img src="${patches.url}" width="${patches.width}" height="${patches.height}" alt="Patches that excite ${escaped(name)}: ${escaped(run.recipe)}"></figure>`,
          ],
    );
    const [units] = of(name).flatMap(({ layer: { patches } }) => patches?.units ?? []);
    return panels.length === 0
      ? []
      : [
          `<h3>${escaped(name)}, units 0 to ${(units as number) - 1}</h3><div class="row narrow">${panels.join('')}</div>`,
        ];
  });
  const head = ['layer', 'recipe', ...columns.map(({ title }) => title)];
  return `<section class="filters inspection">
<h2>Inside the layers</h2>
<p>Seed ${first.seed}. Both classifiers are computed from ${trainImages} training images and tested on ${testImages} test images; all
other numbers are of these test images. <code>@ghl/evaluation</code> defines each column.</p>
<div class="panel scroll"><table><thead><tr>${head.map((title) => `<th scope="col">${title}</th>`).join('')}</tr></thead><tbody>${body.join('')}</tbody></table></div>
<p class="faint">Winner entropy is 1 if all units win equally often, 0 if one wins everywhere. Both classifiers and the dead units, which
are never above 0, are of the activation after the layer. The weight norm is the median over units, with the least and the greatest.</p>
<h3>Distribution of the weight norms</h3>
<div class="row narrow">${norms.join('')}</div>
<p class="faint">Share of the units in each interval of ‖w‖.</p>
<h2>What excites the units of each convolution</h2>
<p>A square is a unit, with the nine patches of test images at which it responds most: its receptive field, cut at the border of the
image.</p>
${pictures.join('\n')}
</section>`;
}
