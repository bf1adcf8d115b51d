import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Lock, lockFolder } from './folder-lock.js';

let folder: string;
let held: Lock[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bench-'));
  held = [];
});

afterEach(async () => {
  vi.useRealTimers();
  for (const { release } of held) await release();
  await rm(folder, { recursive: true, force: true });
});

async function take(...words: Parameters<typeof lockFolder>): Promise<Lock> {
  const lock = await lockFolder(...words);
  held.push(lock);
  return lock;
}

/** Makes the lock of `folder` that of another process. */
async function owned(by: { machine?: string; pid?: number }): Promise<void> {
  const path = join(folder, 'lock', 'owner.json');
  const { atime, mtime } = await stat(join(folder, 'lock'));
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), ...by }));
  await utimes(join(folder, 'lock'), atime, mtime);
}

/** The number of a process that has ended. */
const dead = () => Number(execFileSync(process.execPath, ['-p', 'process.pid'], { encoding: 'utf8' }));

const minutes = 60_000;
const underWay = (says: string) => ({ code: 'UNDER_WAY', message: expect.stringContaining(says) });

describe('a lock', () => {
  it('has one holder at a time, under any name of the folder, and leaves no files', async () => {
    const { release } = await take(folder);
    const other = join(folder, '..', folder.split('/').at(-1) as string);
    await expect(take(other)).rejects.toMatchObject(underWay(`number ${process.pid} on this machine`));
    await release();
    expect(await readdir(folder)).toEqual([]);
    await (await take(folder)).release();
  });

  it('is awaited for a while', async () => {
    const { release } = await take(folder);
    const next = take(folder, minutes);
    await release();
    await next;
  });

  it('is free at once if its holder on this machine is dead', async () => {
    await take(folder);
    await owned({ pid: dead() });
    await take(folder);
    await expect(take(folder)).rejects.toMatchObject(underWay('on this machine'));
  });

  it('of another machine is valid for any process number, and expires without renewal', async () => {
    await take(folder);
    for (const pid of [dead(), process.pid]) {
      await owned({ machine: 'another', pid });
      await expect(take(folder)).rejects.toMatchObject({
        ...underWay('on another machine'),
        help: expect.stringContaining('lapses after 120 seconds'),
      });
    }
    const past = new Date(Date.now() - 3 * minutes);
    await utimes(join(folder, 'lock'), past, past);
    await take(folder);
    await expect(take(folder)).rejects.toMatchObject(underWay('on this machine'));
  });

  it('without an owner yet is valid', async () => {
    await mkdir(join(folder, 'lock'));
    await expect(take(folder)).rejects.toMatchObject(underWay('on another machine'));
    for (const damaged of ['', '{}', 'null', '{"machine":1,"pid":"x"}']) {
      await writeFile(join(folder, 'lock', 'owner.json'), damaged);
      await expect(take(folder)).rejects.toMatchObject({ code: 'UNDER_WAY' });
    }
  });

  it('is renewed while it is held, and reports if another process takes it', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] });
    const { lost } = await take(folder);
    const path = join(folder, 'lock');
    const renewed = async () => {
      const before = (await stat(path)).mtimeMs;
      vi.advanceTimersByTime(10_000);
      await vi.waitFor(async () => expect((await stat(path)).mtimeMs).toBeGreaterThan(before));
      await new Promise((done) => setImmediate(done)); // the next renewal is planned
    };
    for (let i = 0; i < 3; i++) await renewed();
    await rm(path, { recursive: true });
    await mkdir(path);
    await new Promise((done) => setImmediate(done));
    vi.advanceTimersByTime(10_000);
    await expect(lost).rejects.toMatchObject({ code: 'LOCK_LOST', help: expect.stringContaining('--resume') });
    await (held.pop() as Lock).release(); // must not throw
    expect(existsSync(path)).toBe(true);
  });
});

it('creates the folder and its parents', async () => {
  await take(join(folder, 'a', 'b', 'c'));
  await writeFile(join(folder, 'file'), '');
  await expect(take(join(folder, 'file', 'x'))).rejects.toMatchObject({ code: 'WRITE_FAILED' });
  await expect(take(join(folder, 'file'))).rejects.toMatchObject({ code: 'WRITE_FAILED' });
});

it.skipIf(process.platform !== 'linux')('rejects a place in which the system allows no folder', async () => {
  await expect(take('/proc/here/there')).rejects.toMatchObject({ code: 'WRITE_FAILED' });
});
