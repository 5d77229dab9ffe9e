import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { root } from '@twinbox/tools';
import { markdownFiles } from './support/markdown-files.js';
import { anchorsOf, linksOf } from './support/markdown-links.js';

it('every link in the documentation leads to a file, and to a heading if it names one', async () => {
  const files = await markdownFiles();
  const read = async (file: string) => [file, await readFile(join(root, file), 'utf8')] as const;
  const texts = new Map(await Promise.all(files.map(read)));

  const broken = files.flatMap((file) =>
    linksOf(texts.get(file) ?? '')
      .filter((link) => !/^[a-z][a-z+.-]*:/i.test(link))
      .filter((link) => !leadsSomewhere(file, link, texts))
      .map((link) => `${file}: ${link}`),
  );

  expect(files.length).toBeGreaterThan(40);
  expect(broken).toEqual([]);
});

function leadsSomewhere(file: string, link: string, texts: ReadonlyMap<string, string>): boolean {
  const [path = '', anchor] = decodeURIComponent(link).split('#');
  const target = path === '' ? file : normalize(join(dirname(file), path));
  if (target.startsWith('..') || !existsSync(join(root, target))) return false;
  const text = texts.get(target);
  return anchor === undefined || text === undefined || anchorsOf(text).has(anchor);
}

describe('a Markdown document', () => {
  it('has links and images, but none in code', () => {
    const markdown = [
      'See [a `b`](one.md#two), ![image](three.png "Title") and [four].',
      '`[no](no.md)`',
      '```',
      '[no](no.md)',
      '```',
      '[four]: <four.md>',
    ].join('\n');

    expect(linksOf(markdown)).toEqual(['one.md#two', 'three.png', 'four.md']);
  });

  it('has an anchor for each heading, numbered where headings are equal', () => {
    const markdown = [
      '# `npm start`: 1.5 × a_b',
      '## Same',
      '## Same',
      '```sh',
      '# no heading',
      '```',
      '## [Link](x.md)',
      '<a id="here"></a>',
    ].join('\n');

    expect([...anchorsOf(markdown)]).toEqual(['npm-start-15--a_b', 'same', 'same-1', 'link', 'here']);
  });
});
