/**
 * Writes the table of docs/reference/errors.md from the `codes.ts` of every package: `node tools/errors-page.mjs`. The
 * comment of a code gives its cause, and its `@remarks` give the remedy.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = resolve(import.meta.dirname, '..');
const page = join(root, 'docs/reference/errors.md');
const header = '| code | class | when | remedy |\n| --- | --- | --- | --- |\n';

/** The page with a new table. */
export function errorsPage() {
  const text = readFileSync(page, 'utf8');
  const rows = [...documentedCodes()].sort(([a], [b]) => (a < b ? -1 : 1));
  const table = rows.map(
    ([code, { classes, when, remedy }]) =>
      `| \`${code}\` | ${classes.map((name) => `\`${name}\``).join(', ')} | ${when} | ${remedy} |\n`,
  );
  return text.slice(0, text.indexOf(header)) + header + table.join('');
}

/** Every member of an interface `ErrorCodes`, by its name. */
function documentedCodes() {
  const codes = new Map();
  for (const parent of ['packages', 'apps']) {
    for (const name of readdirSync(join(root, parent))) {
      const file = join(root, parent, name, 'src/codes.ts');
      const source = ts.sys.readFile(file);
      if (source === undefined) continue;
      const visit = (node) => {
        if (ts.isPropertySignature(node) && node.parent.name.text === 'ErrorCodes') {
          const [comment] = node.jsDoc ?? [];
          const remarks = comment?.tags?.find(({ tagName }) => tagName.text === 'remarks')?.comment;
          codes.set(node.name.text, {
            classes: node.type.getText().split(' | ').sort(),
            when: oneLine(comment?.comment),
            remedy: oneLine(remarks),
          });
        }
        ts.forEachChild(node, visit);
      };
      visit(ts.createSourceFile(file, source, ts.ScriptTarget.Latest, true));
    }
  }
  return codes;
}

const oneLine = (comment) => ts.getTextOfJSDocComment(comment)?.replace(/\s+/g, ' ').trim() ?? '';

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(page, errorsPage());
