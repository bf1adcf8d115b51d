/** Ends a run with `N passed, N failed, N skipped` on a separate line, to count tests in a log. */
import type { Reporter } from 'vitest/node';

/** A vitest reporter. */
export const closingLine = (): Reporter => ({
  onTestRunEnd(modules, unhandledErrors) {
    const count = { passed: 0, failed: unhandledErrors.length, skipped: 0, pending: 0 };
    for (const module of modules) {
      // A file that fails before its first test counts as one failure.
      count.failed += module.errors().length;
      for (const test of module.children.allTests()) count[test.result().state]++;
    }
    // After the summary of the default reporter, which runs at the same time.
    process.once('exit', () => {
      process.stdout.write(
        `${count.passed} passed, ${count.failed} failed, ${count.skipped + count.pending} skipped\n`,
      );
    });
  },
});
