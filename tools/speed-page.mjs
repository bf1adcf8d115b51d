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

/** The page that the recorded documents make. */
export function speedPage() {
  const files = readdirSync(runs).filter((file) => file.endsWith('.json'));
  const found = files.sort().map((file) => ({ file, ...JSON.parse(readFileSync(join(runs, file), 'utf8')) }));
  return `${[
    '# Speed',
    'Written by `tools/speed-page.mjs` from the documents in [runs/speed](runs/speed), which hold every step’s time. The command is',
    '`npm run -s bench -- speed --network NAME --data DIR --against pytorch --json`, with CIFAR-10 in DIR and a `python3` that has torch;',
    'the steps of all that is compared are made by turns in one process and one beside it, on the same cores. A step is the median',
    '± the median absolute deviation; GFLOP/s count direct convolutions; memory is the peak of a process of its own. Where the time',
    'goes, and what bounds it: [kernels](../design/kernels.md).',
    ...found.map(section),
  ].join('\n')}`.replace('# Speed\n', '# Speed\n\n');
}

function section({ file, network, batch, threads, recipes, pytorch, environment, steps, ...rest }) {
  const { gemmPeakGflops, ghlToBackprop, ghlToBackpropSpread, numerics, loadBefore } = rest;
  const ours = Object.entries(recipes).map(([name, speed]) => row(`ours, \`${name}\``, speed));
  const theirs = pytorch ? Object.entries(pytorch.ways).map(([way, speed]) => row(`PyTorch, ${ways[way]}`, speed)) : [];
  const quotients = Object.entries(pytorch?.oursToTheirs.ghl ?? {}).map(([way, q]) => `${q.toFixed(2)} × ${ways[way]}`);
  return `
## ${network}, batch ${batch}, Node ${environment.versions.node.split('.')[0]}

${[`Node ${environment.versions.node}`, `${threads} threads of ${environment.cpu}`, `kernels \`${numerics?.variant}\``].join(', ')}; ${steps} steps each,
load before ${loadBefore.toFixed(1)}${pytorch ? `; PyTorch ${pytorch.versions.torch}` : ''} ([all numbers](runs/speed/${file})).

| | ms a step | images/s | GFLOP/s | peak MiB |
| --- | --- | --- | --- | --- |
${[...ours, ...theirs].join('\n')}

GHL/BP ${ghlToBackprop.toFixed(2)} ± ${ghlToBackpropSpread.toFixed(2)}. GEMM peak ${gemmPeakGflops.toFixed(0)} GFLOP/s${pytorch ? `, PyTorch's ${pytorch.gemmPeakGflops.toFixed(0)}` : ''}; \`ghl\` runs at
${recipes.ghl.ofGemmPeak.toFixed(2)} of ours, in ${(recipes.ghl.peakRssMiB / recipes.backprop.peakRssMiB).toFixed(2)} of back-propagation's memory.${quotients.length > 0 ? `\nGHL's speed: ${quotients.join(', ')} in PyTorch.` : ''}`;
}

function row(name, { msPerStep, msSpread, imagesPerSecond, effectiveGflops, peakRssMiB }) {
  return `| ${[name, `${msPerStep.toFixed(0)} ± ${msSpread.toFixed(0)}`, imagesPerSecond.toFixed(0), effectiveGflops.toFixed(0), peakRssMiB.toFixed(0)].join(' | ')} |`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(page, `${speedPage()}\n`);
