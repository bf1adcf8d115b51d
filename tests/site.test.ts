/** The API site that `npm run docs` builds: its links, its sections and its search. */
import { existsSync, statSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { inflate } from 'node:zlib';
import { expect, it } from 'vitest';

const site = resolve('docs/api');
const pages = (await readdir(site, { recursive: true })).filter((path) => path.endsWith('.html'));
const html = new Map(
  await Promise.all(pages.map(async (path) => [join(site, path), await readFile(join(site, path), 'utf8')] as const)),
);

/** The documents with a page on the site, with their titles. */
const documents: { path: string; title: string; text: string }[] = [];
for (const folder of ['guide', 'reference', 'design']) {
  for (const file of await readdir(`docs/${folder}`, { recursive: true })) {
    if (!file.endsWith('.md')) continue;
    const text = await readFile(`docs/${folder}/${file}`, 'utf8');
    documents.push({ path: `docs/${folder}/${file}`, title: /^# (.+)$/m.exec(text)![1]!, text });
  }
}

/** Reads data that TypeDoc stores as base64 of deflated JSON in a script. */
async function data(script: string) {
  const text = await readFile(join(site, 'assets', script), 'utf8');
  const packed = Buffer.from(/"([^"]+)"/.exec(text)![1]!, 'base64');
  return JSON.parse((await promisify(inflate)(packed)).toString());
}

it('has no broken link', async () => {
  const { homepage } = JSON.parse(await readFile('package.json', 'utf8')) as { homepage: string };
  const broken: string[] = [];
  let count = 0;
  for (const [page, text] of html) {
    for (const [, link] of text.matchAll(/\b(?:href|src)="([^"]*)"/g)) {
      count++;
      const [path, anchor] = link!.replaceAll('&amp;', '&').split('#') as [string, string?];
      const inRepository = path.startsWith(`${homepage}/tree/main/`);
      if (/^(https?|data|javascript):/.test(path) && !inRepository) continue;
      const file = inRepository
        ? resolve(path.slice(`${homepage}/tree/main/`.length))
        : path === ''
          ? page
          : join(dirname(page), decodeURIComponent(path));
      const exists = existsSync(file) && (inRepository || statSync(file).isFile());
      const target = html.get(file);
      if (!exists || (anchor && target && !target.includes(`id="${decodeURIComponent(anchor)}"`))) {
        broken.push(`${page.slice(site.length)}: ${link}`);
      }
    }
  }
  expect(count).toBeGreaterThan(1000);
  expect(broken).toEqual([]);
});

it('has every guide, reference page and design page in its section of the navigation', async () => {
  interface Entry {
    text: string;
    path?: string;
    children?: Entry[];
  }
  const sections: Entry[] = await data('navigation.js');
  expect(sections.map(({ text }) => text)).toEqual(['Guide', 'Packages', 'Reference', 'Design', 'Project']);
  for (const section of ['Guide', 'Reference', 'Design']) {
    const titles = sections.find(({ text }) => text === section)!.children!.map(({ text }) => text);
    const folder = `docs/${section.toLowerCase()}/`;
    expect(titles.sort()).toEqual(
      documents.flatMap(({ path, title }) => (path.startsWith(folder) ? title : [])).sort(),
    );
  }
  const packages = sections[1]!.children!.map(({ text }) => text);
  const folders = await Promise.all(['packages', 'apps'].map((folder) => readdir(folder)));
  expect(packages.sort()).toEqual(
    folders
      .flat()
      .map((name) => `@ghl/${name}`)
      .sort(),
  );
});

it('finds the words of its documents', async () => {
  const { rows, index } = await data('search.js');
  const terms = new Map<string, Record<string, object>>(index.invertedIndex);
  for (const { path, title, text } of documents) {
    // A word that occurs in no other document.
    const words = text.toLowerCase().match(/(?<![\w`/.@-])[a-z]{6,}(?![\w`/.@-])/g) ?? [];
    const own = words.find((word) =>
      documents.every((other) => other.path === path || !other.text.toLowerCase().includes(word)),
    );
    const names = Object.keys(terms.get(own!)?.document ?? {}).map((id) => rows[id].name);
    expect(names, `${own} of ${path}`).toContain(title);
  }
});
