/** `bench report`: table and page, from the runs in a folder. */
import { RaceFolder } from '../files/race-folder.js';
import type { Command } from '../options/command.js';
import { makeReport, type Report, reportDocument, reportText } from '../report/report.js';

export const command: Command<{ readonly dir: string }, Report> = {
  name: 'report',
  describe: 'make the table and the report of a race again, from the runs in its folder',
  arguments: [{ name: 'dir', describe: 'folder of a race' }],
  options: [],
  run: ({ dir }) => makeReport(new RaceFolder(dir)),
  text: reportText,
  document: reportDocument,
  failures: ({ failures }) => failures,
};
