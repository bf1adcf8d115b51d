/** Work in a fresh process that does nothing else: one question, one answer. */
import { type ChildProcess, fork } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GhlError } from '@ghl/core';
import { type Failure, failureOf } from './failure.js';

const here = dirname(fileURLToPath(import.meta.url));

type Message<Answer> =
  | { readonly type: 'ready' }
  | { readonly type: 'done'; readonly answer: Answer }
  | { readonly type: 'failed'; readonly failure: Failure };

/** Who is asked, and what to say where the process ends before it answers. */
export interface Child {
  /** Its module, which calls {@link answerParent}, without `.js`. */
  readonly script: string;
  /** Code of the error, the process in words, as the subject of a sentence, and what can be done. */
  readonly died: { readonly code: string; readonly what: string; readonly help: string };
  /** Whether what it says on standard error is passed on; else it is shown only where the process dies. */
  readonly heard?: boolean;
}

/**
 * Starts a process and asks it.
 *
 * @throws GhlError what the process failed with, or that it died.
 */
export function askChild<Answer>({ script, died, heard = false }: Child, question: unknown): Promise<Answer> {
  return new Promise((found, fail) => {
    const child = fork(join(here, `${script}.js`), {
      stdio: ['ignore', 'pipe', heard ? 'inherit' : 'pipe', 'ipc'],
      serialization: 'advanced',
    });
    const said = lastWords(child);
    child.on('message', (message: Message<Answer>) => {
      if (message.type === 'ready') child.send(question as object);
      else if (message.type === 'done') found(message.answer);
      else fail(new GhlError(message.failure.code, message.failure.message, { help: message.failure.help }));
    });
    child.on('close', (status, signal) => {
      const how = `${died.what} ended with ${signal ?? `status ${status}`}. ${said()}`.trim();
      fail(new GhlError(died.code, how, { help: died.help }));
    });
  });
}

/** Listens to a process; what it said last, for where it dies. */
export function lastWords(child: ChildProcess): () => string {
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-2000);
    });
  }
  return () => said;
}

/** In the process: answers the question that comes, and ends. */
export async function answerParent<Question, Answer>(answer: (question: Question) => Promise<Answer>): Promise<void> {
  const say = (message: Message<Answer>) =>
    new Promise<void>((said) => process.send?.(message, undefined, {}, () => said()));
  process.once('disconnect', () => process.exit(1));
  process.once('message', async (question: Question) => {
    try {
      await say({ type: 'done', answer: await answer(question) });
    } catch (error) {
      await say({ type: 'failed', failure: failureOf(error) });
    }
    process.exit(0);
  });
  await say({ type: 'ready' });
}
