/** Where the command line begins: does what was asked, prints it, and sets the exit status. */
import './codes.js';
import { relative } from 'node:path';
import { parseCommandLine } from './command-line.js';
import { doctor, doctorText } from './doctor-command.js';
import { describeFailure, exitStatus, type Failure, failureOf } from './failure.js';
import { toJson } from './json.js';
import { list } from './list-command.js';
import { RaceFolder } from './race.js';
import { makeReport, type Report } from './report-command.js';
import { run } from './run-command.js';
import { backendsText, speedText } from './speed/text.js';
import { speed } from './speed-command.js';
import { otherBackends, table } from './table.js';

process.exitCode = await main(process.argv.slice(2));
// Training processes that are still at work end with this one.
if (process.exitCode === 130) process.exit();

/** Prints to standard output what was asked for, as text or as one JSON document; returns the exit status. */
async function main(words: readonly string[]): Promise<number> {
  const asJson = words.includes('--json');
  const print = (text: string, document: unknown) => process.stdout.write(`${asJson ? toJson(document, 2) : text}\n`);
  try {
    const request = parseCommandLine(words);
    switch (request.command) {
      case 'help':
        print(request.text.trimEnd(), { help: request.text });
        return 0;
      case 'list': {
        const names = list();
        print(
          Object.entries(names)
            .map(([kind, each]) => `${kind.padEnd(11)} ${each.join('  ')}`)
            .join('\n'),
          names,
        );
        return 0;
      }
      case 'doctor': {
        const diagnosis = await doctor();
        print(doctorText(diagnosis), diagnosis);
        return 0;
      }
      case 'report': {
        const report = await makeReport(new RaceFolder(request.folder));
        print(asText(report), asDocument(report));
        return failed(report.failures);
      }
      case 'speed': {
        const summary = await speed(request.options);
        print('backends' in summary ? backendsText(summary) : speedText(summary), summary);
        return 0;
      }
      case 'run': {
        const report = await run(request.options);
        print(asText(report), asDocument(report));
        return failed(report.failures);
      }
    }
  } catch (error) {
    const failure = failureOf(error);
    process.stderr.write(`${describeFailure(failure)}\n`);
    const { code, message, help } = failure;
    if (asJson) print('', { error: { code, message, help } });
    return exitStatus(failure);
  }
}

function asText({ summary, path }: Report): string {
  const { incomplete } = summary;
  const missing = incomplete.map(
    ({ recipe, seed, state, code }) => `${recipe} ${seed}: ${state}${code ? `, ${code}` : ''}`,
  );
  const others = otherBackends(summary).map((each) => `not on ${summary.backends[0]} alone: ${each}`);
  return [table(summary), ...missing, ...others, `report: ${relative('', path)}`].join('\n');
}

function asDocument({ summary, path }: Report): object {
  return { ...summary, report: path };
}

function failed(failures: readonly Failure[]): number {
  const [first] = failures;
  if (first === undefined) return 0;
  process.stderr.write(
    `${failures.length === 1 ? 'One run' : `${failures.length} runs`} failed.\n${describeFailure(first)}\n`,
  );
  return exitStatus(first);
}
