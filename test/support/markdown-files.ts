import { glob } from 'node:fs/promises';
import { basename } from 'node:path';
import { root } from '@twinbox/tools';

const EXCLUDED = new Set(['node_modules', 'dist', '.twinbox', '.git', 'coverage']);

/** Returns the paths of the Markdown files of this checkout, without those of installed packages. */
export async function markdownFiles(): Promise<string[]> {
  const files: string[] = [];
  for await (const file of glob('**/*.md', { cwd: root, exclude: (path) => EXCLUDED.has(basename(path)) }))
    files.push(file);
  return files.toSorted();
}
