/**
 * Copies the patches that excite the convolutions of an inspected run to docs/images/learned-<layer>.png:
 * `npm run learned-images DIR/<recipe>/<seed> conv2 conv3`, after `bench inspect DIR`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const [run = '', ...names] = process.argv.slice(2);
const { layers } = JSON.parse(readFileSync(join(run, 'inspection.json'), 'utf8'));
for (const { layer, patches } of layers) {
  if (patches === null || !names.includes(layer)) continue;
  const bytes = Buffer.from(patches.url.slice(patches.url.indexOf(',') + 1), 'base64');
  writeFileSync(fileURLToPath(new URL(`../docs/images/learned-${layer}.png`, import.meta.url)), bytes);
}
