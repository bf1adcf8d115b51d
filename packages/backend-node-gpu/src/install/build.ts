/** Links a library into TensorFlow.js's package for Node, and builds the package's native part against it. */
import { mkdir, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { UnsupportedError } from '@ghl/core';
import type { TfjsNode } from '../tfjs-node.js';
import { lastLines, run } from './command.js';

const require = createRequire(import.meta.url);

/**
 * Where the package's own build looks for headers and libraries, `deps/include` and `deps/lib`, becomes links into the
 * library's folder. The native part uses Node-API only, so its headers come from a package, and it serves every Node.
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
      'use a compiler that knows C++17, such as g++ 8 or later; CXX in the environment names it.',
    );
  }
  await rename(part, binding);
}
