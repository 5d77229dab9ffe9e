import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '@twinbox/tools';
import { ANSWERED_IN_TIME } from './chaos/judge/judge.js';
import { report } from './chaos/report.js';
import { runChaos } from './chaos/run.js';

/** A short version of `npm run chaos`; a longer run with another seed finds more. */
it('P2 P3 P4 P8 all guarantees hold while services, servers and connections fail', async () => {
  // Not in the temporary directory, which is deleted after the tests: the logs explain a failure.
  const directory = join(root, '.twinbox/logs');
  await mkdir(directory, { recursive: true });
  const logs = await mkdtemp(join(directory, 'chaos-'));

  const result = await runChaos({ minutes: 0.5, seed: 10, paymentTtlMs: 8000, logs }).catch((error: unknown) => {
    throw new Error(`the run failed; logs: ${logs}`, { cause: error });
  });
  // Other tests share the machine, and a test must not fail because of them.
  const verdicts = result.verdicts.filter(({ check }) => check !== ANSWERED_IN_TIME);
  const lines = report({ ...result, verdicts });

  // Compared as a whole, so that a failure shows the report, which names the wrong order, key or message.
  expect([`logs: ${logs}`, ...lines].join('\n')).toMatch(/\npassed$/);
  await rm(logs, { recursive: true });
}, 300_000);
