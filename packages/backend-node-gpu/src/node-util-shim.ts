/**
 * Functions of `util` that TensorFlow.js's package for Node calls: `isNullOrUndefined`, with every operation, which
 * Node 23 removed, and `isArray`, with every list of tensors, which is deprecated.
 */
import util from 'node:util';

const functions: Readonly<Record<string, (value: unknown) => boolean>> = {
  isNullOrUndefined: (value) => value === null || value === undefined,
  isArray: (value) => Array.isArray(value),
};

/** Functions that were restored. */
export interface NodeUtilShim {
  /** Their names; empty if none was missing. */
  readonly names: readonly string[];
  /** Removes them. */
  undo(): void;
}

/** Restores the functions that are missing. */
export function shimNodeUtil(target: object = util): NodeUtilShim {
  const names = Object.keys(functions).filter((name) => !(name in target));
  for (const name of names) {
    Object.defineProperty(target, name, {
      value: functions[name],
      configurable: true,
      enumerable: true,
      writable: true,
    });
  }
  return {
    names,
    undo() {
      for (const name of names) {
        if (Reflect.get(target, name) === functions[name]) Reflect.deleteProperty(target, name);
      }
    },
  };
}
