import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { until } from '@twinbox/messaging/testing';
import { freePort, root } from '@twinbox/tools';
import { type Services } from '../saga/services.js';

export interface ConsoleProcess {
  readonly url: string;
  stop(): Promise<void>;
}

/** Starts the console's server, built and run as in production, in front of the services. */
export async function startConsole({ orderUrls, paymentUrls }: Services): Promise<ConsoleProcess> {
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const child = spawn(process.execPath, [join(root, 'apps/console/dist/server/main.js')], {
    env: {
      PATH: process.env['PATH'],
      PORT: String(port),
      LOG_FORMAT: 'json',
      AUTH_MODE: 'dev',
      ORDERS_URL: orderUrls[0],
      PAYMENTS_URL: paymentUrls[0],
    },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  await until('the console is ready', async () => {
    if (child.exitCode !== null) throw new Error('The console has not started.');
    return (await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(2000) })).ok;
  });
  return {
    url,
    async stop() {
      process.removeListener('exit', kill);
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    },
  };
}
