/**
 * Gives WebGPU in Node a software GPU, SwiftShader, so that tests need no hardware. With `GHL_TEST_GPU=hardware` in the
 * environment, they run on the GPU of the machine. Without a GPU, tests fail; they are not skipped.
 */
import { constants } from 'node:os';
import { join } from 'node:path';
import { unpackedChromium } from './chromium.js';

if (process.env.GHL_TEST_GPU !== 'hardware') {
  const folder = await unpackedChromium();
  process.env.VK_ICD_FILENAMES = join(folder, 'vk_swiftshader_icd.json');
  process.env.LD_LIBRARY_PATH = folder; // for child processes of tests; this process has read it already
  const keepLoaded = 0x1000; // RTLD_NODELETE of glibc; Node has no name for it
  try {
    // Dawn opens the loader by its name, and gets the library that is loaded already. It needs no path.
    process.dlopen({ exports: {} }, join(folder, 'libvulkan.so.1'), constants.dlopen.RTLD_NOW | keepLoaded);
  } catch (error) {
    if (!String(error).includes('did not self-register')) {
      throw new Error(`The software GPU does not load, so tests of WebGPU cannot run: ${error}`);
    }
  }
}
