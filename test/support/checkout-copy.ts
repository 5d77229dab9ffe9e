import { chmod, cp, glob, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, relative, sep } from 'node:path';
import { root } from '@twinbox/tools';

/** A copy of this checkout that a test may change, build and start. */
export interface CheckoutCopy {
  readonly path: string;
  readonly read: (file: string) => Promise<string>;
  remove(): Promise<void>;
}

/** Folders that a clone does not have or that a copy gets in another way. */
const EXCLUDED = new Set(['.git', '.twinbox', 'coverage', 'node_modules']);

/**
 * Copies this checkout to the temporary directory. Its node_modules links to the packages installed here, and to the workspaces of the
 * copy. With `built`, the output of the last build is copied too, so that only changes are compiled.
 */
export async function copyCheckout({ built }: { readonly built: boolean }): Promise<CheckoutCopy> {
  const path = await mkdtemp(join(tmpdir(), 'twinbox-copy-'));
  // As root, PostgreSQL runs as another user, which must be able to reach its data.
  await chmod(path, 0o755);
  await cp(root, path, {
    recursive: true,
    // Otherwise the compiler would consider every file newer than its output.
    preserveTimestamps: true,
    verbatimSymlinks: true,
    filter: (source) => {
      const parts = relative(root, source).split(sep);
      return !parts.some((part) => EXCLUDED.has(part) || (part === 'dist' && !built));
    },
  });
  await linkPackages(path);
  await linkKafka(path);
  return {
    path,
    read: (file) => readFile(join(path, file), 'utf8'),
    // A server that has just stopped may still write for a moment.
    remove: () => rm(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }),
  };
}

async function linkPackages(path: string): Promise<void> {
  const [from, to] = [join(root, 'node_modules'), join(path, 'node_modules')];
  await mkdir(join(to, '@twinbox'), { recursive: true });
  for (const name of await readdir(from))
    if (name !== '@twinbox' && name !== '.cache') await symlink(join(from, name), join(to, name));
  // Relative links, so that they point to the workspaces of the copy.
  for (const name of await readdir(join(from, '@twinbox')))
    await symlink(await readlink(join(from, '@twinbox', name)), join(to, '@twinbox', name));
  // The packages of a single workspace, whose versions differ from those of the others.
  for await (const own of glob('{apps,libs}/*/node_modules', { cwd: root }))
    await symlink(join(root, own), join(path, own));
}

/** Links the jars of the test runner's Kafka, if there are any, so that a copy downloads none. */
async function linkKafka(path: string): Promise<void> {
  const jars = process.env['TEST_KAFKA_JARS'];
  if (!jars) return;
  await mkdir(join(path, '.twinbox'));
  await symlink(jars, join(path, '.twinbox', basename(jars)));
}

/** Returns the environment of a new shell, without what npm, jest and the test runner have set for this process. */
export function shellEnvironment(): NodeJS.ProcessEnv {
  const isFromRunner = (name: string) => /^(npm_|TEST_|JEST_|INIT_CWD$|NODE_ENV$|NODE_OPTIONS$)/.test(name);
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isFromRunner(name)));
}
