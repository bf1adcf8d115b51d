import { existsSync } from 'node:fs';
import { appendFile, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunEvent } from '@ghl/race';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RunFolder } from './run-folder.js';

let race: string;
let folder: RunFolder;

beforeEach(async () => {
  race = await mkdtemp(join(tmpdir(), 'bench-'));
  folder = new RunFolder(race, 'ghl', 0);
});

afterEach(() => rm(race, { recursive: true, force: true }));

const resumed = (step: number): RunEvent => ({ type: 'resumed', step, backend: 'cpu' });
const file = () => join(race, 'ghl', '0', 'events.jsonl');

describe('the activations of a run', () => {
  const source = { layer: 'flatten' };
  const path = () => join(race, 'ghl', '0', 'activations.bin');

  it('are read from any position, and kept until they are removed', async () => {
    const log = await folder.openActivations(source, 6);
    await log?.append(Uint8Array.of(1, 2, 3));
    await log?.append(Uint8Array.of(4, 5, 6));
    await log?.sync();
    await folder.completeActivations(source);
    await log?.close();
    const again = await folder.openActivations(source, 6);
    const bytes = new Uint8Array(3);
    await again?.read(2, bytes);
    expect([again?.length, ...bytes]).toEqual([6, 3, 4, 5]);
    await again?.close();
    await folder.removeActivations();
    expect(existsSync(path())).toBe(false);
  });

  it('are deleted if they are incomplete or of another source', async () => {
    for (const [before, after] of [
      [null, source],
      [source, { layer: 'pool' }],
    ]) {
      const log = await folder.openActivations(source, 3);
      await log?.append(Uint8Array.of(1, 2, 3));
      if (before != null) await folder.completeActivations(before);
      await log?.close();
      const again = await folder.openActivations(after as typeof source, 3);
      expect(again?.length).toBe(0);
      await again?.close();
    }
  });

  it('are rejected if the file is cut short while it is in use', async () => {
    const log = await folder.openActivations(source, 3);
    await log?.append(Uint8Array.of(1, 2, 3));
    await expect(log?.read(2, new Uint8Array(2))).rejects.toMatchObject({ code: 'CORRUPT_RUN' });
    await log?.close();
  });
});

describe('the events of a run', () => {
  it('are in the folder of recipe and seed, one line each', async () => {
    const log = await folder.openEvents(0);
    await log.append(resumed(1));
    await log.append(resumed(2));
    await log.close();
    expect(await readFile(file(), 'utf8')).toBe(
      '{"type":"resumed","step":1,"backend":"cpu"}\n{"type":"resumed","step":2,"backend":"cpu"}\n',
    );
    expect(await folder.readEvents()).toEqual([resumed(1), resumed(2)]);
  });

  it('are removed after the checkpoint only', async () => {
    const log = await folder.openEvents(0);
    await log.append(resumed(1));
    const length = log.length;
    await log.append(resumed(2));
    await log.close();
    const again = await folder.openEvents(length);
    await again.append(resumed(3));
    await again.close();
    expect(await folder.readEvents()).toEqual([resumed(1), resumed(3)]);
  });

  it('may end in an incomplete line, which is ignored', async () => {
    const log = await folder.openEvents(0);
    await log.append(resumed(1));
    await log.close();
    await appendFile(file(), '{"type":"resu');
    expect(await folder.readEvents()).toEqual([resumed(1)]);
  });

  it('are rejected if there are fewer than the checkpoint records', async () => {
    await (await folder.openEvents(0)).close();
    await expect(folder.openEvents(10)).rejects.toMatchObject({ code: 'EVENTS_LOST' });
  });

  it.each(['not json', '{"type":"dance","step":1}'])('are rejected if one is %s', async (line) => {
    await (await folder.openEvents(0)).close();
    await writeFile(file(), `${line}\n`);
    await expect(folder.readEvents()).rejects.toMatchObject({
      code: 'CORRUPT_RUN',
      message: expect.stringContaining('line 1'),
    });
  });
});

it('has no manifest and no result before they are written, and names a damaged file', async () => {
  expect(await folder.readManifest()).toBeNull();
  expect(await folder.readResult()).toBeNull();
  await (await folder.openEvents(0)).close();
  await writeFile(join(race, 'ghl', '0', 'done.json'), '{"schemaVersion": 2}');
  await expect(folder.readResult()).rejects.toMatchObject({
    code: 'CORRUPT_RUN',
    message: expect.stringContaining('done.json'),
  });
});

describe('the checkpoint of a run', () => {
  it('is null before it is written', async () => {
    expect(await folder.readCheckpoint()).toBeNull();
  });

  it.runIf(existsSync('/dev/full'))('keeps its former bytes if the disk is full', async () => {
    await folder.writeCheckpoint(Uint8Array.of(1));
    const path = join(folder.path, 'checkpoint.bin');
    await symlink('/dev/full', `${path}.draft`);
    await expect(folder.writeCheckpoint(Uint8Array.of(2))).rejects.toMatchObject({
      code: 'DISK_FULL',
      help: expect.stringContaining('--resume'),
    });
    expect([...((await folder.readCheckpoint())?.bytes ?? [])]).toEqual([1]);
    expect(await readdir(folder.path)).toEqual(['checkpoint.bin']);
    await folder.writeCheckpoint(Uint8Array.of(2));
    expect([...((await folder.readCheckpoint())?.bytes ?? [])]).toEqual([2]);
  });
});
