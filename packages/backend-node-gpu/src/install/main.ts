/** The program `npx @ghl/backend-node-gpu`: runs the command, prints its result, and sets the exit status. */
import { ConfigurationError, GhlError } from '@ghl/core';
import { parseCommandLine } from './command-line.js';
import { install } from './install.js';
import { cpu, gpu } from './wheels.js';

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

try {
  const request = parseCommandLine(process.argv.slice(2));
  if (request.command === 'print') {
    process.stdout.write(request.text);
  } else {
    const { version, gpu: device, withoutGpu } = await install(process.cwd(), request.gpu ? gpu : cpu, say);
    say(`libtensorflow ${version} loads, and computes on ${device ?? 'the CPU'}.`);
    if (request.gpu && device === undefined) say(`It found no GPU: ${withoutGpu ?? 'no reason given'}.`);
  }
} catch (error) {
  if (!(error instanceof GhlError)) throw error;
  say(`${error.code}: ${error.message}`);
  process.exitCode = error instanceof ConfigurationError ? 2 : 1;
}
