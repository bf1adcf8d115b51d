import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ConfigurationError, UnsupportedError } from '../errors.js';
import { type AdapterParts, createAdapter, messageOf, type Teardown } from './create-adapter.js';
import { overrideKernels } from './override-kernels.js';

class FakeBackend extends tf.KernelBackend {
  override dispose = vi.fn();
}

const log: string[] = [];
const stockFactory = () => new FakeBackend();
const stockKernel: tf.KernelConfig = { kernelName: 'A', backendName: 'fake', kernelFunc: () => [] };
const names = ['before', 'other'] as const;

beforeEach(async () => {
  log.length = 0;
  for (const name of names) tf.registerBackend(name, stockFactory);
  tf.registerKernel(stockKernel);
  await tf.setBackend('before');
});
afterEach(() => {
  tf.unregisterKernel('A', 'fake');
  for (const name of [...names, 'fake']) if (tf.findBackendFactory(name) != null) tf.removeBackend(name);
});

interface Options {
  readonly size?: number;
}
let copies = 0;
type Parts = AdapterParts<Options, object>;

/** An adapter that logs every step and reversal; `size` is an option that it can start with once. */
function adapter(parts: Partial<Parts> = {}, url = 'here.js', packageName = `fake ${copies++}`) {
  return createAdapter<Options, object>({
    name: 'fake',
    packageName,
    url,
    checkOptions: ({ size = 1 }) => {
      if (!(size > 0)) throw new ConfigurationError('BAD_VALUE', `size is ${size}`, 'use more');
    },
    findPlatform: async () => ({}),
    start,
    unsupported: ({ reason, help }) => new UnsupportedError('UNSUPPORTED_DATA_FORMAT', reason, help),
    failed: (cause) => new UnsupportedError('OUT_OF_MEMORY', messageOf(cause), 'help', cause),
    ...parts,
  });
}

async function start(_: object, { size: started }: Options, teardown: Teardown) {
  log.push('start');
  if (tf.findBackendFactory('fake') != null) tf.removeBackend('fake');
  tf.registerBackend('fake', stockFactoryOfOurs);
  teardown.add(() => log.push('stop 1'));
  await tf.setBackend('fake');
  teardown.add(overrideKernels('fake', [{ name: 'A', create: () => () => [] }]));
  teardown.add(() => log.push('stop 2'));
  return {
    result: { kernels: ['A'], versions: {}, notes: ['a note'] },
    check({ size }: Options) {
      if (size !== started) throw new ConfigurationError('ALREADY_ACTIVE', `size is ${started}`, 'deactivate first');
    },
  };
}
const stockFactoryOfOurs = () => new FakeBackend();

/** Everything that an adapter changes. */
const state = () => [tf.getBackend(), tf.findBackendFactory('fake'), tf.getKernel('A', 'fake')];
const code = (name: string) => expect.objectContaining({ code: name });

it('starts once for calls at the same time, and returns the same result', async () => {
  const { activate, deactivate } = adapter();
  const [first, second] = await Promise.all([activate(), activate()]);
  expect(second).toBe(first);
  expect(first).toEqual({ name: 'fake', kernels: ['A'], versions: {}, notes: ['a note'] });
  await tf.setBackend('other');
  expect(await activate()).toBe(first);
  expect([tf.getBackend(), log]).toEqual(['fake', ['start']]);
  await deactivate();
});

it('reverses the steps from last to first and restores the previous backend', async () => {
  const before = state();
  const { activate, deactivate } = adapter();
  await activate();
  expect(state()).not.toEqual(before);
  await tf.setBackend('other');
  await deactivate();
  expect(state()).toEqual(before);
  expect(log).toEqual(['start', 'stop 2', 'stop 1']);
  await deactivate();
  expect(log).toEqual(['start', 'stop 2', 'stop 1']);
});

it('runs activate() and deactivate() one at a time, in order', async () => {
  const { activate, deactivate } = adapter();
  await Promise.all([activate(), deactivate(), deactivate(), activate()]);
  expect(log).toEqual(['start', 'stop 2', 'stop 1', 'start']);
  expect(tf.getBackend()).toBe('fake');
  await deactivate();
});

it('restores the stock factory and, if it was current, the stock backend of the name', async () => {
  tf.registerBackend('fake', stockFactory, 7);
  await tf.setBackend('fake');
  const { activate, deactivate } = adapter();
  await activate();
  expect(tf.findBackendFactory('fake')).toBe(stockFactoryOfOurs);
  await deactivate();
  expect(tf.getBackend()).toBe('fake');
  expect(tf.engine().registryFactory.fake).toEqual({ factory: stockFactory, priority: 7 });
});

it('keeps a backend that was registered before the start and that the start did not replace', async () => {
  tf.registerBackend('fake', stockFactory);
  await tf.setBackend('fake');
  const instance = tf.backend();
  await tf.setBackend('before');
  const { activate, deactivate } = adapter({
    async start() {
      await tf.setBackend('fake');
      return { result: { kernels: [], versions: {} } };
    },
  });
  await activate();
  await deactivate();
  expect(tf.getBackend()).toBe('before');
  expect(tf.findBackend('fake')).toBe(instance);
});

