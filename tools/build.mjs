// The build: `tsc -b`, printing each workspace that is compiled, because the first build takes several seconds, and the console's pages.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { buildPages } from './build-pages.mjs';

const root = resolve(import.meta.dirname, '..');
const tsc = resolve(root, 'node_modules/@typescript/native/bin/tsc');
if (!existsSync(tsc)) {
  console.error('The dependencies are not installed. Run "npm ci" first, then start again.');
  process.exit(1);
}

const start = performance.now();
let compiled = 0;

const build = spawn(process.execPath, [tsc, '-b', 'tsconfig.build.json', '--verbose'], {
  cwd: root,
  stdio: ['ignore', 'pipe', 'inherit'],
});
for await (const line of createInterface({ input: build.stdout })) {
  const [, config] = /Building project '(.+)'/.exec(line) ?? [];
  if (config !== undefined) {
    if (compiled++ === 0) console.log('Compiling …');
    console.log(`  ${dirname(config)} …`);
  } else if (!/^(\d{1,2}:\d\d:\d\d|Projects in this build|\s+\* |$)/.test(line)) {
    // An error of the compiler.
    console.log(line);
  }
}
if (build.exitCode === null && build.signalCode === null) await new Promise((resolve) => build.once('exit', resolve));
if (build.exitCode === 0 && compiled > 0)
  console.log(`  ✓ compiled (${((performance.now() - start) / 1000).toFixed(1)} s)`);
if (build.exitCode !== 0) process.exit(build.exitCode ?? 1);
await buildPages((line) => console.log(line));
