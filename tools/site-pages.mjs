/**
 * TypeDoc plugin: the documents of the repository as pages of the API site. A page has the title of its Markdown file
 * and the section of its folder. A link to a folder leads to the repository, since a site does not list folders.
 */
import { readFileSync, statSync } from 'node:fs';
import { relative } from 'node:path';
import { Application, Converter } from 'typedoc';

const { homepage } = JSON.parse(readFileSync('package.json', 'utf8'));

/** Sections by the path of a file. The first match counts. */
const sections = [
  [/^docs\/guide\//, 'Guide'],
  [/^docs\/reference\//, 'Reference'],
  [/^docs\/design\//, 'Design'],
  [/^apps\//, 'Packages'],
  [/./, 'Project'],
];

/** @param {import('typedoc').Application} app */
export function load(app) {
  app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_context, page) => {
    const { files } = page.project;
    const path = relative('.', files.getReflectionPath(page));
    page.name = /^# (.+)$/m.exec(readFileSync(path, 'utf8'))[1];
    page.frontmatter.category = sections.find(([pattern]) => pattern.test(path))[1];
  });
  app.on(Application.EVENT_PROJECT_REVIVE, (project) => {
    const { files } = project;
    // The page of a package has its name as its title.
    for (const { name, readme } of project.children) readme[0].text = readme[0].text.replace(`# ${name}\n`, '');
    for (const { content } of project.documents) {
      for (const part of content) {
        const path = part.kind === 'relative-link' && files.resolve(part.target, project);
        if (typeof path !== 'string' || !statSync(path).isDirectory()) continue;
        files.mediaToPath.delete(part.target);
        Object.assign(part, { target: undefined, text: `${homepage}/tree/main/${relative('.', path)}` });
      }
    }
  });
}
