/** Tests the requirements of every runtime in Node, once for each request in its arguments, and prints the reports. */
import type { BackendAdapter } from '@ghl/core';
import { type Report, smoke } from './smoke.js';

const [name, requests] = process.argv.slice(2) as [string, string];
const { backend } = (await import(name)) as { backend: BackendAdapter };
const reports: Report[] = [];
for (const request of JSON.parse(requests) as object[]) reports.push(await smoke(backend, request));
process.stdout.write(JSON.stringify(reports));
