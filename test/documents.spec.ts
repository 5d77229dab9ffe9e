import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DEMO_WEBHOOK_SECRET } from '@twinbox/contracts/demo';
import { allBlocks, blocksFor, EXCEPTIONS, RUNS } from '@twinbox/test-support';
import { root } from '@twinbox/tools';
import { parse } from 'yaml';
import { markdownFiles } from './support/markdown-files.js';

const read = (file: string) => readFile(join(root, file), 'utf8');

describe('the code blocks of the documentation', () => {
  it('are each executed or compiled by one test, or are a listed exception', async () => {
    const rules = [...Object.values(RUNS), ...EXCEPTIONS];

    const matches = (await allBlocks()).map((block) => ({
      block: `${block.document}:${block.line}`,
      rules: rules.filter(({ selects }) => selects(block)).length,
    }));

    expect(matches.filter(({ rules }) => rules !== 1)).toEqual([]);
  });

  it.each(Object.entries(RUNS))('%s: the test asks for its blocks, and there are some', async (name, { test }) => {
    expect(await read(test)).toContain(`blocksFor('${name}'`);
    expect(await blocksFor(name as keyof typeof RUNS)).not.toEqual([]);
  });

  it.each(EXCEPTIONS.map(({ reason, selects }) => [reason, selects] as const))(
    'there are still exceptions with the reason: %s',
    async (_, selects) => {
      expect((await allBlocks()).filter(selects)).not.toEqual([]);
    },
  );
});

describe('a docker compose command in the documentation', () => {
  interface ComposeService {
    readonly profiles?: readonly string[];
    readonly environment?: Readonly<Record<string, string>>;
  }

  interface Compose {
    readonly services: Readonly<Record<string, ComposeService>>;
  }

  let compose: string;
  let services: Compose['services'];
  /** Each with the variables that are set before it. */
  let commands: readonly string[];

  beforeAll(async () => {
    compose = await read('docker-compose.yml');
    ({ services } = parse(compose, { merge: true }) as Compose);
    const inBlocks = (await blocksFor('containers')).map(({ text }) => text.trim());
    const texts = await Promise.all((await markdownFiles()).map(read));
    const inline = texts.flatMap((text) => [...text.matchAll(/`([^`\n]*\bdocker compose [^`\n]*)`/g)]);
    commands = [...inBlocks, ...inline.map(([, command = '']) => command)];
  });

  it('sets only variables that docker-compose.yml reads', () => {
    // What follows `exec` is for the program in the container.
    const set = commands.flatMap((command) =>
      [...command.replace(/ exec .*/, '').matchAll(/\b([A-Z_]+)=/g)].map(([, name = '']) => name),
    );

    expect(set.length).toBeGreaterThan(0);
    expect(set.filter((name) => !compose.includes(`\${${name}`))).toEqual([]);
  });

  it('runs the demo with the webhook secret that production refuses', () => {
    expect(compose.match(/whsec_[\w+/=]+/g)).toEqual([DEMO_WEBHOOK_SECRET]);
  });

  it('runs everything that refuses the passwords of the demo in production in development mode', () => {
    const checking = Object.entries(services).filter(([, { environment = {} }]) =>
      Object.keys(environment).some((name) => /^DATABASE_URL$|_DB_PASSWORD$/.test(name)),
    );

    expect(checking.map(([name]) => name)).toEqual(expect.arrayContaining(['migrate', 'order-service']));
    expect(checking.filter(([, { environment }]) => environment?.['NODE_ENV'] !== 'development')).toEqual([]);
  });

  it('names only profiles and services that docker-compose.yml has', () => {
    const profiles = new Set(Object.values(services).flatMap(({ profiles = [] }) => profiles));
    const unknown = commands.filter((command) => {
      const words = command.replace(/.*docker compose /, '').split(' ');
      const profile = words[0] === '--profile' ? words.splice(0, 2)[1] : undefined;
      const [verb, ...rest] = words;
      const names = rest.filter((word, n) => !word.startsWith('-') && rest[n - 1] !== '-e');
      const named = verb === 'exec' ? names.slice(0, 1) : names;
      return (profile && !profiles.has(profile)) || named.some((name) => !(name in services));
    });

    expect(unknown).toEqual([]);
  });
});

it('the README lists only folders that exist', async () => {
  const [{ text } = { text: '' }] = await blocksFor('the layout');
  const paths = [...text.matchAll(/(?<=^|\s)[a-z-]+\/(?:[a-z-]+\/)?/gm)].map(([path]) => path);

  expect(paths.length).toBeGreaterThan(8);
  const places = ['', 'apps/order-service/src/', 'apps/order-service/src/adapters/', 'apps/payment-service/src/'];
  const exists = (path: string) =>
    [...places, 'apps/payment-service/src/adapters/'].some((place) => existsSync(join(root, place, path)));
  expect(paths.filter((path) => !exists(path))).toEqual([]);
});
