/** The browsers of the matrix behind one interface. Chromium is a package of npm; the others are packages of Debian. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { launch, type Browser as Puppet } from 'puppeteer-core';
import { startChromium, unpackedChromium } from '../../tools/vitest/chromium.js';

/** A page in a browser. */
export interface Tab {
  /** The value of an expression, or of its promise. */
  evaluate<T>(expression: string): Promise<T>;
  /** The console output since the last call: of the page, and of the browser if its driver reports it. */
  printed(): Promise<string[]>;
  /** The number of workers, if the browser's driver reports it. */
  workers(): number | undefined;
  close(): Promise<unknown>;
}

/** A running browser. */
export interface Browser {
  readonly version: string;
  open(address: string): Promise<Tab>;
  close(): Promise<unknown>;
}

/** A browser, and how many of two threads it gives to an isolated page and to any other page. */
export interface Engine {
  /** @throws Error with the missing program and a command to install it. */
  start(): Promise<Browser>;
  readonly threads: { readonly isolated: number; readonly open: number };
  /** The number of retries of a failed test. */
  readonly retry?: number;
}

/** The limit of a call in a page, in milliseconds. */
const patience = 590_000;
/** The limit in WebKit. It has no WebGPU, so no call takes longer than a few seconds. */
const webKitPatience = 60_000;

/** The browsers by their names in reports. */
export const engines: Readonly<Record<string, Engine>> = {
  Chromium: { threads: { isolated: 2, open: 1 }, start: async () => puppetBrowser(await startChromium(patience)) },
  Firefox: { threads: { isolated: 2, open: 1 }, start: startFirefox },
  // In about one run of fifty, its driver gets no answer from a page with a worker; the test then starts again. It has
  // no SharedArrayBuffer by default, and then isolation does not matter. Safari has it in isolated pages.
  WebKitGTK: { threads: { isolated: 1, open: 1 }, retry: 1, start: () => startWebKit({}) },
  'WebKitGTK with SharedArrayBuffer': {
    threads: { isolated: 2, open: 2 },
    retry: 1,
    start: () => startWebKit({ JSC_useSharedArrayBuffer: '1' }),
  },
};

const run = promisify(execFile);

/**
 * Installs missing programs from packages of Debian, if this process has the right to.
 *
 * @throws Error with a command to install them if it has not, or with the output of `apt-get`.
 */
async function provide(programs: readonly string[], packages: readonly string[]): Promise<void> {
  const lacks = async () => {
    const looked = await Promise.allSettled(programs.map((program) => run('which', [program])));
    return programs.filter((_, i) => looked[i]!.status === 'rejected');
  };
  const missing = await lacks();
  if (missing.length === 0) return;
  const install = ['install', '-y', '--no-install-recommends', ...packages];
  const help = `${missing.join(', ')} missing; on Debian: apt-get ${install.join(' ')}`;
  if (process.platform !== 'linux' || process.getuid?.() !== 0) throw new Error(help);
  const limits = ['Acquire::Retries=1', 'Acquire::http::Timeout=20', 'DPkg::Lock::Timeout=120'];
  const options = {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    timeout: 140_000,
    maxBuffer: 2 ** 26,
  };
  try {
    for (const command of [['update'], install]) {
      await run('apt-get', [...limits.flatMap((limit) => ['-o', limit]), ...command], options);
    }
  } catch (error) {
    const output = (error as { stderr?: string }).stderr?.trim().split('\n').slice(0, 3).join(' ');
    throw new Error(`${help}; the command failed: ${output || error}`, { cause: error });
  }
  const still = await lacks();
  if (still.length > 0)
    throw new Error(`apt-get installs ${packages.join(', ')}, but there is no ${still.join(', ')}.`);
}

/** Firefox, with a new profile. Puppeteer's preferences disable updates and telemetry. */
async function startFirefox(): Promise<Browser> {
  await provide(['firefox-esr'], ['firefox-esr']);
  const folder = await unpackedChromium().catch(() => undefined);
  const puppet = await launch({
    browser: 'firefox',
    executablePath: (await run('which', ['firefox-esr'])).stdout.trim(),
    protocolTimeout: patience,
    // On Linux, preferences enable WebGPU in Firefox. The software GPU is that of Chromium.
    extraPrefsFirefox: { 'dom.webgpu.enabled': folder !== undefined, 'gfx.webgpu.ignore-blocklist': true },
    env: {
      ...process.env,
      ...(folder && { LD_LIBRARY_PATH: folder, VK_ICD_FILENAMES: join(folder, 'vk_swiftshader_icd.json') }),
    },
  });
  return puppetBrowser(puppet);
}

async function puppetBrowser(puppet: Puppet): Promise<Browser> {
  return {
    version: (await puppet.version()).split('/')[1]!,
    close: () => puppet.close(),
    async open(address) {
      const page = await puppet.newPage();
      const messages: string[] = [];
      page.on('console', (message) => messages.push(message.text()));
      page.on('pageerror', (error) => messages.push(String(error)));
      await page.goto(address);
      return {
        evaluate: <T>(expression: string) => page.evaluate(expression) as Promise<T>,
        printed: async () => messages.splice(0),
        workers: () => page.workers().length,
        close: () => page.close(),
      };
    },
  };
}

/** WebKit, by W3C WebDriver, the protocol of its driver. It needs a display, which Xvfb provides. */
async function startWebKit(env: Readonly<Record<string, string>>): Promise<Browser> {
  await provide(['WebKitWebDriver', 'xvfb-run', 'xauth'], ['webkit2gtk-driver', 'xvfb', 'xauth']);
  const port = await freePort();
  const driver = spawn('xvfb-run', ['-a', 'WebKitWebDriver', `--port=${port}`], {
    // Its sandbox does not start as root.
    env: { ...process.env, WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1', ...env },
    stdio: 'ignore',
    detached: true, // a process group, so that its child processes end with it
  });
  const end = async () => {
    const ended = once(driver, 'exit');
    process.kill(-driver.pid!);
    await ended;
  };
  async function ask<T>(method: string, path: string, body?: object): Promise<T> {
    const response = await fetch(`http://127.0.0.1:${port}/${path}`, {
      method,
      ...(body && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(webKitPatience),
    });
    const { value } = (await response.json()) as { value: T & { message: string } };
    if (!response.ok) throw new Error(value.message);
    return value;
  }
  async function newSession(): Promise<{ sessionId: string; capabilities: { browserVersion: string } }> {
    for (let tries = 200; tries > 0; tries--) {
      if (await ask('GET', 'status').catch(() => undefined)) break;
      await sleep(50);
    }
    return ask('POST', 'session', { capabilities: { alwaysMatch: { timeouts: { script: webKitPatience - 5_000 } } } });
  }
  const { sessionId, capabilities } = await newSession().catch(async (error) => {
    await end();
    throw error;
  });
  const session = `session/${sessionId}`;
  const evaluate = <T>(expression: string): Promise<T> =>
    ask<T>('POST', `${session}/execute/sync`, { script: `return ${expression}`, args: [] }).catch((cause: Error) => {
      throw new Error(`${expression}: ${cause.message}`, { cause });
    });
  return {
    version: capabilities.browserVersion,
    async close() {
      await ask('DELETE', session);
      await end();
    },
    async open(address) {
      await ask('POST', `${session}/url`, { url: address });
      return {
        evaluate,
        printed: () => evaluate('printed.splice(0)'),
        workers: () => undefined,
        close: () => ask('POST', `${session}/url`, { url: 'about:blank' }),
      };
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
