/** A separate process for one request and one answer. */
import { type ChildProcess, fork } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ErrorCode, GhlError } from '@ghl/core';
import { type Failure, failureOf } from '@ghl/race';
import { errorOf } from './failure.js';

const source = join(dirname(fileURLToPath(import.meta.url)), '..');

type Message<Answer, Progress> =
  | { readonly type: 'ready' }
  | { readonly type: 'progress'; readonly progress: Progress }
  | { readonly type: 'done'; readonly answer: Answer }
  | { readonly type: 'failed'; readonly failure: Failure };

/** A process to start, and the error if it ends before it answers. */
export interface Child {
  /** Its module below the source folder, which calls {@link serve}, without `.js`. */
  readonly script: string;
  /** Code of the error, the process as the subject of a sentence, and the remedy. */
  readonly died: { readonly code: ErrorCode; readonly what: string; readonly help: string };
  /** Whether to print its standard error; otherwise the error shows the end of it if the process ends early. */
  readonly inheritStderr?: boolean;
}

/**
 * Starts a process and sends it a request. Returns once the process has ended.
 *
 * @param onProgress Receives the reports of the process before its answer.
 * @throws GhlError the error of the process, or that it ended early.
 */
export function askChild<Answer, Progress = never>(
  { script, died, inheritStderr = false }: Child,
  request: unknown,
  onProgress?: (progress: Progress) => void,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const child = fork(join(source, `${script}.js`), {
      stdio: ['ignore', 'pipe', inheritStderr ? 'inherit' : 'pipe', 'ipc'],
      serialization: 'advanced',
      execArgv: [],
    });
    const tail = outputTail(child);
    let end: (() => void) | undefined;
    child.on('message', (message: Message<Answer, Progress>) => {
      if (message.type === 'ready') child.send(request as object);
      else if (message.type === 'progress') onProgress?.(message.progress);
      else if (message.type === 'done') end = () => resolve(message.answer);
      else end = () => reject(errorOf(message.failure));
    });
    const die = (how: string) => reject(new GhlError(died.code, `${died.what} ${how}`.trim(), died.help));
    child.on('error', (error) => die(`failed: ${error.message}.`));
    child.on('close', (status, signal) => {
      if (end) end();
      else die(`ended with ${signal ?? `status ${status}`}. ${tail()}`);
    });
  });
}

/** Collects the output of a process; the result returns the last of it. */
function outputTail(child: ChildProcess): () => string {
  let tail = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      tail = (tail + chunk.toString()).slice(-2000);
    });
  }
  return () => tail;
}

/** In the process: answers one request, and ends. */
export async function serve<Request, Answer, Progress = never>(
  answer: (request: Request, report: (progress: Progress) => void) => Promise<Answer>,
): Promise<void> {
  const send = (message: Message<Answer, Progress>) =>
    new Promise<void>((done) => process.send?.(message, undefined, {}, () => done()));
  // The parent has ended, so no process waits for the answer.
  process.once('disconnect', () => process.exit(1));
  process.once('message', async (request: Request) => {
    try {
      await send({
        type: 'done',
        answer: await answer(request, (progress) => void send({ type: 'progress', progress })),
      });
    } catch (error) {
      await send({ type: 'failed', failure: failureOf(error) });
    }
    process.exit(0);
  });
  await send({ type: 'ready' });
}
