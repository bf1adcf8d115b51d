/**
 * Checks the English of the repository: Markdown pages, comments, error messages and test titles.
 *
 *     npm run prose                      # everything
 *     npm run prose -- packages/core     # some folders or files
 *
 * Prints `file:line: problem` and exits with 1 if there is a problem.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { fromMarkdown } from 'mdast-util-from-markdown';
import ts from 'typescript';
import { phrases } from './prose-phrases.mjs';

const WIDTH = 120;
const WORDS = 40;

/**
 * A piece of prose: a paragraph, a heading, a table cell or a string.
 *
 * @typedef {{ line: number, text: string, isSentence: boolean }} Block
 * @typedef {{ line: number, problem: string }} Finding
 */

/** Code, links and other text without words: one word of the same length. */
const mask = (text) => text.replace(/[^\n]/g, 'x');

/** The blocks of Markdown text whose first line is line `first` of its file. */
function markdownBlocks(text, first) {
  const blocks = [];
  const visit = (node) => {
    if (['paragraph', 'heading'].includes(node.type)) {
      blocks.push(
        ...cells({ line: first + node.position.start.line - 1, text: proseOf(node, text), isSentence: true }),
      );
    } else for (const child of node.children ?? []) visit(child);
  };
  visit(fromMarkdown(text));
  return blocks;
}

/** The cells of a table, which the parser takes for a paragraph; any other block as it is. */
function cells(block) {
  const lines = block.text.split('\n');
  if (!/^[\s|:-]*\|[\s|:-]*$/.test(lines[1] ?? '')) return [block];
  return lines.flatMap((line, i) =>
    line.split(/(?<!\\)\|/).map((cell) => ({ ...block, line: block.line + i, text: cell })),
  );
}

/** The source of a Markdown node, with code, HTML and the targets of links masked. */
function proseOf(node, text) {
  let prose = text.slice(node.position.start.offset, node.position.end.offset);
  const replace = (start, end, by) => {
    const [from, to] = [start - node.position.start.offset, end - node.position.start.offset];
    prose = prose.slice(0, from) + by(prose.slice(from, to)) + prose.slice(to);
  };
  const visit = (child) => {
    const { start, end } = child.position;
    if (['inlineCode', 'html', 'image'].includes(child.type)) replace(start.offset, end.offset, mask);
    else if (child.type === 'link' && child.children.length > 0) {
      const blank = (gap) => gap.replace(/[^\n]/g, ' ');
      replace(start.offset, child.children[0].position.start.offset, blank);
      replace(child.children.at(-1).position.end.offset, end.offset, blank);
    }
    for (const grandchild of child.children ?? []) visit(grandchild);
  };
  for (const child of node.children) visit(child);
  return prose;
}

/** Lines of Markdown prose that are too wide. Tables, code and lines with a link are not wrapped. */
function wideLines(text) {
  const lines = text.split('\n');
  const isWide = (line) => [...line].length > WIDTH && !/^\s*\||\]\(|https?:\/\//.test(line);
  const wide = new Set();
  const visit = (node) => {
    if (node.type === 'paragraph') {
      for (let { line } = node.position.start; line <= node.position.end.line; line++) {
        if (isWide(lines[line - 1])) wide.add(line);
      }
    } else for (const child of node.children ?? []) visit(child);
  };
  visit(fromMarkdown(text));
  return [...wide].map((line) => ({ line, problem: `wider than ${WIDTH} columns` }));
}

/** The comments and the strings of a source file. */
function sourceBlocks(text, file) {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const lineAt = (position) => source.getLineAndCharacterOfPosition(position).line + 1;
  const comments = new Map();
  const strings = [];
  const visit = (node) => {
    if (ts.isStringLiteralLike(node)) strings.push({ node, text: node.text });
    else if (ts.isTemplateExpression(node)) {
      strings.push({
        node,
        text: node.head.text + node.templateSpans.map(({ literal }) => `x${literal.text}`).join(''),
      });
    }
    const children = node.kind === ts.SyntaxKind.JSDoc ? [] : node.getChildren(source);
    if (children.length === 0) {
      const ranges = [
        ...(ts.getLeadingCommentRanges(text, node.pos) ?? []),
        ...(ts.getTrailingCommentRanges(text, node.end) ?? []),
      ];
      for (const range of ranges) comments.set(range.pos, range);
    }
    for (const child of children) visit(child);
  };
  visit(source);
  const blocks = strings
    .filter((string) => /\S\s+\S/.test(string.text))
    .map((string) => ({ line: lineAt(string.node.getStart(source)), text: string.text, isSentence: false }));
  return { blocks: [...blocks, ...commentBlocks([...comments.values()], text, lineAt)], comments, lineAt };
}

