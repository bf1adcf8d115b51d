/** Runs another program, shows its standard error, and returns its output. */
import { spawn } from 'node:child_process';

/** The result of a program. */
export interface CommandResult {
  /** Whether it started and ended with status 0. */
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

const signals = ['SIGINT', 'SIGTERM'] as const;

/**
 * Runs a program. A signal that ends this process also ends the program: a download would continue for minutes.
 *
 * @param visible Whether the program writes to the terminal while it runs. Its standard output, such as a progress bar,
 * is then not in the result.
 */
export function run(program: string, parameters: readonly string[], visible = false): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(program, parameters, { stdio: ['ignore', visible ? 2 : 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    let received: NodeJS.Signals | undefined;
    const pass = (signal: NodeJS.Signals) => {
      received = signal;
      // A terminal sends it to the program too: give it time to clean up.
      setTimeout(() => child.kill(signal), signal === 'SIGINT' ? 1000 : 0).unref();
    };
    for (const signal of signals) process.on(signal, pass);
    const settle = (result: CommandResult) => {
      for (const signal of signals) process.off(signal, pass);
      // Without a listener, the signal now has its default effect.
      if (received !== undefined) process.kill(process.pid, received);
      resolve(result);
    };
    child.stdout?.on('data', (text) => {
      stdout += text;
    });
    child.stderr?.on('data', (text) => {
      stderr += text;
      if (visible) process.stderr.write(text);
    });
    child.on('error', (error) => settle({ ok: false, stdout, stderr: stderr || error.message }));
    child.on('close', (status) => settle({ ok: status === 0, stdout, stderr }));
  });
}

/** The last lines of the output of a program. */
export function lastLines(text: string, count = 4): string {
  return text.trim().split('\n').slice(-count).join('\n');
}
