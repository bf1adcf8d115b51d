/**
 * The browser and the software GPU of the tests. The package `@sparticuz/chromium` contains both. They are unpacked
 * once, to a folder that git ignores.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import packedChromium from '@sparticuz/chromium';
import { type Browser, launch } from 'puppeteer-core';

/**
 * Unpacks the missing files. Several processes may do so at once.
 *
 * @returns The folder: `chromium` in it is the browser; `libvulkan.so.1` and `vk_swiftshader_icd.json` are the GPU.
 * @throws Error if there is none for this system.
 */
export async function unpackedChromium(): Promise<string> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(`@sparticuz/chromium is for Linux on x64, this is ${process.platform} on ${process.arch}.`);
  }
  const { devDependencies } = JSON.parse(await readFile(resolve('package.json'), 'utf8'));
  const cache = resolve('node_modules/.cache');
  const folder = join(cache, `chromium-${devDependencies['@sparticuz/chromium']}`);
  if (existsSync(folder)) return folder;
  await mkdir(cache, { recursive: true });
  const unfinished = await mkdtemp(`${folder}-`);
  const { TMPDIR } = process.env;
  process.env.TMPDIR = unfinished; // the folder that it unpacks to
  try {
    await packedChromium.executablePath();
    await rename(unfinished, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error; // otherwise another process has unpacked it
    });
  } finally {
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
    await rm(unfinished, { recursive: true, force: true });
  }
  return folder;
}

/**
 * Starts the browser, headless, with WebGPU on the software GPU. Hosts under `.test` resolve to this machine.
 *
 * @param protocolTimeout The limit of a call, in milliseconds.
 */
export async function startChromium(protocolTimeout = 280_000): Promise<Browser> {
  const executablePath = join(await unpackedChromium(), 'chromium');
  const args = ['--no-sandbox', '--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];
  args.push('--host-resolver-rules=MAP *.test 127.0.0.1');
  return launch({ executablePath, args, headless: 'shell', protocolTimeout });
}
