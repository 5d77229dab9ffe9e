import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import semver from 'semver';
import { root } from './checkout.js';

interface Manifest {
  readonly engines?: { readonly node?: string; readonly npm?: string };
}

const read = (file: string) => readFile(join(root, file), 'utf8');

/** The npm versions of all supported Node versions: 22.19 was released with 10.9. */
const NPM = '>=10.9';

let allowed: string;
let locked: Readonly<Record<string, Manifest>>;

beforeAll(async () => {
  allowed = JSON.parse(await read('package.json')).engines.node;
  locked = JSON.parse(await read('package-lock.json')).packages;
});

it('every installed package supports all Node versions that `engines` allows', () => {
  const refused = Object.entries(locked).filter(
    ([, { engines }]) => !semver.subset(allowed, engines?.node ?? '*') || !semver.subset(NPM, engines?.npm ?? '*'),
  );

  expect(refused.map(([path, { engines }]) => [path, engines])).toEqual([]);
});

it('the libraries support the same versions of Node as the repository', () => {
  const libraries = Object.entries(locked).filter(([path]) => path.startsWith('libs/'));

  expect(libraries.length).toBeGreaterThan(0);
  for (const [path, { engines }] of libraries) expect([path, engines?.node]).toEqual([path, allowed]);
});

it.each(['README.md', 'CONTRIBUTING.md', 'libs/messaging/README.md'])('%s names the same versions', async (file) => {
  expect(await read(file)).toContain(`Node \`${allowed}\``);
});

it('the Node that npm installs and the one in .nvmrc are supported versions', async () => {
  const { optionalDependencies } = JSON.parse(await read('package.json')) as {
    optionalDependencies: Record<string, string>;
  };

  for (const version of Object.values(optionalDependencies)) expect(semver.satisfies(version, allowed)).toBe(true);
  expect(semver.intersects((await read('.nvmrc')).trim(), allowed)).toBe(true);
});
