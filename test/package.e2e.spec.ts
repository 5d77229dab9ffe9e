import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, posix } from 'node:path';
import { promisify } from 'node:util';
import { createDatabase, type TestDatabase, testBrokers, testServerUrl, until } from '@twinbox/messaging/testing';
import { blocksFor, type CheckoutCopy, copyCheckout, shellEnvironment } from '@twinbox/test-support';
import { freePort, root } from '@twinbox/tools';

/** The folders in libs. The largest library is packed first, because a build of one that refers to it would compile it too. */
const LIBRARIES = ['messaging', ...readdirSync(join(root, 'libs')).filter((name) => name !== 'messaging')];

interface Package {
  /** The path of the tarball. */
  readonly tarball: string;
  /** The paths of the files in it. */
  readonly files: readonly string[];
}

const run = promisify(execFile);
const bin = (name: string) => join(root, 'node_modules/.bin', name);

let copy: CheckoutCopy;
let directory: string;
const packages = new Map<string, Package>();

/** Runs `npm pack` at a lower priority than timing-sensitive tests. */
async function pack(library: string): Promise<Package> {
  const args = ['-n', '10', 'npm', 'pack', '--json', '--workspace', `libs/${library}`, '--pack-destination', directory];
  const { stdout } = await run('nice', args, { cwd: copy.path, env: shellEnvironment() });
  const [packed] = JSON.parse(stdout) as { filename: string; files: { path: string }[] }[];
  return { tarball: join(directory, packed!.filename), files: packed!.files.map(({ path }) => path) };
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'twinbox-packages-'));
  copy = await copyCheckout({ built: false });
});

afterAll(async () => {
  await copy.remove();
  await rm(directory, { recursive: true, force: true });
});

it('a library is not packed without installed dependencies, and the error says what to do', async () => {
  await rename(join(copy.path, 'node_modules'), join(copy.path, 'put-aside'));

  const packing = pack('messaging');

  await expect(packing).rejects.toMatchObject({ stderr: expect.stringContaining('Run "npm ci" first') });
  await rename(join(copy.path, 'put-aside'), join(copy.path, 'node_modules'));
}, 300_000);

