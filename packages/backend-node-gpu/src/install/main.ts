/** The command line: `npx @ghl/backend-node-gpu install`. */
import { GhlError } from '@ghl/core';
import { Command } from 'commander';
import { install } from './install.js';
import { cpu, gpu } from './wheels.js';

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

const program = new Command('backend-node-gpu').description('Native TensorFlow for @ghl/backend-node-gpu.');

program
  .command('install')
  .description(
    "Brings a libtensorflow into the user's cache and builds the native part of @tensorflow/tfjs-node, as installed in this " +
      'folder, against it. Needs python3 with pip, a C++ compiler, Linux on x64, and 1 GB of disk (5.9 GB with --gpu).',
  )
  .option('--gpu', 'the library for NVIDIA GPUs, with its parts of CUDA 12')
  .addHelpText(
    'after',
    '\nEnvironment:\n  GHL_CACHE   the cache, in place of the usual one\n  CXX         the C++ compiler',
  )
  .action(async ({ gpu: wanted }: { gpu?: true }) => {
    try {
      const { version, gpu: device, withoutGpu } = await install(process.cwd(), wanted ? gpu : cpu, say);
      say(`libtensorflow ${version} loads, and computes on ${device ?? 'the CPU'}.`);
      if (wanted && device === undefined) say(`It found no GPU: ${withoutGpu ?? 'it does not say why'}.`);
    } catch (error) {
      if (!(error instanceof GhlError)) throw error;
      say(`${error.code}: ${error.message}`);
      process.exitCode = 1;
    }
  });

await program.parseAsync();
