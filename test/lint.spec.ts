import { execFile } from 'node:child_process';
import { glob, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { SERVICES } from '@twinbox/migrations/services';

const ROOT = join(import.meta.dirname, '..');
const run = promisify(execFile);

const linter = (file: string) => ['oxlint', '-c', join(ROOT, '.oxlintrc.json'), file];
const dependencyRules = ['depcruise', '--config', join(ROOT, '.dependency-cruiser.cjs'), '.'];

/** Returns what a tool prints about these files, each a path with a text. */
async function check(
  [tool = '', ...args]: readonly string[],
  files: Readonly<Record<string, string>>,
): Promise<string> {
  const cwd = await mkdtemp(join(tmpdir(), 'lint-'));
  try {
    for (const [file, text] of Object.entries(files)) {
      await mkdir(join(cwd, dirname(file)), { recursive: true });
      await writeFile(join(cwd, file), text);
    }
    const { stdout } = await run(join(ROOT, 'node_modules/.bin', tool), args, { cwd });
    return stdout;
  } catch (error) {
    return (error as { stdout: string }).stdout;
  } finally {
    await rm(cwd, { recursive: true });
  }
}

/** Returns the linter's output for a file with this text. */
const lint = async (text: string, name = 'file.ts') => check(linter(name), { [name]: text });

const importing = (name: string) => `import { ${name} } from 'class-validator';\n\nexport const rule = ${name};\n`;

it('the linter rejects IsOptional, which allows null, and names the alternatives', async () => {
  expect(await lint(importing('IsOptional'))).toMatch(/no-restricted-imports[^]*MayBeAbsent/);
  expect(await lint(importing('IsBoolean'))).not.toContain('no-restricted-imports');
});

it('the linter rejects a file of more than 300 lines, unless it is a spec', async () => {
  const lines = (count: number) => Array.from({ length: count }, (_, n) => `export const n${n} = ${n};\n`).join('');

  expect(await lint(lines(301))).toContain('max-lines');
  expect(await lint(lines(300))).not.toContain('max-lines');
  expect(await lint(lines(301), 'file.spec.ts')).not.toContain('max-lines');
});

it('the linter rejects a function of more than 50 lines, blank lines and comments aside, unless it is in a spec', async () => {
  const line = (n: number) => `  console.log(${n});\n\n  // Why.\n`;
  const body = (count: number) => Array.from({ length: count - 2 }, (_, n) => line(n)).join('');
  const text = (count: number) => `export function long(): void {\n${body(count)}}\n`;

  expect(await lint(text(51))).toContain('max-lines-per-function');
  expect(await lint(text(50))).not.toContain('max-lines-per-function');
  expect(await lint(text(51), 'file.spec.ts')).not.toContain('max-lines-per-function');
});

describe('the folders of messaging', () => {
  it('import only what the table of the dependency rules allows them', async () => {
    const imports = {
      'outbox/outbox.ts': ['../relay/relay.js', '../message/message.js', '../errors.js'],
      'metrics/metrics.ts': ['../inbox/inbox.js'],
      'postgres/schema.ts': ['../messaging.module.js'],
      'errors.ts': ['./message/message.js'],
      'relay/relay.ts': ['../kafka/producer.js'],
      'relay/relay.spec.ts': ['../outbox/outbox.js'],
      'message/message.ts': [],
      'inbox/inbox.ts': [],
      'kafka/producer.ts': [],
      'messaging.module.ts': [],
    };
    const files = Object.entries(imports).map(([file, names]) => [
      `libs/messaging/src/${file}`,
      [...names.map((name) => `import '${name}';\n`), 'export const value = 1;\n'].join(''),
    ]);

    const output = await check(dependencyRules, { 'tsconfig.json': '{}', ...Object.fromEntries(files) });

    const found = [...output.matchAll(/error ([\w-]+): \S+\/src\/(\S+) → \S+\/src\/(\S+)/g)];
    const violations = found.map(([, rule, from, to]) => `${rule}: ${from} → ${to}`);
    expect(violations.toSorted()).toEqual([
      'messaging-common-files: errors.ts → message/message.ts',
      'messaging-metrics: metrics/metrics.ts → inbox/inbox.ts',
      'messaging-outbox: outbox/outbox.ts → relay/relay.ts',
      'messaging-postgres: postgres/schema.ts → messaging.module.ts',
    ]);
  });

  it('are all in the table', async () => {
    const entries = await readdir(join(ROOT, 'libs/messaging/src'), { withFileTypes: true });
    const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    const rules = await readFile(join(ROOT, '.dependency-cruiser.cjs'), 'utf8');

    const [, table = ''] = /^const MESSAGING_FOLDERS = \{$([^]*?)^\};$/m.exec(rules) ?? [];
    const listed = [...table.matchAll(/^ {2}'?([\w-]+)'?:/gm)].map(([, name]) => name);

    expect(new Set(listed)).toEqual(new Set(folders));
  });
});

it('only `prepared` writes the comment that marks a statement as prepared, because a misspelt one would have no effect', async () => {
  const withMark: string[] = [];
  for await (const file of glob('{apps,bench,libs,migrations,test,tools}/**/*.ts', { cwd: ROOT, exclude: isNoSource }))
    if (/\/\*\s*prepared/i.test(await readFile(join(ROOT, file), 'utf8'))) withMark.push(file);

  expect(withMark).toEqual(['libs/messaging/src/postgres/prepared.ts']);
});

const isNoSource = (path: string) => /(^|\/)(node_modules|dist)$|\.spec\.ts$/.test(path);

/** Returns which part of the lines of a service's sources are comments. */
async function commentShare(service: string): Promise<number> {
  let [comments, all] = [0, 0];
  for await (const file of glob(`apps/${service}/src/**/*.ts`, { cwd: ROOT })) {
    if (file.endsWith('.spec.ts')) continue;
    const text = (await readFile(join(ROOT, file), 'utf8')).trimEnd();
    all += text.split('\n').length;
    const found = text.match(/^ *(\/\/.*|\/\*[^]*?\*\/)/gm) ?? [];
    comments += found.reduce((sum, comment) => sum + comment.split('\n').length, 0);
  }
  return comments / all;
}

it.each(SERVICES.map(({ name }) => name))(
  'at most 8 %% of the lines of %s are comments, because names and types say what the code does',
  async (service) => {
    const share = await commentShare(service);

    expect(share).toBeGreaterThan(0);
    expect(share).toBeLessThanOrEqual(0.08);
  },
);

/** Returns the number of lines of each file that matches and is counted. */
async function linesOf(pattern: string, isCounted: (file: string) => boolean): Promise<number[]> {
  const lines: number[] = [];
  for await (const file of glob(pattern, { cwd: ROOT }))
    if (isCounted(file)) lines.push((await readFile(join(ROOT, file), 'utf8')).split('\n').length - 1);
  return lines;
}

const isSpec = (file: string) => /\.spec\.tsx?$/.test(file);
const isGenerated = (file: string) => file.includes('/generated/');

it('nine of ten source files have at most 150 lines, because a longer one usually holds two ideas', async () => {
  const lines = await linesOf(
    '{apps,libs}/*/{src,server,web/src}/**/*.{ts,tsx}',
    (file) => !isSpec(file) && !isGenerated(file),
  );

  const p90 = lines.toSorted((a, b) => a - b)[Math.ceil(0.9 * lines.length) - 1];

  expect(p90).toBeLessThanOrEqual(150);
});

it('the specs of libs/messaging have at least as many lines of code as its sources, not counting its test kit', async () => {
  // Comments do not count: every export of a source has a docstring, and a spec has none.
  const codeOf = async (isCounted: (file: string) => boolean) => {
    let lines = 0;
    for await (const file of glob('libs/messaging/src/**/*.ts', { cwd: ROOT }))
      if (isCounted(file)) {
        const text = await readFile(join(ROOT, file), 'utf8');
        lines += text.replaceAll(/^ *(\/\/.*|\/\*[^]*?\*\/)\n/gm, '').split('\n').length - 1;
      }
    return lines;
  };
  const isSource = (file: string) => !isSpec(file) && !file.startsWith('libs/messaging/src/testing/');

  const specs = await codeOf(isSpec);
  const sources = await codeOf(isSource);

  expect(sources).toBeGreaterThan(0);
  expect(specs / sources).toBeGreaterThanOrEqual(1);
});
