import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { shellEnvironment } from '@twinbox/test-support';
import { root } from '@twinbox/tools';
import { parse } from 'yaml';

const read = (file: string) => readFile(join(root, file), 'utf8');

interface Package {
  readonly link?: boolean;
  readonly integrity?: string;
}

it('every package that npm ci installs has a hash in the lock file', async () => {
  const { packages } = JSON.parse(await read('package-lock.json')) as { packages: Record<string, Package> };
  const downloaded = Object.entries(packages).filter(([path, { link }]) => path.includes('node_modules/') && !link);

  expect(downloaded.length).toBeGreaterThan(500);
  expect(downloaded.filter(([, { integrity = '' }]) => !integrity.startsWith('sha512-')).map(([path]) => path)).toEqual(
    [],
  );
});

it('every package gets the versions of its peers that it asks for, without which the bill of materials of the image fails', async () => {
  const options = { cwd: root, env: shellEnvironment(), maxBuffer: 64 * 1024 * 1024 };

  await promisify(execFile)('npm', ['ls', '--all', '--package-lock-only'], options);
});

/** PostgreSQL has no third number. */
const EXACT = /^(postgres:\d+\.\d+|[\w/-]+:v?\d+\.\d+\.\d+(-[a-z-]+)?)$/;

describe('the containers', () => {
  interface Compose {
    readonly services: Readonly<
      Record<string, { readonly image: string; readonly mem_limit?: string; readonly pids_limit?: number }>
    >;
  }

  it('come from images with an exact version', async () => {
    const { services } = parse(await read('docker-compose.yml'), { merge: true }) as Compose;
    const images = Object.values(services).map(({ image }) => image);
    // The other stages build on this one. Dependabot reads no image from a variable.
    const [, nodeImage = ''] = /^FROM (\S+) AS base$/m.exec(await read('Dockerfile')) ?? [];

    const inexact = [...images, nodeImage].filter((image) => !EXACT.test(image));

    expect(new Set(inexact)).toEqual(new Set(['twinbox', 'twinbox-identity-provider']));
  });

  it('have limits of memory and processes', async () => {
    const { services } = parse(await read('docker-compose.yml'), { merge: true }) as Compose;

    const unlimited = Object.entries(services).filter(([, { mem_limit, pids_limit }]) => !mem_limit || !pids_limit);

    expect(unlimited).toEqual([]);
  });

  it('run the Node version of the checkout', async () => {
    const { optionalDependencies } = JSON.parse(await read('package.json')) as {
      optionalDependencies: Record<string, string>;
    };

    for (const version of Object.values(optionalDependencies))
      expect(await read('Dockerfile')).toContain(`FROM node:${version}-`);
  });
});
