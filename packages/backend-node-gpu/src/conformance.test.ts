import { backendCases } from '@ghl/conformance';
import { afterAll, describe, it } from 'vitest';
import { backend } from './index.js';

const support = await backend.isSupported();
if (!support.supported) {
  process.stderr.write(
    `Skipped: conformance of @ghl/backend-node-gpu. ${support.reason} 'npm run test:matrix' installs it.\n`,
  );
}

afterAll(backend.deactivate);

describe.runIf(support.supported)('conformance', () => {
  for (const { title, run } of backendCases(backend)) it(title, run);
});
