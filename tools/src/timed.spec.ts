import { until } from './processes.js';
import { timed } from './timed.js';

it('says of a step that takes long that it is still under way, and at last that it is done', async () => {
  const lines: string[] = [];
  const work = () => until(() => lines.length > 1, 10_000, { everyMs: 1 });

  await timed('demo orders', work, (line) => lines.push(line), 1);

  expect(lines[0]).toMatch(/^ {2}… demo orders \(\d+ s so far\)$/);
  expect(lines.at(-1)).toMatch(/^ {2}✓ demo orders \(\d+\.\d s\)$/);
});

it('does not say that a step is done that failed', async () => {
  const lines: string[] = [];

  const step = timed(
    'demo orders',
    () => Promise.reject(new Error('refused')),
    (line) => lines.push(line),
  );

  await expect(step).rejects.toThrow('refused');
  expect(lines).toEqual([]);
});
