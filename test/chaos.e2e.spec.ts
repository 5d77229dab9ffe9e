import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '@twinbox/tools';
import { report } from './chaos/report.js';
import { runChaos } from './chaos/run.js';

/** The short form of `npm run chaos`; a longer run with another seed finds more. */
it('P2 P3 P4 P8 keeps its promises while services, servers and connections fail', async () => {
  // Not in the temporary directory, which ends with the tests: the logs tell why it failed.
  const directory = join(root, '.twinbox/logs');
  await mkdir(directory, { recursive: true });
  const logs = await mkdtemp(join(directory, 'chaos-'));

  const lines = await runChaos({ minutes: 0.5, seed: 10, paymentTtlMs: 8000, logs }).then(report, (error: unknown) => {
    throw new Error(`the run failed; logs: ${logs}`, { cause: error });
  });

  // Shown whole when it fails: the report says which order, key or message is wrong.
  expect([`logs: ${logs}`, ...lines].join('\n')).toMatch(/\npassed$/);
  await rm(logs, { recursive: true });
}, 300_000);
