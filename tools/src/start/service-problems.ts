import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { byService, SERVICES } from '@twinbox/migrations/services';
import { root } from '../checkout.js';
import { consoleEnvironment, localEnvironment } from './config.js';

/** Returns the messages of the services' and the console's own configuration checks for this environment, each variable once. */
export async function serviceProblems(env: NodeJS.ProcessEnv, auth: boolean): Promise<string[]> {
  // `npm start` sets these and checks them itself.
  const given = {
    PORT: '0',
    DATABASE_URL: 'postgres://twinbox:twinbox@127.0.0.1:5432/twinbox',
    KAFKA_BROKERS: '127.0.0.1:9092',
  };
  const oidcPort = auth ? 8090 : undefined;
  const check = (config: string, own: Record<string, string>) =>
    promisify(execFile)(process.execPath, [join(root, 'tools/dist/start/check-config.js'), config], {
      env: { ...env, ...given, ...own },
    });
  const outputs = await Promise.all([
    ...SERVICES.map(({ name }) => check(`apps/${name}/dist/config.js`, localEnvironment(name, { oidcPort }))),
    check(
      'apps/console/dist/server/config.js',
      consoleEnvironment({ oidcPort, consolePort: 8080, servicePorts: byService(({ port }) => port) }),
    ),
  ]);
  const lines = outputs.flatMap(({ stdout }) => stdout.split('\n')).filter((line) => line !== '');
  return [...new Set(lines)];
}
