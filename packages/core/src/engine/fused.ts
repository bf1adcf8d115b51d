/** The third phase as a program for a backend that runs it in one kernel. */
import { MAX_OPERATIONS, type Operation } from '../backend/kernels.js';
import type { Plasticity } from '../plasticity.js';
import { countUnconstrained } from './increment.js';

/**
 * The operations that are equivalent to {@link computeIncrement} at a step, for a backend that fuses them. Null if a
 * part of the plasticity has state or no operation, if its head is a sum, or if there are more than
 * {@link MAX_OPERATIONS}.
 *
 * @param scale Factor of the increment, which acts before the constraints of the weights. Default 1, which costs no
 * operation.
 */
export function fusedOperations(plasticity: Plasticity, step: number, scale = 1): Operation[] | null {
  const { rule, modulator, transforms, terms } = plasticity;
  if (terms !== undefined) return null;
  const last = countUnconstrained(plasticity);
  const operations = transforms.map((transform) => transform.operation?.(step));
  const head: Operation = rule === null ? ['gradient'] : rule.active === false ? ['one'] : ['eligibility'];
  const parts = [
    head,
    ...(rule?.wrappers ?? []).map(({ operation }) => operation),
    ...(modulator === null ? [] : [modulator.actsOn === 'weights' ? modulator.operation : undefined]),
    ...operations.slice(0, last),
    ...(scale === 1 ? [] : [['scale', scale] as const]),
    ...operations.slice(last),
  ];
  return parts.length <= MAX_OPERATIONS && parts.every((part) => part !== undefined) ? parts : null;
}
