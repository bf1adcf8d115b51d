/** The examples of the documentation: every ```ts fence of the Markdown pages and of the TSDoc `@example`s. */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fromMarkdown } from 'mdast-util-from-markdown';
import ts from 'typescript';

/** One fence. */
export interface Example {
  /** Its place: the file, relative to the root, and the line of its first line of code. */
  readonly at: string;
  readonly code: string;
  /** False for a fence marked `ts no-run`, which is only type-checked. */
  readonly run: boolean;
}

type Nodes = ReturnType<typeof fromMarkdown>['children'];

function fences(markdown: string, file: string, firstLine: number): Example[] {
  const visit = (nodes: Nodes): Example[] =>
    nodes.flatMap((node) => {
      if ('children' in node) return visit(node.children as Nodes);
      if (node.type !== 'code') return [];
      const at = `${file}:${firstLine + (node.position?.start.line ?? 0)}`;
      if (/^(js|mjs|javascript|typescript|tsx)$/.test(node.lang ?? '')) {
        throw new Error(`${at}: mark the fence \`\`\`ts, not \`\`\`${node.lang}, so that it is run.`);
      }
      if (node.lang !== 'ts') return [];
      if (node.meta != null && node.meta !== 'no-run') {
        throw new Error(`${at}: 'ts ${node.meta}' is neither 'ts' nor 'ts no-run'.`);
      }
      return [{ at, code: node.value, run: node.meta !== 'no-run' }];
    });
  return visit(fromMarkdown(markdown).children);
}

/** The fences of a Markdown page. */
export const fromPage = (text: string, file: string): Example[] => fences(text, file, 1);

/** The fences of the `@example` tags of a source file. */
export function fromSource(text: string, file: string): Example[] {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const examples: Example[] = [];
  const seen = new Set<ts.JSDocTag>();
  const visit = (node: ts.Node): void => {
    for (const tag of ts.getJSDocTags(node)) {
      // A tag of a variable statement occurs again at its declarations.
      if (tag.tagName.text !== 'example' || seen.has(tag)) continue;
      seen.add(tag);
      const line = source.getLineAndCharacterOfPosition(tag.getStart()).line + 1;
      // In TypeScript, the text of the tag begins at its first word, on the line of the tag or the next.
      const opens = /^[ \t]*\S/.test(text.slice(tag.tagName.end)) ? line : line + 1;
      examples.push(...fences(ts.getTextOfJSDocComment(tag.comment) ?? '', file, opens));
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return examples;
}

async function filesIn(folder: string, accepts: (name: string) => boolean): Promise<string[]> {
  if (!existsSync(folder)) return [];
  const names = await readdir(folder, { recursive: true });
  return names.filter(accepts).map((name) => join(folder, name));
}

/** All examples of the repository at `root`. */
export async function allExamples(root: string): Promise<Example[]> {
  const pages = [
    join(root, 'README.md'),
    ...(await filesIn(join(root, 'docs'), (name) => /^(?!api\/).*\.md$/.test(name))),
  ];
  const sources: string[] = [];
  for (const name of await readdir(join(root, 'packages'))) {
    const folder = join(root, 'packages', name);
    if (existsSync(join(folder, 'README.md'))) pages.push(join(folder, 'README.md'));
    sources.push(...(await filesIn(join(folder, 'src'), (file) => /(?<!\.test|\.test-d|\.fixture)\.ts$/.test(file))));
  }
  const read = async (file: string, extract: (text: string, name: string) => Example[]) =>
    extract(await readFile(file, 'utf8'), relative(root, file));
  return (
    await Promise.all([
      ...pages.map((page) => read(page, fromPage)),
      ...sources.map((source) => read(source, fromSource)),
    ])
  ).flat();
}
