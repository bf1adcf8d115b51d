import { expect, it } from 'vitest';
// @ts-expect-error: a script, in plain JavaScript
import { checkProse, proseFiles, proseFindings } from './prose.mjs';

const findings = (text: string, file: string): string[] =>
  (proseFindings(text, file) as { line: number; problem: string }[]).map(({ line, problem }) => `${line}: ${problem}`);

it('finds no prose problem in the repository', () => {
  expect(checkProse(proseFiles())).toEqual([]);
});

it('finds a banned phrase across the lines of a page, with its line and an alternative', () => {
  expect(findings('# Title\n\nA kernel that\nis no\nproduct.\n', 'a.md')).toEqual([
    '4: “is no product”: “is not a …”, or “has no …”',
  ]);
});

it('ignores code, links, questions and correct phrases', () => {
  const page =
    'There is no loss; it is no longer read. See [a page](https://example.org/is-no-page), `this is no page`.\n\n' +
    '## What is this?\n\n```ts\n// This is no prose.\n```\n';
  expect(findings(page, 'a.md')).toEqual([]);
});

it('finds phrases in comments, strings and templates', () => {
  const source = [
    '/**',
    ' * A function.',
    ' *',
    ' * @returns A list that is no array, see `this is no code`.',
    ' */',
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a line of source
    'const f = () => { throw new Error(`This is no ${1}.`); };',
    '/**',
    ' * A constant.',
    ' *',
    ' * @example',
    ' * ```ts',
    ' * const text = "This is no prose.";',
    ' * ```',
    ' */',
    'const two = 2;',
    '// The rest goes',
    '// on here.',
    "it('is no title', f);",
  ].join('\n');
  expect(findings(source, 'a.ts').map((line) => line.replace(/”.*/, '”'))).toEqual([
    '4: “is no array”',
    '6: “is no x”',
    '16: “goes on”',
    '18: “is no title”',
  ]);
});

it('finds a sentence of more than 40 words, and counts each cell of a table alone', () => {
  const words = Array.from({ length: 41 }, () => 'word').join(' ');
  const problem = 'a sentence of 41 words: at most 40';
  expect(findings(`Short. ${words.replace(' ', '\n')}.`, 'a.md')).toContain(`1: ${problem}`);
  expect(findings(`// ${words}.`, 'a.ts')).toContain(`1: ${problem}`);
  expect(findings(`| a | b |\n| - | - |\n| ${words.replace(' ', ' | ')} |`, 'a.md')).toEqual([]);
});

it('finds prose wider than 120 columns, but no table, code or link', () => {
  const wide = 'word '.repeat(25);
  const problem = 'wider than 120 columns';
  expect(findings(`Short.\n${wide}`, 'a.md')).toEqual([`2: ${problem}`]);
  expect(findings(`const a = 1;\n// ${wide}`, 'a.ts')).toEqual([`2: ${problem}`]);
  expect(findings(`| ${wide} |\n| - |\n\n    ${wide}\n\n[link](a.md) ${wide}`, 'a.md')).toEqual([]);
  expect(findings(`const a = '${wide}';`, 'a.ts')).toEqual([]);
});
