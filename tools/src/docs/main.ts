// Generates what the documentation takes from the code, and the dashboards: `npm run docs`. With `--check` it only compares, and fails on a difference.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { root } from '../checkout.js';
import { dashboards } from '../dashboards/generate.js';
import { describeError } from '../errors.js';
import { updateFiles } from '../generated-files.js';
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
  const generated = [{ files: await documents(), folders: [LIBRARY_REFERENCE] }, dashboards()];
  let wereCurrent = true;
  for (const files of generated) {
    const isCurrent = await updateFiles(files, { isCheck, command: 'npm run docs' });
    wereCurrent &&= isCurrent;
  }
  return isCheck && !wereCurrent ? 1 : 0;
}

try {
  process.exitCode = await main(process.argv.includes('--check'));
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 1;
}
