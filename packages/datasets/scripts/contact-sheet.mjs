/**
 * Draws four glyphs of every class, a column each, to a PNG: `npm run contact-sheet -w @ghl/datasets` writes
 * docs/images/glyphs.png.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { glyphs } from '@ghl/datasets';
import { PNG } from 'pngjs';

const ROWS = 4;
const ZOOM = 2;
const GAP = 2;
const to = fileURLToPath(new URL('../../../docs/images/glyphs.png', import.meta.url));

const { train, classes, shape } = await glyphs({ trainSize: ROWS * 10, validationSize: 0, testSize: 1 });
const [side, , channels] = shape;
const step = side * ZOOM + GAP;
const png = new PNG({ width: classes.length * step - GAP, height: ROWS * step - GAP, colorType: 2 });
png.data.fill(255);
const next = classes.map(() => 0);
for (let i = 0; i < train.size; i++) {
  const column = train.label(i);
  const row = next[column]++;
  const image = train.image(i);
  for (let y = 0; y < side * ZOOM; y++) {
    for (let x = 0; x < side * ZOOM; x++) {
      const from = (Math.floor(y / ZOOM) * side + Math.floor(x / ZOOM)) * channels;
      png.data.set(image.subarray(from, from + 3), ((row * step + y) * png.width + column * step + x) * 4);
    }
  }
}
mkdirSync(dirname(to), { recursive: true });
writeFileSync(to, PNG.sync.write(png));
