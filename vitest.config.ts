import { defineConfig } from 'vitest/config';
import { closingLine } from './tools/vitest/closing-line.js';

// Packages find each other's source through this export condition. Only the tests of the packed packages need a build.
const source = { conditions: ['@ghl/source'] };

export default defineConfig({
  resolve: source,
  ssr: { resolve: source },
  test: {
    reporters: process.env.CI ? ['default', closingLine()] : ['default'],
    testTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['{packages,apps}/*/src/**/*.test.ts', 'tools/**/*.test.ts'],
          exclude: ['packages/backend-webgpu/**'],
          setupFiles: ['tools/vitest/setup.ts'],
        },
      },
      {
        extends: true,
        test: {
          name: 'webgpu',
          include: ['packages/backend-webgpu/src/**/*.test.ts'],
          setupFiles: ['tools/vitest/setup.ts', 'tools/vitest/software-gpu.ts'],
        },
      },
      {
        extends: true,
        test: {
          name: 'types',
          include: [],
          typecheck: {
            enabled: true,
            only: true,
            include: ['{packages,apps}/*/src/**/*.test-d.ts'],
            tsconfig: 'tsconfig.check.json',
            // An error in a source file is `npm run types`'s to report, once.
            ignoreSourceErrors: true,
          },
        },
      },
      {
        extends: true,
        test: {
          name: 'docs',
          include: ['tools/doc-examples/*.docs.ts'],
          hookTimeout: 120_000, // type-checks all examples, which takes long on a busy machine
          setupFiles: ['tools/vitest/software-gpu.ts'],
        },
      },
      {
        extends: true,
        test: { name: 'integration', include: ['tests/*.test.ts'], testTimeout: 300_000, hookTimeout: 300_000 },
      },
      {
        extends: true,
        test: { name: 'matrix', include: ['tests/matrix/*.test.ts'], testTimeout: 300_000, hookTimeout: 300_000 },
      },
    ],
  },
});
