import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTimeOf } from '../servers/processes.js';
import { takeLock } from './single-instance.js';

let directory: string;
let file: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lock-'));
  file = join(directory, 'run/lock');
});
afterEach(() => rm(directory, { recursive: true }));

it('can be acquired again once released', async () => {
  const first = await takeLock(file);
  if (!('release' in first)) throw new Error('not acquired');

  expect(await takeLock(file)).toEqual({ heldBy: process.pid });
  await first.release();

  expect(await takeLock(file)).toHaveProperty('release');
});

it('returns the pid of the process that holds it', async () => {
  const other = spawn('sleep', ['60']);
  try {
    await takeLock(file);
    await writeFile(file, JSON.stringify({ pid: other.pid, startTime: await startTimeOf(other.pid!) }));

    expect(await takeLock(file)).toEqual({ heldBy: other.pid });
  } finally {
    other.kill();
  }
});

it.each([
  ['a process that has exited', JSON.stringify({ pid: 2 ** 22 + 1, startTime: '1' })],
  ['a pid that now belongs to another process', JSON.stringify({ pid: process.pid, startTime: '1' })],
  ['a process killed while writing it', '{"pid":'],
])('is taken over from %s', async (_, content) => {
  await takeLock(file);
  await writeFile(file, content);

  expect(await takeLock(file)).toHaveProperty('release');
});
