/** Runs another program, shows what it says on standard error, and hands back what it said. */
import { spawn } from 'node:child_process';

/** How a program ended. */
export interface Ended {
  /** Whether it could be started and ended with status 0. */
  readonly ok: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * @param shown Whether it writes to the terminal while it runs: its standard output, such as a bar of progress, is not in
 * the result then.
 */
export function run(program: string, parameters: readonly string[], shown = false): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(program, parameters, { stdio: ['ignore', shown ? 2 : 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout?.on('data', (text) => {
      stdout += text;
    });
    child.stderr?.on('data', (text) => {
      stderr += text;
      if (shown) process.stderr.write(text);
    });
    child.on('error', (error) => resolve({ ok: false, stdout, stderr: stderr || error.message }));
    child.on('close', (status) => resolve({ ok: status === 0, stdout, stderr }));
  });
}

/** The last lines of what a program said. */
export function lastLines(text: string, count = 4): string {
  return text.trim().split('\n').slice(-count).join('\n');
}
