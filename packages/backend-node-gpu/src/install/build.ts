/** Links a library into the package of TensorFlow.js for Node, and builds the native part of the package. */
import { mkdir, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { UnsupportedError } from '@ghl/core';
import type { TfjsNode } from '../tfjs-node.js';
import { lastLines, run } from './command.js';

const require = createRequire(import.meta.url);

/**
 * Replaces `deps/include` and `deps/lib`, where the build of the package finds headers and libraries, by links into the
 * folder of the library. The native part uses Node-API only: its headers come from a package, and it runs on every
 * Node.
 *
 * @param library The folder with `include`, `lib` and, for a GPU, `nvidia`.
 * @throws UnsupportedError `BUILD_FAILED`.
 */
export async function build({ folder, binding }: TfjsNode, library: string, compiler: string): Promise<void> {
  const deps = join(folder, 'deps');
  await mkdir(deps, { recursive: true });
  await mkdir(dirname(binding), { recursive: true });
  for (const name of ['include', 'lib']) {
    await rm(join(deps, name), { recursive: true, force: true });
    await symlink(join(library, name), join(deps, name));
  }
  const { include_dir } = require('node-api-headers') as { include_dir: string };
  const part = `${binding}.part`;
  const { ok, stderr } = await run(compiler, [
    ...['-std=c++17', '-O2', '-fPIC', '-shared', '-DNAPI_VERSION=8'],
    ...[`-I${join(folder, '..')}`, `-I${join(deps, 'include')}`, `-I${include_dir}`],
    ...['tfjs_backend.cc', 'tfjs_binding.cc'].map((file) => join(folder, 'binding', file)),
    ...[`-L${join(deps, 'lib')}`, '-ltensorflow', '-ltensorflow_framework', '-Wl,-rpath,$ORIGIN/../../deps/lib'],
    ...['-o', part],
  ]);
  if (!ok) {
    throw new UnsupportedError(
      'BUILD_FAILED',
      `${compiler} does not build ${binding}: ${lastLines(stderr, 12)}`,
      'use a compiler that supports C++17, such as g++ 8 or later; the environment variable CXX selects it.',
    );
  }
  await rename(part, binding);
}
