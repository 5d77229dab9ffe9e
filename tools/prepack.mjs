// Runs before npm packs a library. Builds it from scratch, so that the package is complete and contains nothing stale.
import { spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';

const tsc = resolve(import.meta.dirname, '../node_modules/@typescript/native/bin/tsc');
if (!existsSync(tsc)) {
  console.error('The package cannot be built because the dependencies are not installed. Run "npm ci" first.');
  process.exit(1);
}
rmSync('dist', { recursive: true, force: true });
// Output goes to stderr, because `npm pack` prints the name of the created file to stdout.
const { status } = spawnSync(process.execPath, [tsc, '-b', 'tsconfig.build.json'], { stdio: ['ignore', 2, 2] });
process.exit(status ?? 1);
