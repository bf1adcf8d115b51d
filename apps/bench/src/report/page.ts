/**
 * The report of a race: one self-contained HTML page. A pure function of the runs: pictures first, then the numbers,
 * then the settings that they depend on.
 */

import type { RacePlan, RaceSummary, RecordedRun, RunManifest } from '@ghl/race';
import { toJson } from '@ghl/race';
import { accuracyChart, accuracyCurves, alignmentCurves, lossCurves, type Series } from './charts.js';
import { escaped } from './escape.js';
import { type FiltersEvent, filterPicture } from './filters.js';
import { type InspectedRun, inspectionSection } from './inspection.js';
import { duration } from './progress.js';
import { specText } from './spec-text.js';
import { style } from './style.js';
import { columns, otherBackends, percent, rows } from './table.js';

/** Colours that colour-blind readers can distinguish (after Okabe and Ito, 2008): on a light page, on a dark one. */
const COLOURS = [
  ['#d55e00', '#ff8a3d'],
  ['#0072b2', '#4da3e0'],
  ['#009e73', '#35c69b'],
  ['#b8629b', '#de8fc4'],
  ['#c28a00', '#e0b040'],
  ['#3fa0d6', '#7cc4ee'],
  ['#6b7280', '#a3abb8'],
  ['#7a4fbf', '#a98be0'],
] as const;

/** The page as HTML. */
export function page(
  plan: RacePlan,
  runs: readonly RecordedRun[],
  summary: RaceSummary,
  inspected: readonly InspectedRun[] = [],
): string {
  const series = plan.recipes.map(({ name }, i) => ({
    name,
    className: `recipe-${i}`,
    colour: `var(--recipe-${i})`,
  }));
  const title = `${plan.network} on ${plan.dataset.name}`;
  const manifest = runs.find((run) => run.manifest !== null)?.manifest ?? null;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)} · GHL bench</title>
<style>${style}${colours(series)}${hiding(series)}</style>
</head>
<body>
<header>
<h1>${escaped(title)}</h1>
<p class="faint">${escaped(subtitle(plan, summary, manifest))}</p>
</header>
${legend(series)}
${incomplete(summary)}${elsewhere(summary)}
<section>
<h2>Which recipe learns best</h2>
<div class="row">
<div class="panel">${accuracyChart(series, runs)}</div>
<div class="panel">${accuracyCurves(series, runs, 'epochs', plan.target)}</div>
</div>
<p class="faint">A dot is a seed, a bar the mean; thin lines are seeds, thick lines their mean. The dashed line is the target,
${percent(plan.target, 0)} %.</p>
${numbers(summary, series)}
</section>
${protocols(plan, summary)}
<section>
<h2>How it gets there</h2>
<div class="row">
<div class="panel">${lossCurves(series, runs)}</div>
<div class="panel">${accuracyCurves(series, runs, 'seconds', plan.target)}</div>
</div>
<p class="faint">Seconds are of training alone, in a process with ${plan.threads === 1 ? 'one thread' : `${plan.threads} threads`}; evaluation and logging are left out.</p>
</section>
${alignment(series, runs)}
${filters(plan, series, runs)}
${inspectionSection(series, inspected)}
${provenance(plan, manifest, runs)}
<script type="application/json" id="summary">${toJson(summary).replaceAll('<', '\\u003c')}</script>
</body>
</html>
`;
}

function subtitle(
  { recipes, seeds, epochs, batch, dataset }: RacePlan,
  { backend }: RaceSummary,
  manifest: RunManifest | null,
): string {
  const parts = [
    `${seeds} ${seeds === 1 ? 'seed' : 'seeds'}`,
    recipes.every(({ protocol }) => protocol)
      ? `${thousands(dataset.trainSize)} images to train`
      : `${epochs} ${epochs === 1 ? 'epoch' : 'epochs'} of ${thousands(dataset.trainSize)} images in batches of ${batch}`,
    `${thousands(dataset.validationSize)} images held out, ${thousands(dataset.testSize)} to test`,
    ...(manifest === null ? [] : [`${thousands(manifest.parameters)} weights`]),
    `${backend}${manifest === null ? '' : ` on ${manifest.environment.cpu}`}`,
  ];
  return parts.join(' · ');
}

function colours(series: readonly Series[]): string {
  const each = series.map(({ className }, i) => {
    const [light, dark] = COLOURS[i % COLOURS.length] as (typeof COLOURS)[number];
    return `--${className}: light-dark(${light}, ${dark});`;
  });
  return `:root { ${each.join(' ')} }\n`;
}

/** Check boxes without a script: a recipe that is not checked is hidden in every chart. */
function hiding(series: readonly Series[]): string {
  return series
    .map(({ className }) => `body:has(#show-${className}:not(:checked)) .${className} { display: none; }\n`)
    .join('');
}

