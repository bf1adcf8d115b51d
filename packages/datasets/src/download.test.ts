import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { download } from './download.js';
import type { DownloadProgress } from './files.js';

const content = new Uint8Array(300_000).map((_, i) => (i * i) >> 3);
const md5 = createHash('md5').update(content).digest('hex');

let folder: string;
let path: string;
let server: Server;
let url: string;
/** The Range header of each request. */
let ranges: (string | undefined)[];
let answer: (request: IncomingMessage, response: ServerResponse) => void;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'ghl-download-'));
  path = join(folder, 'new', 'file.bin');
  ranges = [];
  server = createServer((request, response) => {
    ranges.push(request.headers.range);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/file.bin`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true });
});

/** Sends from `from` on, or from where the request asks; breaks off after `bytes`. */
function send(request: IncomingMessage, response: ServerResponse, { bytes = Infinity, ranged = true } = {}): void {
  const from = ranged ? Number(/\d+/.exec(request.headers.range ?? '0')![0]) : 0;
  const rest = content.subarray(from);
  const status = ranged && request.headers.range ? 206 : 200;
  response.writeHead(status, {
    'content-length': rest.length,
    ...(status === 206 ? { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` } : {}),
  });
  if (bytes >= rest.length) response.end(rest);
  else response.write(rest.subarray(0, bytes), () => setTimeout(() => response.destroy(), 20));
}

const get = (onProgress?: (progress: DownloadProgress) => void) => download(url, md5, path, onProgress, 1);
const saved = () => createHash('md5').update(readFileSync(path)).digest('hex');

it('fetches a file, and reports its progress', async () => {
  answer = send;
  const seen: DownloadProgress[] = [];
  await get((progress) => seen.push(progress));
  expect(saved()).toBe(md5);
  expect(seen.at(-1)).toEqual({ file: 'file.bin', received: content.length, total: content.length });
  expect(seen.every(({ received }, i) => i === 0 || received > seen[i - 1]!.received)).toBe(true);
  expect(ranges).toEqual([undefined]);
  expect(existsSync(`${path}.part`)).toBe(false);
});

it('resumes where a dropped connection ended', async () => {
  answer = (request, response) => send(request, response, { bytes: 100_000 });
  const seen: DownloadProgress[] = [];
  await get((progress) => seen.push(progress));
  expect(saved()).toBe(md5);
  expect(ranges).toEqual([undefined, 'bytes=100000-', 'bytes=200000-']);
  expect(seen.at(-1)).toEqual({ file: 'file.bin', received: content.length, total: content.length });
});

it('resumes at the end of the bytes of a killed process', async () => {
  answer = (request, response) => {
    if (ranges.length === 1) send(request, response, { bytes: 120_000 });
    else response.destroy();
  };
  await expect(get()).rejects.toMatchObject({ name: 'DataError', code: 'DOWNLOAD_FAILED' });
  await expect(get()).rejects.toThrow(/broke off after 120000 bytes.*\n.*resumes from there/);
  expect(readFileSync(`${path}.part`).length).toBe(120_000);
  answer = send;
  ranges = [];
  await get();
  expect(ranges).toEqual(['bytes=120000-']);
  expect(saved()).toBe(md5);
});

it('starts again with a server that does not support ranges', async () => {
  answer = (request, response) => {
    send(request, response, { ranged: false, bytes: ranges.length === 1 ? 50_000 : Infinity });
  };
  await get();
  expect(ranges).toEqual([undefined, 'bytes=50000-']);
  expect(saved()).toBe(md5);
});

it('gives up on such a server if it drops the connection again and again', async () => {
  answer = (request, response) => send(request, response, { ranged: false, bytes: 50_000 });
  await expect(get()).rejects.toMatchObject({ code: 'DOWNLOAD_FAILED' });
});

it('starts again if the earlier bytes belong to another file', async () => {
  answer = send;
  await get();
  rmSync(path);
  writeFileSync(`${path}.part`, new Uint8Array(1000));
  ranges = [];
  await get();
  expect(ranges).toEqual(['bytes=1000-', undefined]);
  expect(saved()).toBe(md5);
});

it('accepts a complete part, and rejects one that is too long', async () => {
  answer = (request, response) => {
    const from = Number(/\d+/.exec(request.headers.range ?? '0')![0]);
    if (from < content.length) send(request, response);
    else response.writeHead(416).end();
  };
  await get();
  for (const extra of [0, 10]) {
    rmSync(path);
    writeFileSync(`${path}.part`, Buffer.concat([content, new Uint8Array(extra)]));
    await get();
    expect(saved()).toBe(md5);
  }
  expect(ranges).toEqual([undefined, 'bytes=300000-', 'bytes=300010-', undefined]);
});

it('does not write bytes at a wrong position', async () => {
  answer = (request, response) => {
    if (ranges.length === 1) send(request, response, { bytes: 1000 });
    else if (request.headers.range) response.writeHead(206, { 'content-range': 'bytes 0-1/300000' }).end('ab');
    else send(request, response);
  };
  await get();
  expect(saved()).toBe(md5);
});

it('rejects a wrong checksum, and keeps no bytes', async () => {
  answer = (_, response) => void response.end('something else');
  await expect(get()).rejects.toMatchObject({ name: 'DataError', code: 'CHECKSUM_MISMATCH' });
  await expect(get()).rejects.toThrow(new RegExp(`has the MD5 [0-9a-f]{32}, not ${md5}`));
  expect([existsSync(path), existsSync(`${path}.part`)]).toEqual([false, false]);
});

it('rejects a missing file without a second attempt', async () => {
  answer = (_, response) => void response.writeHead(404).end();
  await expect(get()).rejects.toMatchObject({ name: 'DataError', code: 'DOWNLOAD_FAILED' });
  expect(ranges.length).toBe(1);
  await expect(get()).rejects.toThrow(/the server answered 404 Not Found/);
});

it('tries again if the server is busy', async () => {
  answer = (request, response) => {
    if (ranges.length < 3) response.writeHead(503).end();
    else send(request, response);
  };
  await get();
  expect(saved()).toBe(md5);
});

it('reports a server that does not answer', async () => {
  await expect(download('http://127.0.0.1:1/x', md5, path, undefined, 1)).rejects.toMatchObject({
    code: 'DOWNLOAD_FAILED',
  });
});
