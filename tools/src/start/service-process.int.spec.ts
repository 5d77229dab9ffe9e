import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SERVICES } from '@twinbox/migrations/services';
import { root } from '../checkout.js';
import { SERVICE_HEAP } from '../memory.js';
import { freePort } from '../servers/ports.js';
import { pidsWithArguments, until } from '../servers/processes.js';
import { ServiceProcess, TELEMETRY } from './service-process.js';

it.each(SERVICES.map(({ name }) => name))('P7 starts %s with a heap limit', async (name) => {
  const directory = await mkdtemp(join(tmpdir(), 'it-service-'));
  const port = await freePort();
  // A service starts without PostgreSQL and Kafka.
  const unreachable = { DATABASE_URL: 'postgres://nobody:nothing@127.0.0.1:1/none', KAFKA_BROKERS: '127.0.0.1:1' };
  const logFile = join(directory, 'service.log');

  const service = await ServiceProcess.start({
    name,
    port,
    env: { ...unreachable, GRPC_PORT: 'off', LOG_FORMAT: 'json' },
    logFile,
    watch: false,
  });
  const lives = await until(
    () =>
      fetch(`http://127.0.0.1:${port}/health/live`).then(
        ({ ok }) => ok,
        () => false,
      ),
    60_000,
  );
  const bounded = await pidsWithArguments(SERVICE_HEAP, ...TELEMETRY, join(root, 'apps', name, 'dist/main.js'));
  await service.stop(10_000);
  await rm(directory, { recursive: true });

  expect(lives).toBe(true);
  expect(bounded).toHaveLength(1);
});
