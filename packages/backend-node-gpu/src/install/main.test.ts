/** The command as users run it: the built `bin/backend-node-gpu.mjs`, in separate processes. */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';

const home = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;

beforeAll(() => {
  const typescript = createRequire(import.meta.url).resolve('typescript/package.json');
  execFileSync(process.execPath, [join(typescript, '..', 'bin', 'tsc'), '-b', home]);
}, 300_000);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ghl-install-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function begin(...words: string[]) {
  const env = { ...process.env, GHL_CACHE: folder, CXX: '', PATH: `${folder}${delimiter}${process.env.PATH}` };
  const child = spawn(process.execPath, [join(home, 'bin/backend-node-gpu.mjs'), ...words], { cwd: folder, env });
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const ended = new Promise((resolve) =>
    child.on('close', (status, signal) => resolve({ status, signal, said: stderr })),
  );
  return { child, ended };
}

it('exits with status 2 if the command line is wrong', async () => {
  expect(await begin('instal').ended).toEqual({
    status: 2,
    signal: null,
    said: "UNKNOWN_COMMAND: There is no command 'instal'.\nhelp: did you mean 'install'? Known: install, help.\n",
  });
});

describe.skipIf(process.platform !== 'linux' || process.arch !== 'x64')('a signal', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('%s also ends the download', async (signal) => {
    const tfjsNode = join(folder, 'node_modules/@tensorflow/tfjs-node');
    mkdirSync(tfjsNode, { recursive: true });
    writeFileSync(join(tfjsNode, 'package.json'), JSON.stringify({ version: '4.22.0' }));
    const pid = join(folder, 'pid');
    const pip = `case "$*" in *--version) echo "pip 23.2.1" ;; *) echo $$ > "${pid}.part"; mv "${pid}.part" "${pid}"; exec sleep 60 ;; esac`;
    for (const [name, script] of Object.entries({ python3: pip, 'c++': ':' })) {
      writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
      chmodSync(join(folder, name), 0o755);
    }
    const { child, ended } = begin('install');
    while (!existsSync(pid)) await setTimeout(20);
    child.kill(signal);
    expect(await ended).toMatchObject({ status: null, signal });
    expect(() => process.kill(Number(readFileSync(pid, 'utf8')), 0)).toThrow('ESRCH');
  });
});