it.each(['a plain error', 'an error of the library'])(
  'reverses a start that failed with %s, and can start again',
  async (kind) => {
    const before = state();
    const cause = kind === 'a plain error' ? new Error('no device') : new UnsupportedError('WRITE_FAILED', 'a', 'b');
    const failing = vi.fn(async (platform: object, options: Options, teardown: Teardown) => {
      const started = await start(platform, options, teardown);
      if (failing.mock.calls.length === 1) throw cause;
      return started;
    });
    const { activate, deactivate } = adapter({ start: failing });
    const expected = kind === 'a plain error' ? { code: 'OUT_OF_MEMORY', summary: 'no device', cause } : cause;
    await expect(activate()).rejects.toMatchObject(expected);
    expect(state()).toEqual(before);
    expect(log).toEqual(['start', 'stop 2', 'stop 1']);
    await activate();
    expect(tf.getBackend()).toBe('fake');
    await deactivate();
    expect(state()).toEqual(before);
  },
);

it('runs every reversal, and restores the previous backend, if one of them fails', async () => {
  const before = state();
  const { activate, deactivate } = adapter({
    async start(platform, options, teardown) {
      const started = await start(platform, options, teardown);
      teardown.add(() => {
        throw new Error('broken');
      });
      return started;
    },
  });
  await activate();
  await expect(deactivate()).rejects.toThrow('broken');
  expect(log).toEqual(['start', 'stop 2', 'stop 1']);
  expect(state()).toEqual(before);
});

it('waits for reversals that take time, which do not wait for each other', async () => {
  const { activate, deactivate } = adapter({
    async start(platform, options, teardown) {
      const started = await start(platform, options, teardown);
      teardown.add(async () => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        log.push('slow');
      });
      return started;
    },
  });
  await activate();
  await deactivate();
  expect(log).toEqual(['start', 'stop 2', 'stop 1', 'slow']);
});

it('lets a start tear down its steps and try again', async () => {
  const before = state();
  const { activate, deactivate } = adapter({
    async start(platform, options, teardown) {
      await start(platform, options, teardown);
      await teardown.run();
      expect(state()).toEqual(before);
      return start(platform, options, teardown);
    },
  });
  await activate();
  expect(tf.getBackend()).toBe('fake');
  await deactivate();
  expect(state()).toEqual(before);
  expect(log).toEqual(['start', 'stop 2', 'stop 1', 'start', 'stop 2', 'stop 1']);
});

it('throws for options that are invalid, or that contradict the running backend', async () => {
  const { activate, deactivate } = adapter();
  await expect(activate({ size: 0 })).rejects.toEqual(code('BAD_VALUE'));
  await activate({ size: 2 });
  await expect(activate({ size: 3 })).rejects.toEqual(code('ALREADY_ACTIVE'));
  await activate({ size: 2 });
  expect(log).toEqual(['start']);
  await deactivate();
});

it('throws the reason of isSupported(), and changes nothing', async () => {
  const refusal = { supported: false, reason: 'no GPU', help: 'buy one' } as const;
  const before = state();
  const { activate, isSupported } = adapter({ findPlatform: async () => refusal });
  expect(await isSupported()).toEqual(refusal);
  await expect(activate()).rejects.toMatchObject({
    code: 'UNSUPPORTED_DATA_FORMAT',
    summary: 'no GPU',
    help: 'buy one',
  });
  expect([state(), log]).toEqual([before, []]);
  expect(await adapter().isSupported()).toEqual({ supported: true });
});

it('starts again if tf.removeBackend() has removed the backend', async () => {
  const before = state();
  const { activate, deactivate } = adapter();
  const first = await activate();
  tf.removeBackend('fake');
  expect(await activate()).not.toBe(first);
  expect(log).toEqual(['start', 'stop 2', 'stop 1', 'start']);
  await deactivate();
  expect(state()).toEqual(before);
});

it('leaves a backend that someone else has registered under its name', async () => {
  const { activate, deactivate } = adapter();
  await activate();
  tf.removeBackend('fake');
  tf.registerBackend('fake', stockFactory);
  await tf.setBackend('fake');
  const theirs = tf.backend();
  await deactivate();
  expect(tf.backend()).toBe(theirs);
  expect(tf.getKernel('A', 'fake')).toBe(stockKernel);
});

it('allows one active copy of a package, and names both', async () => {
  const [first, second] = [adapter({}, 'first.js', 'fake package'), adapter({}, 'second.js', 'fake package')];
  await first.activate();
  await expect(second.activate()).rejects.toEqual(code('OTHER_COPY'));
  await expect(second.activate()).rejects.toThrow(/fake package.*first\.js.*second\.js/s);
  await second.deactivate();
  expect(tf.getBackend()).toBe('fake');
  await Promise.all([first.deactivate(), second.activate()]);
  await expect(first.activate()).rejects.toEqual(code('OTHER_COPY'));
  await second.deactivate();
  expect(tf.getBackend()).toBe('before');
});
