/** A page with functions for the driver of the browser: the requirements of the backend. */
import { backend } from '@ghl/backend-webgpu';
import { backendCases, failures } from '@ghl/conformance';
import type { ActiveBackend } from '@ghl/core';
import { train } from '../same-training.js';

/** The result. */
export interface BrowserReport {
  /** The result of `activate()`. */
  readonly got: ActiveBackend;
  /** The failed conformance cases of the backend. */
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
