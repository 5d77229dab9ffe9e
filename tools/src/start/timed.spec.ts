import { until } from '../servers/processes.js';
import { timed } from './timed.js';

it('reports the progress of a long step, and finally that it is done', async () => {
  const lines: string[] = [];
  const work = () => until(() => lines.length > 1, 10_000, { everyMs: 1 });

  await timed('demo orders', work, (line) => lines.push(line), 1);

  expect(lines[0]).toMatch(/^ {2}… demo orders \(\d+ s so far\)$/);
  expect(lines.at(-1)).toMatch(/^ {2}✓ demo orders \(\d+\.\d s\)$/);
});

it('does not report a failed step as done', async () => {
  const lines: string[] = [];

  const step = timed(
    'demo orders',
    () => Promise.reject(new Error('refused')),
    (line) => lines.push(line),
  );

  await expect(step).rejects.toThrow('refused');
  expect(lines).toEqual([]);
});
