/** Work in a fresh process that does nothing else: one question, one answer. */
import { type ChildProcess, fork } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ErrorCode, GhlError } from '@ghl/core';
import { errorOf, type Failure, failureOf } from './failure.js';

const here = dirname(fileURLToPath(import.meta.url));

type Message<Answer, Progress> =
  | { readonly type: 'ready' }
  | { readonly type: 'progress'; readonly progress: Progress }
  | { readonly type: 'done'; readonly answer: Answer }
  | { readonly type: 'failed'; readonly failure: Failure };

/** Who is asked, and what to say where the process ends before it answers. */
export interface Child {
  /** Its module, which calls {@link answerParent}, without `.js`. */
  readonly script: string;
  /** Code of the error, the process in words, as the subject of a sentence, and what can be done. */
  readonly died: { readonly code: ErrorCode; readonly what: string; readonly help: string };
  /** Whether what it says on standard error is passed on; else it is shown only where the process dies. */
  readonly heard?: boolean;
}

/**
 * Starts a process and asks it. Returns once the process has ended.
 *
 * @param onProgress Told what the process reports before its answer.
 * @throws GhlError what the process failed with, or that it died.
 */
export function askChild<Answer, Progress = never>(
  { script, died, heard = false }: Child,
  question: unknown,
  onProgress?: (progress: Progress) => void,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const child = fork(join(here, `${script}.js`), {
      stdio: ['ignore', 'pipe', heard ? 'inherit' : 'pipe', 'ipc'],
      serialization: 'advanced',
      execArgv: [],
    });
    const said = lastWords(child);
    let end: (() => void) | undefined;
    child.on('message', (message: Message<Answer, Progress>) => {
      if (message.type === 'ready') child.send(question as object);
      else if (message.type === 'progress') onProgress?.(message.progress);
      else if (message.type === 'done') end = () => resolve(message.answer);
      else end = () => reject(errorOf(message.failure));
    });
    const die = (how: string) => reject(new GhlError(died.code, `${died.what} ${how}`.trim(), died.help));
    child.on('error', (error) => die(`failed: ${error.message}.`));
    child.on('close', (status, signal) => {
      if (end) end();
      else die(`ended with ${signal ?? `status ${status}`}. ${said()}`);
    });
  });
}

/** Listens to a process; what it said last, for where it dies. */
function lastWords(child: ChildProcess): () => string {
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-2000);
    });
  }
  return () => said;
}

/** In the process: answers the question that comes, and ends. */
export async function answerParent<Question, Answer, Progress = never>(
  answer: (question: Question, report: (progress: Progress) => void) => Promise<Answer>,
): Promise<void> {
  const say = (message: Message<Answer, Progress>) =>
    new Promise<void>((said) => process.send?.(message, undefined, {}, () => said()));
  // Whoever asked is gone, so nobody waits for the answer.
  process.once('disconnect', () => process.exit(1));
  process.once('message', async (question: Question) => {
    try {
      await say({
        type: 'done',
        answer: await answer(question, (progress) => void say({ type: 'progress', progress })),
      });
    } catch (error) {
      await say({ type: 'failed', failure: failureOf(error) });
    }
    process.exit(0);
  });
  await say({ type: 'ready' });
}
