/**
 * Gives WebGPU in Node a GPU in software, SwiftShader, so that tests need none in hardware. With
 * `GHL_TEST_GPU=hardware` in the environment, they run on the machine's own. A test that finds no GPU fails; none is
 * left out.
 */
import { constants } from 'node:os';
import { join } from 'node:path';
import { unpackedChromium } from './chromium.js';

if (process.env.GHL_TEST_GPU !== 'hardware') {
  const folder = await unpackedChromium();
  process.env.VK_ICD_FILENAMES = join(folder, 'vk_swiftshader_icd.json');
  process.env.LD_LIBRARY_PATH = folder; // for processes that tests start; this one has read it already
  const keepLoaded = 0x1000; // RTLD_NODELETE of glibc, which Node does not name
  try {
    // Dawn looks for the loader by its name, and finds what is loaded under it already; no path has to be set for that.
    process.dlopen({ exports: {} }, join(folder, 'libvulkan.so.1'), constants.dlopen.RTLD_NOW | keepLoaded);
  } catch (error) {
    if (!String(error).includes('did not self-register')) {
      throw new Error(`The GPU in software does not load, and tests of WebGPU cannot run: ${error}`);
    }
  }
}
