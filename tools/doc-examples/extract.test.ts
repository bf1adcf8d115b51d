import { expect, it } from 'vitest';
import { fromPage, fromSource } from './extract.js';

it('finds the fences of a page, also nested ones, with the line of their code', () => {
  const page =
    '# Title\n\n```ts\nconst a = 1;\n```\n\n```sh\nls\n```\n\n- item\n\n  ```ts no-run\n  const b = 2;\n  ```\n';
  expect(fromPage(page, 'README.md')).toEqual([
    { at: 'README.md:4', code: 'const a = 1;', run: true },
    { at: 'README.md:14', code: 'const b = 2;', run: false },
  ]);
});

it('rejects fences that a mistake keeps from running', () => {
  expect(() => fromPage('```js\na\n```', 'a.md')).toThrow('a.md:2: mark the fence ```ts, not ```js');
  expect(() => fromPage('```ts norun\na\n```', 'a.md')).toThrow("'ts norun' is neither");
});

it('finds the fences of examples in TSDoc, once each', () => {
  const source = `
/**
 * A constant.
 *
 * @example
 * \`\`\`ts
 * console.log(one);
 * if (one) {
 *   console.log(2);
 * }
 * \`\`\`
 */
export const one = 1;

/** @returns \`\`\`ts no example \`\`\` */
export function f() {}

export interface I {
  /**
   * @example As text:
   * \`\`\`ts
   * m();
   * \`\`\`
   */
  m(): void;
}
`;
  expect(fromSource(source, 'a.ts')).toEqual([
    { at: 'a.ts:7', code: 'console.log(one);\nif (one) {\n  console.log(2);\n}', run: true },
    { at: 'a.ts:22', code: 'm();', run: true },
  ]);
});
