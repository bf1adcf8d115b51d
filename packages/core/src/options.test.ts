import { expect, it } from 'vitest';
import { choice, flag, hyperparameter, number, readOptions, whole } from './options.js';
import { cosine } from './schedule.js';

const read = (options: unknown) =>
  readOptions('part', options, {
    rate: hyperparameter(0.5, { least: 0, most: 1 }),
    theta: number(1),
    mode: choice(['hard', 'soft'], 'soft'),
    divide: flag(false),
    winners: whole(1, { least: 1 }),
  });

it('supplies the default of each option that is absent', () => {
  expect(read({})).toEqual({ rate: 0.5, theta: 1, mode: 'soft', divide: false, winners: 1 });
  expect(read({ rate: undefined, theta: 2 })).toEqual({ rate: 0.5, theta: 2, mode: 'soft', divide: false, winners: 1 });
});

it('keeps the spec of a schedule', () => {
  expect(read({ rate: cosine(1, 10) }).rate).toHaveProperty('spec', { name: 'cosine', args: [1, 10] });
});

it.each([
  [{ rate: 2 }, 'BAD_VALUE', 'part rate is 2.'],
  [{ theta: 'x' }, 'BAD_VALUE', 'part theta is "x".'],
  [{ mode: 'firm' }, 'BAD_VALUE', 'part mode is "firm".'],
  [{ divide: 1 }, 'BAD_VALUE', 'part divide is 1.'],
  [{ winners: 1.5 }, 'BAD_VALUE', 'part winners is 1.5.'],
  [{ winners: 0 }, 'BAD_VALUE', 'part winners is 0.'],
  [{ tau: 1 }, 'UNKNOWN_OPTION', "part has no option 'tau'."],
  [0.5, 'BAD_VALUE', 'The options of part are 0.5.'],
])('rejects the options %j with %s', (options, code, summary) => {
  expect(() => read(options)).toThrow(expect.objectContaining({ code, summary }));
});

it('rejects the absence of an option that has no default', () => {
  const required = () => readOptions('part', {}, { on: choice(['a', 'b']) });
  expect(required).toThrow(expect.objectContaining({ code: 'BAD_VALUE', summary: 'part on is undefined.' }));
});
