import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { report } from './chaos/report.js';
import { runChaos } from './chaos/run.js';

/** The short form of `npm run chaos`; a longer run with another seed finds more. */
it('P2 P3 P4 P8 keeps its promises while services, servers and connections fail', async () => {
  const logs = await mkdtemp(join(tmpdir(), 'twinbox-chaos-'));

  const result = await runChaos({ minutes: 0.5, seed: 10, logs });

  // Shown whole when it fails: the report says which order, key or message is wrong.
  expect(report(result).join('\n')).toMatch(/\npassed$/);
}, 240_000);
