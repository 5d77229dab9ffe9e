import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { root } from '../checkout.js';

const LIBRARY = join(root, 'libs/messaging');

interface Manifest {
  readonly exports: Readonly<Record<string, { readonly '@twinbox/source': string }>>;
}

/** The pages of the API of `@twinbox/messaging`, made by TypeDoc from its docstrings, by their path. */
export async function libraryReference(): Promise<ReadonlyMap<string, string>> {
  const out = await mkdtemp(join(tmpdir(), 'twinbox-typedoc-'));
  try {
    const { exports } = JSON.parse(await readFile(join(LIBRARY, 'package.json'), 'utf8')) as Manifest;
    const entryPoints = Object.values(exports).map(({ '@twinbox/source': source }) => join(LIBRARY, source));
    const options = ['--options', join(LIBRARY, 'typedoc.json'), '--out', out, '--logLevel', 'Warn'];
    const typedoc = join(root, 'node_modules/typedoc/bin/typedoc');
    await promisify(execFile)(process.execPath, [typedoc, ...options, ...entryPoints], { cwd: root });
    const names = (await readdir(out, { recursive: true })).filter((name) => name.endsWith('.md'));
    const page = async (name: string) => [name, await readFile(join(out, name), 'utf8')] as const;
    return new Map(await Promise.all(names.map(page)));
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}
