/** Writes the report of a backend in a runtime, for `tools/backends-page.mjs`. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Report } from './smoke.js';

const folder = resolve('node_modules/.cache/matrix/reports');

/** @param runtime Name and version of the runtime: `'Node 24.21.0'`. */
export async function record(backend: string, runtime: string, report: Report): Promise<void> {
  await mkdir(folder, { recursive: true });
  const file = `${backend}-${runtime}`.toLowerCase().replaceAll(/[^a-z0-9.]+/g, '-');
  const entry = { backend, runtime, date: new Date().toISOString().slice(0, 10), ...report };
  await writeFile(join(folder, `${file}.json`), `${JSON.stringify(entry, null, 1)}\n`);
}
