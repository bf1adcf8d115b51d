import { backendCases } from '@ghl/conformance';
import { afterAll, describe, it } from 'vitest';
import { backend } from './index.js';

afterAll(backend.deactivate);

describe('conformance', () => {
  for (const { title, run } of backendCases(backend)) it(title, run);
});
