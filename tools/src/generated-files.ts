import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { root } from './checkout.js';

/** Files that a command generates. All paths are relative to the checkout. */
export interface GeneratedFiles {
  /** The content of each file by its path. */
  readonly files: ReadonlyMap<string, string | Uint8Array>;
  /** Folders in which every file is generated, so that those the command no longer generates are removed. */
  readonly folders: readonly string[];
}

/**
 * Writes the files that differ from those in the checkout, and removes those that are no longer generated. With `isCheck`, it changes
 * nothing and reports them with the command that does. Returns whether all files were up to date.
 */
export async function updateFiles(
  { files, folders }: GeneratedFiles,
  { isCheck, command }: { readonly isCheck: boolean; readonly command: string },
): Promise<boolean> {
  const stale = (await filesIn(folders)).filter((path) => !files.has(path));
  const differing: string[] = [];
  for (const [path, content] of files) if (!(await holds(path, content))) differing.push(path);
  for (const path of [...differing, ...stale])
    console.log(isCheck ? `${path} is not up to date. Run "${command}".` : `${path} updated`);
  if (isCheck) return differing.length + stale.length === 0;
  for (const path of differing) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), files.get(path) ?? '');
  }
  for (const path of stale) await rm(join(root, path));
  return differing.length + stale.length === 0;
}

async function filesIn(folders: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const folder of folders) {
    const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true }).catch(() => []);
    for (const entry of entries)
      if (entry.isFile()) found.push(join(entry.parentPath, entry.name).slice(root.length).replace(/^\//, ''));
  }
  return found;
}

async function holds(path: string, content: string | Uint8Array): Promise<boolean> {
  const current = await readFile(join(root, path)).catch(() => undefined);
  return current !== undefined && Buffer.from(content as string).equals(current);
}
