import { defineConfig } from 'vitest/config';

const source = { conditions: ['@ghl/source'] };

export default defineConfig({
  resolve: source,
  ssr: { resolve: source },
  test: { include: ['{packages,apps}/*/src/**/*.test.ts'], testTimeout: 60_000 },
});
