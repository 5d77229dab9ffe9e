// Generates what the documentation takes from the code: `npm run docs`. With `--check` it only compares, and fails on a difference.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { root } from '../checkout.js';
import { describeError } from '../errors.js';
import { configurationTables } from './configuration.js';
import { withGenerated } from './generated-section.js';
import { testsByGuarantee } from './guarantees.js';
import { libraryReference } from './library-reference.js';

const CONFIGURATION = 'docs/reference/configuration.md';
const GUARANTEES = 'docs/guarantees.md';
/** A folder of which everything is generated. */
const LIBRARY_REFERENCE = 'docs/reference/messaging';

/** The whole text of each generated document, by its path. */
async function documents(): Promise<Map<string, string>> {
  const generated = new Map([
    [CONFIGURATION, await filled(CONFIGURATION, Object.entries(await configurationTables()))],
    [GUARANTEES, await filled(GUARANTEES, await testsByGuarantee())],
  ]);
  for (const [name, page] of await libraryReference()) generated.set(join(LIBRARY_REFERENCE, name), page);
  for (const [path, text] of generated)
    generated.set(path, await format(text, { ...(await resolveConfig(join(root, path))), filepath: path }));
  return generated;
}

async function filled(path: string, sections: Iterable<readonly [string, string]>): Promise<string> {
  let text = await readFile(join(root, path), 'utf8');
  for (const [name, content] of sections) text = withGenerated(text, name, content);
  return text;
}

async function main(isCheck: boolean): Promise<number> {
  const generated = await documents();
  const present = await readdir(join(root, LIBRARY_REFERENCE), { recursive: true }).catch(() => []);
  const pages = present.filter((name) => name.endsWith('.md')).map((name) => join(LIBRARY_REFERENCE, name));
  const stale = pages.filter((path) => !generated.has(path));
  const differing = await changed(generated);
  for (const path of [...differing, ...stale])
    console.log(isCheck ? `${path} is not up to date. Run "npm run docs".` : `${path} updated`);
  if (isCheck) return differing.length + stale.length > 0 ? 1 : 0;
  for (const path of differing) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), generated.get(path) ?? '');
  }
  for (const path of stale) await rm(join(root, path));
  return 0;
}

async function changed(generated: ReadonlyMap<string, string>): Promise<string[]> {
  const paths: string[] = [];
  for (const [path, text] of generated) {
    const current = await readFile(join(root, path), 'utf8').catch(() => undefined);
    if (current !== text) paths.push(path);
  }
  return paths;
}

try {
  process.exitCode = await main(process.argv.includes('--check'));
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 1;
}
