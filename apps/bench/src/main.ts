/** Entry point of the command line: runs a command, prints its result, and sets the exit status. */
import './codes.js';
import { type Failure, failureOf, toJson } from '@ghl/race';
import { parseCommandLine } from './command-line.js';
import { exitStatus, failureText } from './platform/failure.js';

process.exitCode = await main(process.argv.slice(2));
// Training processes that still run end with this one.
if (process.exitCode === 130) process.exit();

/** Prints the result to standard output, as text or as one JSON document; returns the exit status. */
async function main(words: readonly string[]): Promise<number> {
  const asJson = words.includes('--json');
  const print = (text: string, document: unknown) => process.stdout.write(`${asJson ? toJson(document, 2) : text}\n`);
  try {
    const request = parseCommandLine(words);
    if ('help' in request) {
      print(request.help.trimEnd(), request);
      return 0;
    }
    const { command, options } = request;
    const result = await command.run(options);
    print(command.text(result), command.document(result));
    return reportFailures(command.failures?.(result) ?? []);
  } catch (error) {
    const failure = failureOf(error);
    process.stderr.write(`${failureText(failure)}\n`);
    const { code, message, help } = failure;
    if (asJson) print('', { error: { code, message, help } });
    return exitStatus(failure);
  }
}

/** Prints how many runs failed, and the first failure. */
function reportFailures(failures: readonly Failure[]): number {
  const [first] = failures;
  if (first === undefined) return 0;
  const count = failures.length === 1 ? 'One run' : `${failures.length} runs`;
  process.stderr.write(`${count} failed.\n${failureText(first)}\n`);
  return exitStatus(first);
}
