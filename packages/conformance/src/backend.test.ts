/** The stock CPU backend passes the kit: the reference is correct, or both have the same fault. */
import '@tensorflow/tfjs-backend-cpu';
import type { BackendAdapter } from '@ghl/core';
import * as tf from '@tensorflow/tfjs-core';
import { describe, it } from 'vitest';
import { backendCases } from './backend.js';

const cpu: BackendAdapter = {
  name: 'cpu',
  isSupported: async () => ({ supported: true }),
  activate: async () => {
    await tf.setBackend('cpu');
    return { name: 'cpu', versions: {}, kernels: [] };
  },
  deactivate: async () => {},
};

describe('the CPU backend', () => {
  for (const { title, run } of backendCases(cpu)) it(title, run);
});
