/** Runs another program, shows what it says on standard error, and hands back what it said. */
import { spawn } from 'node:child_process';

/** How a program ended. */
export interface CommandResult {
  /** Whether it could be started and ended with status 0. */
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

const signals = ['SIGINT', 'SIGTERM'] as const;

/**
 * Ends with the program where a signal ends this process meanwhile: a download would go on for minutes.
 *
 * @param shown Whether it writes to the terminal while it runs: its standard output, such as a bar of progress, is not
 * in the result then.
 */
export function run(program: string, parameters: readonly string[], shown = false): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(program, parameters, { stdio: ['ignore', shown ? 2 : 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    let received: NodeJS.Signals | undefined;
    const pass = (signal: NodeJS.Signals) => {
      received = signal;
      // A terminal gives it to the program too, which then tidies up and is not to be disturbed.
      setTimeout(() => child.kill(signal), signal === 'SIGINT' ? 1000 : 0).unref();
    };
    for (const signal of signals) process.on(signal, pass);
    const settle = (result: CommandResult) => {
      for (const signal of signals) process.off(signal, pass);
      // Nobody else listens: it does now what it would have done at once.
      if (received !== undefined) process.kill(process.pid, received);
      resolve(result);
    };
    child.stdout?.on('data', (text) => {
      stdout += text;
    });
    child.stderr?.on('data', (text) => {
      stderr += text;
      if (shown) process.stderr.write(text);
    });
    child.on('error', (error) => settle({ ok: false, stdout, stderr: stderr || error.message }));
    child.on('close', (status) => settle({ ok: status === 0, stdout, stderr }));
  });
}

/** The last lines of what a program said. */
export function lastLines(text: string, count = 4): string {
  return text.trim().split('\n').slice(-count).join('\n');
}
