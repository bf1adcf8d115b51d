import { describe, expect, it } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { parseCommandLine } from './command-line.js';

describe('the command line', () => {
  it('installs for the CPU, or for GPUs', () => {
    expect(parseCommandLine(['install'])).toEqual({ command: 'install', gpu: false });
    expect(parseCommandLine(['install', '--gpu'])).toEqual({ command: 'install', gpu: true });
  });

  it.each([[[]], [['--help']], [['-h']], [['help']]])('says what there is: %j', (words) => {
    expect(parseCommandLine(words)).toEqual({ command: 'say', text: expect.stringMatching(/^Usage: .*install/s) });
  });

  it('says what a command takes, and the version', () => {
    const text = expect.stringMatching(/--gpu .*GHL_CACHE/s);
    expect(parseCommandLine(['install', '--help'])).toEqual({ command: 'say', text });
    expect(parseCommandLine(['help', 'install'])).toEqual({ command: 'say', text });
    expect(parseCommandLine(['--version'])).toEqual({ command: 'say', text: `${manifest.version}\n` });
  });

  it.each([
    [['instal'], 'UNKNOWN_COMMAND', "did you mean 'install'"],
    [['install', '--gpuu'], 'UNKNOWN_OPTION', "did you mean '--gpu'"],
    [['--versoin'], 'UNKNOWN_OPTION', "did you mean '--version'"],
    [['install', 'gpu'], 'BAD_ARGUMENTS', "'npx @ghl/backend-node-gpu install --help'"],
  ])('refuses %j with %s', (words, code, help) => {
    expect(() => parseCommandLine(words)).toThrow(
      expect.objectContaining({ name: 'ConfigurationError', code, help: expect.stringContaining(help) }),
    );
  });
});
