import { existsSync } from 'node:fs';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const TRIPLET = process.arch === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';
/** Where packages and `make install` put libfaketime. This variant is for programs with threads. */
const LIBRARIES = [`/usr/lib/${TRIPLET}`, '/usr/lib64', '/usr/lib', '/usr/local/lib'].map((folder) =>
  join(folder, 'faketime', 'libfaketimeMT.so.1'),
);
const library = LIBRARIES.find((path) => existsSync(path));

/** Returns why no wall clock can be set here, or undefined if it can. The CI workflow installs libfaketime, so nothing is skipped there. */
export function whyNoWallClock(): string | undefined {
  return library === undefined && process.env['GITHUB_ACTIONS'] === undefined
    ? 'libfaketime is not installed'
    : undefined;
}

/** The clock of a machine that a test sets. Only processes with its environment see it, and their monotonic clock is not affected. */
export interface WallClock {
  readonly env: Record<string, string>;
  /** Sets the clock ahead of the real time, or behind it if negative. Processes that are running see this at once. */
  set(aheadSeconds: number): Promise<void>;
  remove(): Promise<void>;
}

/** @throws if libfaketime is not installed */
export async function createWallClock(): Promise<WallClock> {
  if (library === undefined)
    throw new Error(`libfaketime is not in any of ${LIBRARIES.join(', ')}. Install the package faketime.`);
  const folder = await mkdtemp(join(tmpdir(), 'twinbox-clock-'));
  const file = join(folder, 'offset');
  const set = async (aheadSeconds: number) => {
    // Replaced as a whole, because a process ends if it reads an incomplete file.
    await writeFile(`${file}.new`, `${aheadSeconds < 0 ? '' : '+'}${aheadSeconds}\n`);
    await rename(`${file}.new`, file);
  };
  await set(0);
  return {
    env: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      NO_FAKE_STAT: '1',
    },
    set,
    remove: () => rm(folder, { recursive: true }),
  };
}
