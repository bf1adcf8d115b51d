/**
 * Writes docs/reference/rule-modulator.md from the cells in docs/reference/runs/rule-modulator, which `bench products`
 * measures: `npm run products` does both.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const runs = join(root, 'docs/reference/runs/rule-modulator');
const page = join(root, 'docs/reference/rule-modulator.md');

/** The page, from the cells. */
export function ruleModulatorPage() {
  const cells = readdirSync(runs)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => ({ file, ...JSON.parse(readFileSync(join(runs, file), 'utf8'), decode) }));
  const { settings, machine } = cells[0];
  const rules = [...new Set(cells.map(({ rule }) => rule))].sort();
  const modulators = [...new Set(cells.map(({ modulator }) => modulator))].sort((a, b) =>
    a === null ? -1 : b === null ? 1 : a.localeCompare(b),
  );
  const rows = rules.map((rule) => {
    const own = modulators.map((modulator) => cells.find((cell) => cell.rule === rule && cell.modulator === modulator));
    return `| \`${rule}\` | ${own.map(cellText).join(' | ')} |`;
  });
  const refused = cells.filter(({ refusal }) => refusal !== null);
  const failed = cells.filter(({ seeds }) => seeds.some(({ failure }) => failure !== null));
  const measured = cells.length - refused.length;
  return `# Rule × modulator

\`npm run products\` measures each cell and writes this page. Finished cells are kept, so that it resumes.
${sentence(measured, refused.length)}

A cell trains \`${settings.network}\` on ${settings.trainSize} generated glyphs for ${settings.epochs} epochs in batches of ${settings.batch}, with seeds
0 to ${settings.seeds - 1}, as \`bench run --rule RULE --modulator MODULATOR\` does. The rule is in \`maxAbs\`, and options have their
defaults. The step sizes are those of the network. No step size was tuned for a
cell, so a low accuracy is not a verdict on a rule. Only the convolutions learn by the product; the classifier descends
its gradient.

The numbers of a cell are:

- test accuracy in %, mean ± standard deviation over seeds; chance is 10 %
- time of a step divided by that of a step of back-propagation, made alternately on the same batches (median)
- alignment: the cosine of the increment with −∂L/∂W at the last measurement, mean over convolutions and seeds

Measured on ${machine.cpu}, Node ${machine.node}, backend \`${settings.backend}\` with one thread.

| rule | ${modulators.map((name) => (name === null ? 'no modulator' : `\`${name}\``)).join(' | ')} |
| --- | ${modulators.map(() => '---').join(' | ')} |
${rows.join('\n')}
${list(
  'Refused cells',
  'Rule and modulator do not go together.',
  refused.map((cell) => reason(cell, cell.refusal)),
)}${list(
  'Runs that ended early',
  'The other seeds of the cell count.',
  failed.flatMap((cell) =>
    cell.seeds.filter(({ failure }) => failure).map(({ seed, failure }) => reason(cell, failure, `, seed ${seed}`)),
  ),
)}`;
}

/** The bench writes NaN and ±∞, which JSON lacks, as strings. */
const decode = (_, value) => (['NaN', 'Infinity', '-Infinity'].includes(value) ? Number(value) : value);

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

function sentence(measured, refused) {
  return `${measured} ${measured === 1 ? 'cell is' : 'cells are'} measured and ${refused} ${refused === 1 ? 'is' : 'are'} refused. An empty cell was not measured.`;
}

function cellText(cell) {
  if (cell === undefined) return '';
  const { refusal, seeds, stepRatio, file } = cell;
  if (refusal !== null) return '[refused](#refused-cells)';
  const finished = seeds.filter(({ failure }) => failure === null);
  if (finished.length === 0) return '[ended early](#runs-that-ended-early)';
  const accuracies = finished.map(({ testAccuracies }) => 100 * testAccuracies.at(-1));
  const middle = mean(accuracies);
  const spread = Math.sqrt(
    mean(accuracies.map((each) => (each - middle) ** 2)) * (accuracies.length / (accuracies.length - 1)),
  );
  const cosines = finished.flatMap(({ alignment }) => Object.values(alignment));
  return [
    `[${middle.toFixed(1)}${Number.isFinite(spread) ? ` ± ${spread.toFixed(1)}` : ''}](runs/rule-modulator/${file})`,
    stepRatio === null ? '–' : `×${stepRatio.median.toFixed(2)}`,
    cosines.length === 0 ? '–' : mean(cosines).toFixed(2).replace('-', '−'),
  ].join('; ');
}

function reason({ rule, modulator }, { code, message }, more = '') {
  return `| \`${rule}\` × ${modulator === null ? 'no modulator' : `\`${modulator}\``}${more} | \`${code}\` | ${message.replaceAll('|', '\\|')} |`;
}

function list(title, text, lines) {
  return lines.length === 0
    ? ''
    : `\n## ${title}\n\n${text}\n\n| cell | code | reason |\n| --- | --- | --- |\n${lines.join('\n')}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(page, ruleModulatorPage());
