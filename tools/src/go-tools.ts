import { execFile, spawnSync } from 'node:child_process';
import { access, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root } from './checkout.js';
import { OperationalError } from './errors.js';

/** Programs that are published only as Go modules, with the versions that the tests use. */
const GO_TOOLS = {
  grpcurl: 'github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.4',
  oasdiff: 'github.com/oasdiff/oasdiff@v1.38.0',
} as const;

type GoTool = keyof typeof GO_TOOLS;

/** Whether tests with Go programs run here. Without Go they are skipped, except with `REQUIRE_GO=1`, with which they fail. */
export const runsGo = process.env['REQUIRE_GO'] === '1' || spawnSync('go', ['version']).status === 0;

/**
 * Returns the path of a Go program. Builds it first, unless this checkout has it, which takes up to a minute.
 * @throws OperationalError if it cannot be built
 */
export async function goTool(name: GoTool): Promise<string> {
  const module = GO_TOOLS[name];
  const cache = join(root, 'node_modules/.cache/go-tools');
  const path = join(cache, `${name}-${module.slice(module.lastIndexOf('@') + 1)}`);
  if (await exists(path)) return path;
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, 'build-'));
  try {
    await promisify(execFile)('go', ['install', module], { env: { ...process.env, GOBIN: folder } });
    // Another process may have built it at the same time.
    await rename(join(folder, name), path);
    return path;
  } catch (error) {
    const { message } = error as Error;
    throw new OperationalError(
      `${name} could not be built. Install Go 1.24 or later, and check that its modules can be downloaded. ${message}`,
      { cause: error },
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