function legend(series: readonly Series[]): string {
  const boxes = series.map(
    ({ name, className, colour }) =>
      `<label style="--colour: ${colour}"><input type="checkbox" id="show-${className}" checked><i></i>${escaped(name)}</label>`,
  );
  return `<nav class="legend" aria-label="Recipes to show">${boxes.join('')}</nav>`;
}

function incomplete({ incomplete: runs }: RaceSummary): string {
  if (runs.length === 0) return '';
  const items = runs.map(
    ({ recipe, seed, state, code, message }) =>
      `<li>${escaped(`${recipe}, seed ${seed}: ${state}`)}${code ? ` (<code>${escaped(code)}</code>: ${escaped(message ?? '')})` : ''}</li>`,
  );
  return `<div class="note"><p>Runs without a result, left out of all numbers:</p><ul>${items.join('')}</ul></div>`;
}

function elsewhere(summary: RaceSummary): string {
  const items = otherBackends(summary).map((each) => `<li>${escaped(each)}</li>`);
  if (items.length === 0) return '';
  return `<div class="note"><p>Runs that ${escaped(summary.backends[0] ?? '')} did not compute alone:</p><ul>${items.join('')}</ul></div>`;
}

function numbers(summary: RaceSummary, series: readonly Series[]): string {
  const visible = columns(summary);
  const head = visible.map(({ title }) => `<th scope="col">${escaped(title)}</th>`).join('');
  const body = rows(summary).map((row) => {
    const { colour, className } = series.find(({ name }) => name === row.recipe) as Series;
    const cells = visible.map(({ key }) =>
      key === 'recipe'
        ? `<td style="--colour: ${colour}"><i></i>${escaped(row.recipe)}</td>`
        : `<td>${escaped(row[key])}</td>`,
    );
    return `<tr class="${className}">${cells.join('')}</tr>`;
  });
  const departs =
    summary.deviations.length === 0
      ? ''
      : `<p class="faint">The paper's figures are those of its tables 1 and 5. Differences here: ${escaped(summary.deviations.join('; '))}.</p>`;
  return `<div class="panel scroll"><table><thead><tr>${head}</tr></thead><tbody>${body.join('')}</tbody></table></div>
<p class="faint">Test accuracy is the last epoch's; “at best validation” is that of the epoch with the best validation accuracy. No
number is chosen by its test accuracy. ± is the sample standard deviation over seeds. Seconds are of training until the
validation accuracy reaches the target; alignment is the mean over layers at the last measurement.</p>${departs}`;
}

/** How the recipes train, if one of them has its own protocol. */
function protocols(plan: RacePlan, { recipes }: RaceSummary): string {
  if (plan.recipes.every(({ protocol }) => protocol === undefined)) return '';
  const titles = ['recipe', 'network', 'images', 'phase', 'epochs', 'batch', 'learns', 'loss'];
  const head = titles.map((title) => `<th scope="col">${title}</th>`).join('');
  const body = Object.entries(recipes).flatMap(([name, { protocol }]) =>
    protocol.phases.map(({ epochs, batch, loss, patience, learns }, i) => {
      const options = [protocol.network, protocol.data].map((each) => (each ? specText(each) : 'as the race'));
      const what =
        learns === null ? '–' : learns.map((selector) => (selector === '*' ? 'the rest' : selector)).join(', ');
      const first = i === 0 ? [name, ...options] : ['', '', ''];
      const cells = [
        ...first,
        `${i + 1} of ${protocol.phases.length}`,
        `${epochs}${patience === null ? '' : `, patience ${patience}`}`,
        `${batch}`,
        what,
        loss,
      ];
      return `<tr>${cells.map((cell) => `<td>${escaped(cell)}</td>`).join('')}</tr>`;
    }),
  );
  return `<section class="protocols">
<h2>How the protocols differ</h2>
<div class="panel scroll"><table><thead><tr>${head}</tr></thead><tbody>${body.join('')}</tbody></table></div>
<p class="faint">Epochs are counted over all phases. Patience is the number of epochs without a better validation accuracy that end a phase. A phase that reads no labels has neither loss nor accuracy, and a point only
where a classifier learns. All phases of a recipe train the same model.</p>
</section>`;
}

function alignment(series: readonly Series[], runs: readonly RecordedRun[]): string {
  const layers = new Set(
    runs.flatMap(({ events }) =>
      events.flatMap((event) => (event.type === 'alignment' ? Object.keys(event.layers) : [])),
    ),
  );
  if (layers.size === 0) return '';
  const [byGradient, moving] = partition([...layers], (layer) =>
    runs.every(({ events }) =>
      events.every((event) => event.type !== 'alignment' || (event.layers[layer]?.alignment ?? 1) > 0.98),
    ),
  );
  const rest =
    byGradient.length === 0
      ? ''
      : ` Layers that descend the gradient itself are at 1 in every recipe, and not drawn: ${byGradient.join(', ')}.`;
  const panels = moving.map(
    (layer) => `<div class="panel"><h3>${escaped(layer)}</h3>${alignmentCurves(series, runs, layer)}</div>`,
  );
  return `<section>
<h2>Direction of each layer</h2>
<p>Alignment is the cosine of a layer's increment with −∂L/∂W: 1 is steepest descent, 0 is a step that neither helps nor harms at
first order, below 0 the loss is climbed.${escaped(rest)}</p>
<div class="row narrow">${panels.join('')}</div>
</section>`;
}

