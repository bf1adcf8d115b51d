import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { gpuName, probe, refusalOf, withoutGpu } from './probe.js';

const folder = mkdtempSync(join(tmpdir(), 'ghl-probe-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A file in place of the binding. */
function binding(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe('probe', () => {
  it('returns the version that the library reports', async () => {
    const path = binding('good.cjs', "module.exports = { TF_Version: '2.18.1', isUsingGpuDevice: () => false };");
    expect(await probe(path)).toEqual({ version: '2.18.1', gpu: undefined, withoutGpu: undefined });
  });

  it('returns the GPU, and allocates only the memory that it needs', async () => {
    const line = 'Created device /job:localhost/device:GPU:0 with 100 MB memory:  -> device: 0, name: NVIDIA H100, pci';
    const text = `process.stderr.write(${JSON.stringify(line)});
      if (process.env.TF_FORCE_GPU_ALLOW_GROWTH !== 'true') throw new Error('greedy');
      module.exports = { TF_Version: '2.18.1', isUsingGpuDevice: () => true };`;
    expect(await probe(binding('gpu.cjs', text))).toMatchObject({ gpu: 'NVIDIA H100' });
  });

  it('rejects a file that is not a library', async () => {
    const refusal = await probe(binding('broken.node', 'not a library'));
    expect(refusal).toMatchObject({ supported: false, reason: expect.stringMatching(/broken: .*broken\.node/) });
  });

  it.each([
    ['SIGILL', /instructions .* AVX/],
    ['SIGSEGV', /ends its process \(SIGSEGV\)/],
  ])('survives a library that ends its process by %s', async (signal, reason) => {
    const refusal = await probe(binding(`${signal}.cjs`, `process.kill(process.pid, '${signal}'); for (;;);`));
    expect(refusal).toMatchObject({ supported: false, reason: expect.stringMatching(reason) });
  });
});

describe('the reason from the output of a failed load', () => {
  it.each([
    [
      'Error: libtensorflow_cc.so.2: cannot open shared object file: No such file or directory',
      'The native library libtensorflow_cc.so.2 is missing.',
    ],
    [
      'Error: libcudart.so.12: cannot open shared object file: No such file or directory',
      "CUDA's library libcudart.so.12 is missing.",
    ],
    [
      'Error: /x/tfjs_binding.node: undefined symbol: TFE_NewContext',
      'of another version, for another machine, or broken: /x/tfjs_binding.node: undefined symbol: TFE_NewContext.',
    ],
    [
      "Error: /lib/libc.so.6: version `GLIBC_2.99' not found (required by /x/libtensorflow.so)",
      "version `GLIBC_2.99' not found",
    ],
    ['Error: Exception creating TFE_Context', 'does not load: Exception creating TFE_Context.'],
    ['', 'it printed nothing'],
  ])('%s', (stderr, reason) => {
    const refusal = refusalOf(undefined, false, stderr);
    expect(refusal.reason).toContain(reason);
    expect(refusal.help).toContain('npx @ghl/backend-node-gpu install');
  });

  it('reports a load that took too long', () => {
    expect(refusalOf('SIGTERM', true, '').reason).toContain('two minutes');
  });

  it('finds the reason that a library for CUDA uses no GPU', () => {
    expect(withoutGpu('I0000 x.cc] Could not find cuda drivers on your machine, GPU will not be used.\n')).toBe(
      'Could not find cuda drivers on your machine, GPU will not be used',
    );
    expect(withoutGpu('E0000 cuda_driver.cc:152] failed call to cuInit: INTERNAL: no CUDA-capable device\nnext')).toBe(
      'failed call to cuInit: INTERNAL: no CUDA-capable device',
    );
    expect(withoutGpu('I0000 port.cc:153] oneDNN custom operations are on.')).toBeUndefined();
  });

  it("returns 'GPU' if the log does not name the GPU", () => {
    expect(gpuName('')).toBe('GPU');
  });
});
