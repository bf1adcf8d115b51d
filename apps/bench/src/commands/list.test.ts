import { expect, it } from 'vitest';
import { command } from './list.js';

it('lists the names of each kind, and describes each recipe', async () => {
  const listing = await command.run({});
  expect(command.document(listing)).toBe(listing);
  const text = command.text(listing);
  for (const names of Object.values(listing)) expect(text).toContain(names.join('  '));
  expect(text).toMatch(/^hpcaFastHebb +.*; 20 epochs in batches of 64, then 20 in batches of 64; data/m);
  expect(text).toMatch(/^ghl +soft winner-take-all times the sign of the gradient$/m);
});
