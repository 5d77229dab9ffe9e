// Builds the pages of the console when one of their sources has changed, and compresses their files for the server.
import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const root = resolve(import.meta.dirname, '..');
const output = join(root, 'apps/console/dist/web');
/** Says from which sources the pages were built. Outside of the output, which the server serves. */
const stamp = join(root, 'apps/console/dist/web-sources');
/** The pages use the sources of the client. A new version of a package changes the lock file. */
const SOURCES = ['apps/console/web/**', 'libs/client/src/**', 'package-lock.json', 'tools/build-pages.mjs'];
/** In bytes. Smaller files fit into a packet or two anyway. */
const SMALL = 1024;

/** @param {(line: string) => void} print */
export async function buildPages(print) {
  const sources = hashOfSources();
  const isCurrent = existsSync(stamp) && readFileSync(stamp, 'utf8') === sources && existsSync(output);
  if (isCurrent) return;
  const start = performance.now();
  print('Building the pages of the console …');
  // An interrupted build leaves pages that are not those of any sources.
  rmSync(stamp, { force: true });
  const { build } = await import('vite');
  await build({ configFile: join(root, 'apps/console/web/vite.config.ts'), logLevel: 'warn' });
  compress();
  writeFileSync(stamp, sources);
  print(`  ✓ built (${((performance.now() - start) / 1000).toFixed(1)} s)`);
}

function hashOfSources() {
  const hash = createHash('sha256');
  const files = SOURCES.flatMap((pattern) => globSync(pattern, { cwd: root, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  for (const file of files) hash.update(file.slice(root.length)).update('\0').update(readFileSync(file)).update('\0');
  return hash.digest('hex');
}

/** The names of these files change with their content, so they are compressed once, as well as possible. */
function compress() {
  for (const file of globSync('**/*.{js,css,svg}', { cwd: output })) {
    const content = readFileSync(join(output, file));
    if (content.length < SMALL) continue;
    const brotli = { params: { [constants.BROTLI_PARAM_SIZE_HINT]: content.length } };
    writeFileSync(join(output, `${file}.br`), brotliCompressSync(content, brotli));
    writeFileSync(join(output, `${file}.gz`), gzipSync(content, { level: 9 }));
  }
}
