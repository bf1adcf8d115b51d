/**
 * Writes docs/reference/backends.md from the reports in docs/reference/runs/backends: `node tools/backends-page.mjs`.
 * If `npm run test:matrix` has left new reports, it copies them there first.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const runs = join(root, 'docs/reference/runs/backends');

/** The page, from the recorded reports. */
export function backendsPage() {
  const reports = readdirSync(runs)
    .filter((file) => file.endsWith('.json'))
    .map((file) => ({ file, ...JSON.parse(readFileSync(join(runs, file), 'utf8')) }))
    .sort((a, b) => order(a) - order(b) || a.file.localeCompare(b.file, 'en', { numeric: true }));
  const names = [...new Set(reports.map(({ backend }) => backend))];
  return `${[
    '# Tests of each backend',
    '',
    '`tools/backends-page.mjs` writes this page from the reports in [runs/backends](runs/backends), which `npm run test:matrix`',
    'creates. In each runtime, a backend runs the conformance suite, which compares its kernels with float64. It also runs',
    'steps of GHL, whose losses are compared with those of `@ghl/backend-wasm`. Only runtimes that pass are listed.',
    '',
    '| backend | runtime | device | kernels, threads | conformance | loss after six steps | on |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...reports.map(runtimeRow),
    '',
    '## Kernels of a step of GHL',
    '',
    'The table lists the kernels that a step calls, with the dtypes of their inputs. **own** means that the package',
    'registers or replaces the kernel; the others are those of TensorFlow.js. A backend does not call a kernel that it',
    'fuses into another.',
    '',
    `| kernel | ${names.map((name) => `\`${name}\``).join(' | ')} |`,
    `| --- | ${names.map(() => '---').join(' | ')} |`,
    ...kernelRows(reports, names),
  ].join('\n')}\n`;
}

const order = ({ backend }) => ['wasm', 'webgpu', 'node-gpu'].indexOf(backend);

function runtimeRow({ backend, runtime, got, cases, failed, losses, date, file }) {
  const device = [got.device, got.driver].filter(Boolean).join('; ');
  const variant = [got.numerics?.variant, got.threads && `${got.threads}`].filter(Boolean).join(', ') || '–';
  const passed = `${cases - failed.length} of ${cases}`;
  return `| \`${backend}\` | [${runtime}](runs/backends/${file}) | ${device} | ${variant} | ${passed} | ${losses.at(-1).toFixed(5)} | ${date} |`;
}

function kernelRows(reports, names) {
  const all = [...new Set(reports.flatMap(({ kernels }) => Object.keys(kernels)))].sort();
  return all.map((kernel) => {
    const cells = names.map((name) => {
      const seen = reports.filter(({ backend, kernels }) => backend === name && kernel in kernels);
      const dtypes = [...new Set(seen.flatMap(({ kernels }) => kernels[kernel]))].sort().join(', ') || 'none';
      const own = seen.some(({ got }) => got.kernels.includes(kernel));
      return seen.length === 0 ? '–' : own ? `**own**: ${dtypes}` : dtypes;
    });
    return `| ${kernel} | ${cells.join(' | ')} |`;
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const fresh = join(root, 'node_modules/.cache/matrix/reports');
  mkdirSync(runs, { recursive: true });
  if (existsSync(fresh)) cpSync(fresh, runs, { recursive: true });
  writeFileSync(join(root, 'docs/reference/backends.md'), backendsPage());
}