/** The prose of comments: adjacent `//` lines are one comment, each tag of TSDoc begins a block. */
function commentBlocks(ranges, text, lineAt) {
  const parts = [];
  for (const { pos, end, kind } of ranges.sort((a, b) => a.pos - b.pos)) {
    const line = lineAt(pos);
    const isLine = kind === ts.SyntaxKind.SingleLineCommentTrivia;
    const last = parts.at(-1);
    if (isLine && last?.isLine && last.end === line - 1 && last.column === columnOf(text, pos)) {
      last.lines.push(text.slice(pos + 2, end).replace(/^ /, ''));
      last.end = line;
      continue;
    }
    const lines = isLine
      ? [text.slice(pos + 2, end).replace(/^ /, '')]
      : text
          .slice(pos, end)
          .replace(/^\/\*+ ?|\s*\*+\/$/g, '')
          .split('\n')
          .map((each) => each.replace(/^\s*\* ?/, ''));
    parts.push({ isLine, line, end: lineAt(end), column: columnOf(text, pos), lines });
  }
  return parts.flatMap(({ line, lines }) => {
    const blocks = [];
    let start = 0;
    for (let i = 1; i <= lines.length; i++) {
      if (i < lines.length && !/^@\w/.test(lines[i])) continue;
      const body = lines.slice(start, i).join('\n');
      if (!/^(biome-ignore|@ts-|@type|@import|\/ <reference)/.test(body)) {
        const prose = body
          .replace(/^@(param|typeParam|template) \S+( -)?|^@\w+/, (tag) => ' '.repeat(tag.length).slice(0, 3))
          .replace(/\{@\w+ [^}]*\}/g, mask)
          .replace(/^ +(?=\n)/, '');
        blocks.push(...markdownBlocks(/^ /.test(prose) ? `\\${prose.trimStart()}` : prose, line + start));
      }
      start = i;
    }
    return blocks;
  });
}

const columnOf = (text, position) => position - text.lastIndexOf('\n', position - 1);

/** Comments that are wider than a line. */
function wideComments({ comments, lineAt }, text) {
  const lines = text.split('\n');
  const wide = new Set();
  for (const { pos, end } of comments.values()) {
    for (let line = lineAt(pos); line <= lineAt(end); line++) {
      if ([...lines[line - 1]].length > WIDTH && !/https?:\/\//.test(lines[line - 1])) wide.add(line);
    }
  }
  return [...wide].map((line) => ({ line, problem: `wider than ${WIDTH} columns` }));
}

const lineWithin = ({ line, text }, index) => line + text.slice(0, index).split('\n').length - 1;

function phrasesIn(block) {
  return phrases.flatMap(({ pattern, instead }) =>
    [...block.text.matchAll(pattern)].map((match) => ({
      line: lineWithin(block, match.index),
      problem: `“${match[0].replace(/\s+/g, ' ')}”: ${instead}`,
    })),
  );
}

function longSentencesIn(block) {
  if (!block.isSentence) return [];
  const sentences = block.text.matchAll(/[\s\S]*?(?:[.!?]["”’)*_]*(?=\s|$)|$)/g);
  return [...sentences].flatMap(({ 0: sentence, index }) => {
    const words = sentence.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length;
    const start = index + (sentence.length - sentence.trimStart().length);
    return words > WORDS
      ? [{ line: lineWithin(block, start), problem: `a sentence of ${words} words: at most ${WORDS}` }]
      : [];
  });
}

/** What is wrong with the prose of one file. */
export function proseFindings(text, file) {
  const isPage = file.endsWith('.md');
  const source = isPage ? undefined : sourceBlocks(text, file);
  const blocks = isPage ? markdownBlocks(text.replace(/^---\n[\s\S]*?\n---\n/, mask), 1) : source.blocks;
  const wide = isPage ? wideLines(text) : wideComments(source, text);
  return [...blocks.flatMap((block) => [...phrasesIn(block), ...longSentencesIn(block)]), ...wide].sort(
    (a, b) => a.line - b.line,
  );
}

/** The files with prose below the paths: what git knows and would add, without recorded runs and changelogs. */
export function proseFiles(paths = ['.']) {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '--', ...paths]);
  const excluded = /^docs\/reference\/runs\/|CHANGELOG\.md$|^tools\/prose(-phrases)?\./;
  return [...new Set(listed.toString().split('\n'))].filter(
    (file) => /\.(md|ts|mts|mjs|js)$/.test(file) && !excluded.test(file),
  );
}

/** The findings in files, as lines to print. */
export const checkProse = (files) =>
  files.flatMap((file) =>
    proseFindings(readFileSync(file, 'utf8'), file).map(({ line, problem }) => `${file}:${line}: ${problem}`),
  );

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const lines = checkProse(proseFiles(process.argv.length > 2 ? process.argv.slice(2) : undefined));
  for (const line of lines) process.stdout.write(`${line}\n`);
  process.exitCode = lines.length > 0 ? 1 : 0;
}
