import { describe, expect, it } from 'vitest';
import { parseCommandLine } from './command-line.js';

/** The parsed command line, with the command's name. */
function parse(words: readonly string[]): object {
  const request = parseCommandLine(words);
  return 'help' in request ? request : { ...request, command: request.command.name };
}

describe('the command line', () => {
  it('takes the default command if it names none', () => {
    expect(parse([])).toEqual({ command: 'run', options: {}, json: false });
    expect(parse(['--json', '--seeds', '2'])).toEqual({ command: 'run', options: { seeds: 2 }, json: true });
  });

  it('parses the options of every command', () => {
    const words =
      'run --network fasthebb --data d --recipe ghl,backprop --seeds 3 --epochs 5 --train-size 10000 --validation-size 0';
    expect(parse([...words.split(' '), '--rule', 'hpca', '--rule-options', '{"scaleByFanIn": true}', '--raw'])).toEqual(
      {
        command: 'run',
        json: false,
        options: {
          network: 'fasthebb',
          data: 'd',
          recipe: ['ghl', 'backprop'],
          seeds: 3,
          epochs: 5,
          trainSize: 10000,
          validationSize: 0,
          rule: 'hpca',
          ruleOptions: { scaleByFanIn: true },
          raw: true,
        },
      },
    );
    expect(parse(['report', 'dir', '--json'])).toEqual({ command: 'report', options: { dir: 'dir' }, json: true });
    const speed = 'speed --batch 8 --backend cpu --threads 2 --steps 3 --against pytorch --profile --rule oja --json';
    expect(parse(speed.split(' '))).toEqual({
      command: 'speed',
      json: true,
      options: { batch: 8, backend: 'cpu', threads: 2, steps: 3, against: 'pytorch', profile: true, rule: 'oja' },
    });
    expect(parse(['list'])).toEqual({ command: 'list', options: {}, json: false });
    expect(parse(['--json', 'list'])).toEqual({ command: 'list', options: {}, json: true });
    expect(parse(['--json', '--epochs', '2'])).toEqual({
      command: 'run',
      options: { epochs: 2 },
      json: true,
    });
  });

  it.each([
    [['lst'], 'UNKNOWN_COMMAND', "'list'"],
    [['run', '--netwrk', 'x'], 'UNKNOWN_OPTION', "'--network'"],
    [['--epoch', '3'], 'UNKNOWN_OPTION', "'--epochs'"],
    [['list', '--jsn'], 'UNKNOWN_OPTION', "'--json'"],
    [['run', '--epochs'], 'BAD_ARGUMENTS', 'run --help'],
    [['run', 'fasthebb'], 'BAD_ARGUMENTS', 'run --help'],
    [['report'], 'BAD_ARGUMENTS', 'report --help'],
    [['speed', '--seeds', '3'], 'UNKNOWN_OPTION', "'--steps'"],
    [['speed', '--steps', '0'], 'BAD_VALUE', 'at least 1'],
    [['speed', '--threads', 'all'], 'BAD_VALUE', 'whole number'],
    [['speed', '--against'], 'BAD_ARGUMENTS', 'speed --help'],
    [['run', '--seeds', '0'], 'BAD_VALUE', 'at least 1'],
    [['run', '--epochs', '2.5'], 'BAD_VALUE', 'whole number'],
    [['run', '--batch', '-4'], 'BAD_VALUE', 'whole number'],
    [['run', '--target', '90'], 'BAD_VALUE', '0.9 is 90 %'],
    [['run', '--recipe', ','], 'BAD_VALUE', 'bench list'],
    [['run', '--rule-options', '{temperature: 1}'], 'BAD_VALUE', 'JSON object'],
    [['run', '--rule-options', '[1]'], 'BAD_VALUE', 'JSON object'],
  ])('rejects %j with %s', (words, code, help) => {
    expect(() => parse(words)).toThrow(
      expect.objectContaining({ name: 'ConfigurationError', code, help: expect.stringContaining(help) }),
    );
  });

  it('shows the help of the program and of a command', () => {
    expect(parse(['--help'])).toMatchObject({ help: expect.stringContaining('report') });
    expect(parse(['run', '--help'])).toMatchObject({ help: expect.stringContaining('--resume') });
  });
});
