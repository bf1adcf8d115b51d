/** Answers with what one of the offers gives. */
import { offers } from './offers.js';

/** What the page gets. */
export type Answer = { readonly value: unknown } | { readonly error: string };

addEventListener('message', async ({ data: [name, ...parameters] }) => {
  const offer = offers[name as keyof typeof offers] as (...parameters: unknown[]) => Promise<unknown>;
  const answer: Answer = await offer(...parameters).then(
    (value) => ({ value }),
    (error: Error) => ({ error: `${error}` }),
  );
  postMessage(answer);
});
