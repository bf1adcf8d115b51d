import { describe, expect, it } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { parseCommandLine } from './command-line.js';

describe('the command line', () => {
  it('parses an installation for the CPU, or for GPUs', () => {
    expect(parseCommandLine(['install'])).toEqual({ command: 'install', gpu: false });
    expect(parseCommandLine(['install', '--gpu'])).toEqual({ command: 'install', gpu: true });
  });

  it.each([[[]], [['--help']], [['-h']], [['help']]])('prints the help for %j', (words) => {
    expect(parseCommandLine(words)).toEqual({ command: 'print', text: expect.stringMatching(/^Usage: .*install/s) });
  });

  it('prints the help of a command, and the version', () => {
    const text = expect.stringMatching(/--gpu .*GHL_CACHE/s);
    expect(parseCommandLine(['install', '--help'])).toEqual({ command: 'print', text });
    expect(parseCommandLine(['help', 'install'])).toEqual({ command: 'print', text });
    expect(parseCommandLine(['--version'])).toEqual({ command: 'print', text: `${manifest.version}\n` });
  });

  it.each([
    [['instal'], 'UNKNOWN_COMMAND', "did you mean 'install'"],
    [['install', '--gpuu'], 'UNKNOWN_OPTION', "did you mean '--gpu'"],
    [['--versoin'], 'UNKNOWN_OPTION', "did you mean '--version'"],
    [['install', 'gpu'], 'BAD_ARGUMENTS', "'npx @ghl/backend-node-gpu install --help'"],
  ])('rejects %j with %s', (words, code, help) => {
    expect(() => parseCommandLine(words)).toThrow(
      expect.objectContaining({ name: 'ConfigurationError', code, help: expect.stringContaining(help) }),
    );
  });
});
