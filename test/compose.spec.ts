import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { root } from '@twinbox/tools';

const hasCompose = spawnSync('docker', ['compose', 'version']).status === 0;
const PROFILES = [[], ['auth'], ['mail'], ['observability'], ['auth', 'mail', 'observability']];

(hasCompose ? describe : describe.skip)('docker compose', () => {
  it.each(PROFILES)('accepts the file with the profiles %j', async (...profiles) => {
    const args = ['compose', ...profiles.flatMap((profile) => ['--profile', profile]), 'config', '--quiet'];

    await expect(promisify(execFile)('docker', args, { cwd: root })).resolves.toMatchObject({ stderr: '' });
  });
});
