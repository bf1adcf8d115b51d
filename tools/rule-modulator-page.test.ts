import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
// @ts-expect-error: a script, in plain JavaScript
import { ruleModulatorPage } from './rule-modulator-page.mjs';

it('docs/reference/rule-modulator.md matches its cells', async () => {
  expect(await readFile('docs/reference/rule-modulator.md', 'utf8')).toBe(ruleModulatorPage());
});
