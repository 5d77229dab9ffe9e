import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTimeOf } from './processes.js';
import { takeLock } from './single-instance.js';

let directory: string;
let file: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lock-'));
  file = join(directory, 'run/lock');
});
afterEach(() => rm(directory, { recursive: true }));

it('is free again once released', async () => {
  const first = await takeLock(file);
  if (!('release' in first)) throw new Error('not taken');

  expect(await takeLock(file)).toEqual({ heldBy: process.pid });
  await first.release();

  expect(await takeLock(file)).toHaveProperty('release');
});

it('names the process that has it', async () => {
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
  ['a process that has ended', JSON.stringify({ pid: 2 ** 22 + 1, startTime: '1' })],
  ['a pid that another process has now', JSON.stringify({ pid: process.pid, startTime: '1' })],
  ['a process killed while it wrote', '{"pid":'],
])('is taken over from %s', async (_, content) => {
  await takeLock(file);
  await writeFile(file, content);

  expect(await takeLock(file)).toHaveProperty('release');
});
