import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import filePlugin from '@size-limit/file';
import sizeLimit from 'size-limit';
import { root } from '@twinbox/tools';

const PAGES = join(root, 'apps/console/dist/web');
const MOST_BYTES = 200_000;

it('loads at most 200 kB of compressed scripts and styles before the first page', async () => {
  const page = readFileSync(join(PAGES, 'index.html'), 'utf8');
  const files = [...page.matchAll(/(?:src|href)="\/(assets\/[^"]+\.(?:js|css))"/g)].map(([, path = '']) =>
    join(PAGES, path),
  );

  const [first] = (await sizeLimit([filePlugin], { checks: [{ files, gzip: true }] })) as { size?: number }[];
  const size = first?.size ?? 0;

  expect(files.length).toBeGreaterThan(1);
  expect(size).toBeGreaterThan(50_000);
  expect(size).toBeLessThanOrEqual(MOST_BYTES);
});
