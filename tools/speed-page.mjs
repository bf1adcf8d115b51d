/**
 * Writes docs/reference/speed.md from the documents that `npm run -s bench -- speed … --json` printed into
 * docs/reference/runs/speed: `node tools/speed-page.mjs`.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const runs = join(root, 'docs/reference/runs/speed');
const page = join(root, 'docs/reference/speed.md');

const ways = { backprop: 'back-propagation', ghlPublished: 'GHL as published', ghlGradient: 'GHL by one gradient' };

/** The page, from the recorded documents. */
export function speedPage() {
  const files = readdirSync(runs).filter((file) => file.endsWith('.json'));
  const documents = files
    .sort()
    .map((file) => ({ file, ...JSON.parse(readFileSync(join(runs, file), 'utf8'), decode) }));
  return `# Speed

\`tools/speed-page.mjs\` writes this page from the documents in [runs/speed](runs/speed), which contain the time of
every step. The command is

    npm run -s bench -- speed --network NAME --data DIR --against pytorch --json

with CIFAR-10 in DIR and a \`python3\` that has torch, or with \`--backend node-gpu\`. All candidates are timed
interleaved: ours in one process, and PyTorch in a second process on the same cores. A step is the median ± the median
absolute deviation. GFLOP/s count direct convolutions. Memory is the peak of a separate process.
[Kernels](../design/kernels.md) explains the time of each part and its limit.

The table compares GHL at batch ${[...new Set(documents.map(({ batch }) => batch))].join(', ')} with three ways in PyTorch on the same machine at the same time. Each × is a
quotient of speeds: above 1, this software is faster.

| | images/s | GHL/BP | ÷ GEMM peak | × ${Object.values(ways).join(' | × ')} |
| --- | --- | --- | --- | --- | --- | --- |
${documents.map(line).join('\n')}
${documents.map(section).join('\n')}`;
}

/** The bench writes NaN and ±∞, which JSON lacks, as strings. */
const decode = (_, value) => (['NaN', 'Infinity', '-Infinity'].includes(value) ? Number(value) : value);

const title = ({ network, backend, environment }) =>
  `${network} on ${backend}, Node ${environment.versions.node.split('.')[0]}, ${environment.cpu.match(/Xeon|EPYC/)?.[0] ?? environment.cpu}`;

function line({ recipes: { ghl }, ghlToBackprop, pytorch, ...run }) {
  const quotients = Object.keys(ways).map((way) => pytorch?.oursToTheirs.ghl[way].toFixed(2) ?? '–');
  return `| ${[title(run), ghl.imagesPerSecond.toFixed(0), ghlToBackprop.toFixed(2), ghl.ofGemmPeak.toFixed(2), ...quotients].join(' | ')} |`;
}

function section({ file, threads, recipes, pytorch, steps, ghlToBackprop, ghlToBackpropSpread, ...run }) {
  const { environment, gemmPeakGflops, numerics, loadBefore } = run;
  const ours = Object.entries(recipes).map(([name, speed]) => row(`ours, \`${name}\``, speed));
  const theirs = Object.entries(pytorch?.ways ?? {}).map(([way, speed]) => row(`PyTorch, ${ways[way]}`, speed));
  return `
## ${title(run)}

Node ${environment.versions.node}, ${threads} threads of ${environment.cpu}${numerics ? `, kernels \`${numerics.variant}\`` : ''}; ${steps} steps each; load before
${loadBefore.toFixed(1)}; commit ${environment.git.commit.slice(0, 7)}${pytorch ? `; PyTorch ${pytorch.versions.torch}` : ''} ([all numbers](runs/speed/${file})).

| | ms per step | images/s | GFLOP/s | peak MiB |
| --- | --- | --- | --- | --- |
${[...ours, ...theirs].join('\n')}

GHL/BP ${ghlToBackprop.toFixed(2)} ± ${ghlToBackpropSpread.toFixed(2)}, in ${(recipes.ghl.peakRssMiB / recipes.backprop.peakRssMiB).toFixed(2)} of back-propagation's memory. GEMM peak ${gemmPeakGflops.toFixed(0)} GFLOP/s${pytorch ? `, PyTorch's ${pytorch.gemmPeakGflops.toFixed(0)}` : ''}.`;
}

function row(name, { msPerStep, msSpread, imagesPerSecond, effectiveGflops, peakRssMiB }) {
  return `| ${[name, `${msPerStep.toFixed(0)} ± ${msSpread.toFixed(0)}`, imagesPerSecond.toFixed(0), effectiveGflops.toFixed(0), peakRssMiB.toFixed(0)].join(' | ')} |`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(page, `${speedPage()}\n`);
