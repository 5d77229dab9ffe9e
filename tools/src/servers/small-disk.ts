import { execFile } from 'node:child_process';
import { appendFile, chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const exec = promisify(execFile);

/** A file system of its own in memory, which a test can fill. */
export interface SmallDisk {
  readonly path: string;
  /** Takes all the space that is left, to the last block. */
  fill(): Promise<void>;
  /** Frees what {@link fill} has taken. */
  free(): Promise<void>;
  /** Unmounts it, also while a process still has files open there. */
  close(): Promise<void>;
}

/** Returns why this machine cannot mount a small disk, or undefined if it can. */
export async function whyNoSmallDisk(): Promise<string | undefined> {
  if (process.platform !== 'linux' || userInfo().uid !== 0) return 'only root on Linux may mount a tmpfs';
  return mountSmallDisk(1).then(
    (disk) => disk.close(),
    () => 'this machine does not allow root to mount a tmpfs',
  ) as Promise<string | undefined>;
}

/** Mounts a tmpfs below the temporary directory that every user can access. */
export async function mountSmallDisk(megabytes: number): Promise<SmallDisk> {
  const path = await mkdtemp(join(tmpdir(), 'twinbox-disk-'));
  await chmod(path, 0o755);
  await exec('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=1777`, 'tmpfs', path]);
  const filler = join(path, 'filler');
  return {
    path,
    async fill() {
      // Large pieces first, because the last ones only fill the rest.
      for (const size of [1024 * 1024, 4096]) while (await append(filler, size));
    },
    free: () => rm(filler, { force: true }),
    async close() {
      await unmountBelow(path);
      await rm(path, { recursive: true, force: true });
    },
  };
}

/** Unmounts every small disk below a directory. */
export async function unmountBelow(directory: string): Promise<void> {
  const mounts = await readFile('/proc/mounts', 'utf8').catch(() => '');
  for (const line of mounts.split('\n')) {
    const [type, path = ''] = line.split(' ');
    // Lazily, because servers that were just killed may still have files open.
    if (type === 'tmpfs' && `${path}/`.startsWith(`${directory}/`)) await exec('umount', ['--lazy', path]);
  }
}

/** Appends zeros. Returns false once there is no more space. */
async function append(file: string, size: number): Promise<boolean> {
  try {
    await appendFile(file, Buffer.alloc(size));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    return false;
  }
}
