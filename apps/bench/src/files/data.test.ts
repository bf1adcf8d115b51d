import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { loadData } from './data.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bench-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it('names the missing file of a dataset whose other files are in the folder', async () => {
  await mkdir(join(folder, 'mnist'));
  await writeFile(join(folder, 'mnist', 'train-images-idx3-ubyte'), '');
  await expect(loadData({ folder })).rejects.toMatchObject({
    code: 'DATA_INCOMPLETE',
    message: expect.stringContaining('has no train-labels-idx1-ubyte, no t10k-images-idx3-ubyte'),
  });
});

it('names the datasets if a folder has none of their files', async () => {
  await expect(loadData({ folder })).rejects.toMatchObject({
    code: 'DATA_NOT_FOUND',
    message: expect.stringContaining('cifar10, cifar100, mnist, fashion-mnist'),
  });
});
