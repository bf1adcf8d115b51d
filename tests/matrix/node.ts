/** Does in Node what every runtime must do, once for each of the requests in its argument, and prints the reports. */
import type { WasmOptions } from '@ghl/backend-wasm';
import { type Report, smoke } from './smoke.js';

const reports: Report[] = [];
for (const request of JSON.parse(process.argv[2] as string) as WasmOptions[]) reports.push(await smoke(request));
process.stdout.write(JSON.stringify(reports));