describe.each(LIBRARIES)('the package of %s, packed in a clone that was never built,', (library) => {
  let files: readonly string[];
  let tarball: string;
  const readJson = async (file: string) => JSON.parse(await copy.read(`libs/${library}/${file}`));

  beforeAll(async () => {
    packages.set(library, await pack(library));
    ({ files, tarball } = packages.get(library)!);
  }, 300_000);

  it('has its build, its sources, its readme and its licence', async () => {
    expect(files).toEqual(
      expect.arrayContaining(['dist/index.js', 'dist/index.d.ts', 'src/index.ts', 'README.md', 'LICENSE']),
    );
    expect(await readJson('package.json')).toMatchObject({ license: 'MIT', engines: { node: expect.any(String) } });
  });

  it('has neither tests nor build information', () => {
    expect(files.filter((file) => /\.spec\.|tsbuildinfo|^test\//.test(file))).toEqual([]);
  });

  it('has the source of every source map', async () => {
    const maps = files.filter((file) => file.endsWith('.map'));

    const sources = await Promise.all(
      maps.map(async (map) => {
        const { sources } = await readJson(map);
        return sources.map((source: string) => posix.join(posix.dirname(map), source));
      }),
    );

    expect(maps.length).toBeGreaterThan(0);
    expect(sources.flat().filter((source: string) => !files.includes(source))).toEqual([]);
  });

  it('passes publint', async () => {
    const { stdout } = await run(bin('publint'), ['run', tarball, '--strict']);

    expect(stdout).toContain('All good');
  });

  it('has types that every ES module importer resolves', async () => {
    await run(bin('attw'), [tarball, '--profile', 'esm-only']);
  });
});

it('the messaging package contains its documentation', async () => {
  const pages = readdirSync(join(root, 'libs/messaging/docs')).map((page) => `docs/${page}`);

  const { files } = packages.get('messaging')!;
  expect(files.filter((file) => file.startsWith('docs/')).toSorted()).toEqual(pages.toSorted());
});

it('the messaging package contains only those testing files that its testing entry exports', async () => {
  const { files } = packages.get('messaging')!;
  const index = await copy.read('libs/messaging/src/testing/index.ts');

  const exported = ['index', ...[...index.matchAll(/from '\.\/(.+)\.js'/g)].map(([, name]) => name)];

  const sources = files.filter((file) => file.startsWith('src/testing/'));
  expect(sources.toSorted()).toEqual(exported.map((name) => `src/testing/${name}.ts`).toSorted());
  expect(files.filter((file) => file.startsWith('dist/testing/') && file.endsWith('.js'))).toHaveLength(sources.length);
});

describe('an empty project that installs the package of messaging', () => {
  let project: string;
  let database: TestDatabase;
  let service: ChildProcess | undefined;

  beforeAll(async () => {
    project = join(directory, 'shipping');
    await mkdir(project);
    database = await createDatabase(testServerUrl());
  });

  afterAll(async () => {
    if (service && service.exitCode === null) {
      service.kill('SIGTERM');
      await once(service, 'exit');
    }
    await database.drop();
  });

  it('P2 P4 delivers a message with the code from the readme, and compiles the code of all pages', async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const files = await writeCode((text) => text.replace('listen(3000,', `listen(${port},`));
    expect(files.length).toBeGreaterThan(7);
    expect(new Set(files).size).toBe(files.length);
    await install(packages.get('messaging')!.tarball);
    await run(bin('tsc'), ['-p', project]).catch(explain);
    const env = {
      PATH: process.env['PATH'],
      DATABASE_URL: database.directUrl,
      KAFKA_BROKERS: testBrokers().join(','),
    };

    await run(process.execPath, ['setup.js'], { cwd: project, env }).catch(explain);
    service = spawn(process.execPath, ['main.js'], { cwd: project, env, stdio: 'inherit' });
    await until('the service accepts the parcel', async () => {
      const answer = await fetch(`${url}/parcels/p-1/send`, { method: 'POST' });
      return answer.status === 201;
    });

    await until('its handler has handled the message', async () => {
      const [parcel] = await database.sql<{ notified_at: Date | null }>('select notified_at from shipping.parcels');
      return parcel?.notified_at;
    });
    expect(await database.sql('select consumer from shipping.inbox')).toEqual([{ consumer: 'shipping' }]);
  }, 300_000);

  /** Writes each block of code to the file that its first line names. Returns the names. */
  async function writeCode(changed: (text: string) => string): Promise<string[]> {
    const files: string[] = [];
    for (const { text, document, line } of await blocksFor('code of the library', copy.read)) {
      const [, file] = /^\/\/ ([\w.-]+\.ts)\n/.exec(text) ?? [];
      if (!file) throw new Error(`${document}:${line} does not begin with the name of its file`);
      await writeFile(join(project, file), changed(text));
      files.push(file);
    }
    return files;
  }

  /** Installs the tarball and the packages that its readme names, in the versions that are installed here. */
  async function install(tarball: string): Promise<void> {
    const { packages } = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8'));
    const { peerDependencies } = JSON.parse(await copy.read('libs/messaging/package.json'));
    const [{ text } = { text: '' }] = await blocksFor('installing the library', copy.read);
    const [, , file, ...named] = text.trim().split(' ');
    expect(file).toBe(`./${basename(tarball)}`);
    const wanted = [...Object.keys(peerDependencies), ...named, '@types/pg', '@types/node'];
    await writeFile(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
    await writeFile(
      join(project, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          target: 'es2024',
          module: 'nodenext',
          strict: true,
          skipLibCheck: true,
          experimentalDecorators: true,
          emitDecoratorMetadata: true,
          types: ['node'],
        },
      }),
    );
    const locked = wanted.map((name) => `${name}@${packages[`node_modules/${name}`].version}`);
    const quietly = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts'];
    await run('npm', ['install', ...quietly, tarball, ...locked], { cwd: project, env: shellEnvironment() });
  }
});

/** Adds the output of a failed command to its error. */
function explain(error: { readonly message: string; readonly stdout: string; readonly stderr: string }): never {
  throw new Error(`${error.message}\n${error.stdout}${error.stderr}`, { cause: error });
}
