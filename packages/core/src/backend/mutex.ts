/**
 * A function that runs what it is given one after the other, in the order of its calls, whether or not one before
 * failed. An adapter's `activate` and `deactivate` take turns through it, since a page may mount, unmount and mount
 * again at once.
 *
 * @returns A function whose result is what it was given came to.
 */
export function mutex(): <Result>(run: () => Promise<Result>) => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve();
  return (run) => {
    const next = last.then(run);
    last = next.catch(() => {});
    return next;
  };
}
