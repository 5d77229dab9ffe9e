import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root } from '../checkout.js';

/** The pages of the API of `@twinbox/messaging`, made by TypeDoc from its docstrings, by the name of their file. */
export async function libraryReference(): Promise<ReadonlyMap<string, string>> {
  const out = await mkdtemp(join(tmpdir(), 'twinbox-typedoc-'));
  try {
    const options = ['--options', join(root, 'libs/messaging/typedoc.json'), '--out', out, '--logLevel', 'Error'];
    await promisify(execFile)(process.execPath, [join(root, 'node_modules/typedoc/bin/typedoc'), ...options], {
      cwd: root,
    });
    const names = (await readdir(out)).filter((name) => name.endsWith('.md'));
    const page = async (name: string) => [name, await readFile(join(out, name), 'utf8')] as const;
    return new Map(await Promise.all(names.map(page)));
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}
