/** Answers a message with the result of one of the offers. */
import { offers } from './offers.js';

/** The answer to the page. */
export type Answer = { readonly value: unknown } | { readonly error: string };

addEventListener('message', async ({ data: [name, ...parameters] }) => {
  const offer = offers[name as keyof typeof offers] as (...parameters: unknown[]) => Promise<unknown>;
  const answer: Answer = await offer(...parameters).then(
    (value) => ({ value }),
    (error: Error) => ({ error: `${error}` }),
  );
  postMessage(answer);
});