function filters(plan: RacePlan, series: readonly Series[], runs: readonly RecordedRun[]): string {
  const recorded = ({ events }: RecordedRun) =>
    events.filter((event): event is FiltersEvent => event.type === 'filters');
  const first = runs.find((run) => recorded(run).length > 0);
  if (first === undefined) return '';
  const start = recorded(first)[0] as FiltersEvent;
  const seed = first.seed;
  const panels = series.flatMap(({ name, className }) => {
    const run = runs.find((each) => each.recipe === name && each.seed === seed && each.state === 'finished');
    const last = run === undefined ? undefined : recorded(run).at(-1);
    return last === undefined ? [] : [filterPanel(name, last, className)];
  });
  const same = plan.recipes.some(({ protocol }) => protocol?.network) ? 'Recipes with the same network' : 'All recipes';
  return `<section class="filters">
<h2>What the first layer sees</h2>
<p>The ${start.shape[3]} filters of <code>${escaped(start.layer)}</code>, seed ${seed}, each stretched to its own range. ${same} begin with the same ones.</p>
<div class="row narrow">${filterPanel('before training', start, 'start')}${panels.join('')}</div>
</section>`;
}

function filterPanel(title: string, event: FiltersEvent, className: string): string {
  const { url, width, height } = filterPicture(event);
  return `<figure class="panel ${className}" style="margin: 0"><h3>${escaped(title)}</h3><img src="${url}" width="${width}" height="${height}" alt="First-layer filters: ${escaped(title)}"></figure>`;
}

function provenance(plan: RacePlan, manifest: RunManifest | null, runs: readonly RecordedRun[]): string {
  if (manifest === null) return '';
  const { environment, parameters } = manifest;
  const { versions, git } = environment;
  const times = runs.flatMap(({ result }) => (result === null ? [] : [result]));
  const sum = (pick: (result: (typeof times)[number]) => number) =>
    duration(times.reduce((total, result) => total + pick(result), 0) / 1000);
  const facts: [string, string][] = [
    ['network', `${plan.network}, ${thousands(parameters)} weights`],
    ['dataset', `${plan.dataset.name}, SHA-256 ${plan.dataset.checksum}`],
    [
      'backend',
      [...new Set(runs.flatMap(({ manifest }) => (manifest === null ? [] : [backendText(manifest)])))].join('; '),
    ],
    [
      'machine',
      `${environment.cpu}, ${environment.cores} cores, ${environment.memoryGiB} GiB, ${environment.platform}`,
    ],
    [
      'versions',
      Object.entries(versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(', '),
    ],
    ['commit', git === null ? 'not in a repository' : `${git.commit}${git.dirty ? ', with changes' : ''}`],
    ['code', plan.code],
    [
      'time of all runs',
      `training ${sum(({ trainMs }) => trainMs)}, evaluation ${sum(({ evalMs }) => evalMs)}, logging ${sum(({ logMs }) => logMs)}`,
    ],
  ];
  const specs = plan.recipes.flatMap(({ name }) => {
    const own = runs.find((run) => run.recipe === name && run.manifest !== null)?.manifest;
    if (own === undefined || own === null) return [];
    const specs = [own.spec, ...(own.laterSpecs ?? [])];
    return specs.flatMap((each, i) => {
      const phase = specs.length > 1 ? `, phase ${i + 1}` : '';
      const selectors = Object.entries(each).map(([selector, spec]) => `${selector}: ${specText(spec)}`);
      return [`<h3>${escaped(name)}${phase}</h3><pre>${escaped(selectors.join('\n'))}</pre>`];
    });
  });
  return `<section>
<h2>What the numbers depend on</h2>
<details><summary>Data, machine, versions</summary><dl>${facts.map(([name, value]) => `<dt>${escaped(name)}</dt><dd>${escaped(value)}</dd>`).join('')}</dl></details>
<details><summary>The recipes, in full</summary>${specs.join('')}</details>
</section>`;
}

function backendText({ backend }: RunManifest): string {
  return ['name', 'driver', 'threads'].flatMap((key) => (key in backend ? [String(backend[key])] : [])).join(', ');
}

function partition<T>(all: readonly T[], holds: (each: T) => boolean): [T[], T[]] {
  return [all.filter(holds), all.filter((each) => !holds(each))];
}

const thousands = (value: number) => value.toLocaleString('en');
