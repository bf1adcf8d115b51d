/** A page that offers to whoever steers the browser what the backend must do there. */
import { backend } from '@ghl/backend-webgpu';
import { backendCases, failures } from '@ghl/conformance';
import type { ActiveBackend } from '@ghl/core';
import { train } from '../same-training.js';

/** What came out. */
export interface BrowserReport {
  /** What `activate()` got. */
  readonly got: ActiveBackend;
  /** What the backend's conformance cases found wrong with its kernels. */
  readonly failed: readonly string[];
  /** The loss of each step of a training. */
  readonly losses: readonly number[];
}

async function report(): Promise<BrowserReport> {
  const got = await backend.activate();
  const losses = await train();
  const failed = (await failures(backendCases(backend))).map(({ id, error }) => `${id}: ${error}`);
  await backend.deactivate();
  return { got, failed, losses };
}

Object.assign(globalThis, { report, isSupported: backend.isSupported });
