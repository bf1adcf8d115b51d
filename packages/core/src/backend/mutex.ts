/**
 * An async mutex. Calls run one at a time, in call order, even if an earlier call failed. `activate` and `deactivate`
 * of an adapter share one, because a page may mount, unmount and mount again at once.
 *
 * @returns A function that runs its argument and settles with the result of that call.
 */
export function mutex(): <Result>(run: () => Promise<Result>) => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve();
  return (run) => {
    const next = last.then(run);
    last = next.catch(() => {});
    return next;
  };
}
