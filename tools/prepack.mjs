// Runs before npm packs a library: builds it from nothing, so that the package has everything of it and nothing stale.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';

const tsc = resolve(import.meta.dirname, '../node_modules/typescript/bin/tsc');
if (!existsSync(tsc)) {
  console.error(
    'There is no compiler to build the package with: the dependencies are not installed. Run "npm ci" first.',
  );
  process.exit(1);
}
rmSync('dist', { recursive: true, force: true });
// Not to stdout, where `npm pack` prints the name of the file that it has made.
const { status } = spawnSync(process.execPath, [tsc, '-b', 'tsconfig.build.json'], { stdio: ['ignore', 2, 2] });
process.exit(status ?? 1);
