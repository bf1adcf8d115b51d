/** Keeps the output of the page, for a browser whose driver does not report it. Imported first. */
const printed: string[] = [];
const output = globalThis.console;
for (const method of ['debug', 'log', 'info', 'warn', 'error'] as const) {
  const print = output[method];
  output[method] = (...values: unknown[]) => {
    printed.push(values.join(' '));
    print(...values);
  };
}
addEventListener('error', ({ message }) => printed.push(message));
addEventListener('unhandledrejection', ({ reason }) => printed.push(`${reason}`));
Object.assign(globalThis, { printed });
