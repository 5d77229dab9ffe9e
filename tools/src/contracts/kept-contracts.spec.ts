import { jest } from '@jest/globals';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { root } from '../checkout.js';
import { releasedEvents } from './events/history.js';
import { keepRelease, type KeptContracts } from './kept-contracts.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'release-'));
});
afterEach(() => rm(folder, { recursive: true }));

const contracts = (changes: readonly string[] = []): KeptContracts => ({
  files: async (version) =>
    Promise.resolve({ files: new Map([[relative(root, join(folder, `${version}.txt`)), 'kept']]), folders: [] }),
  breakingChanges: async () => Promise.resolve(changes),
});
const release = (kept: readonly KeptContracts[], acceptsBreaking = false) =>
  keepRelease('0.1.0', kept, { acceptsBreaking });

it('a release is refused if the version was released with other events, and nothing is written', async () => {
  const events: KeptContracts = { files: releasedEvents, breakingChanges: async () => Promise.resolve([]) };

  await expect(release([contracts(), events])).rejects.toThrow(
    'The event contracts of 0.1.0 are released already. Raise the version',
  );

  expect(await readdir(folder)).toEqual([]);
});

it('a release is refused with every change that breaks a caller, and nothing is written until they are accepted', async () => {
  const breaking = [contracts(['removed a method']), contracts(['removed a path'])];

  await expect(release(breaking)).rejects.toThrow(/^removed a method\nremoved a path\n.*--accept-breaking/);
  expect(await readdir(folder)).toEqual([]);

  const log = jest.spyOn(console, 'log').mockImplementation(() => undefined);
  await release(breaking, true);
  expect(await readdir(folder)).toEqual(['0.1.0.txt']);
  expect(log.mock.calls.flat()).toContain('accepted: removed a path');
});
