import { join } from 'node:path';
import { passwordVariable, SERVICES } from '@twinbox/migrations/services';
import { home, root } from '../checkout.js';
import { startIdentityProvider } from '../identity-provider/provider.js';
import { ON_A_BUSY_MACHINE, WITHOUT_RATE_LIMITS } from '../limits.js';
import { STEP_HEAP } from '../memory.js';
import { QUOTAS_FOR_LOAD } from '../quotas.js';
import { startKafka } from '../servers/kafka.js';
import { freePort } from '../servers/ports.js';
import { startPostgres } from '../servers/postgres.js';
import { run } from '../servers/processes.js';
import { issuerOn, localEnvironment, tokenUrlOn, urlAs } from '../start/config.js';
import { ServiceProcess } from '../start/service-process.js';
import { WEBHOOK_SECRET } from './schemathesis.js';

/** Both services with AUTH_MODE=jwt, their demo orders, and the servers that they need. */
export interface System {
  readonly urls: Readonly<Record<string, string>>;
  readonly oidcPort: number;
}

interface Servers {
  readonly databaseUrl: string;
  readonly brokers: string;
  readonly oidcPort: number;
}

/** What a start needs: a directory for the data, the steps that stop what has been started, in reverse order, and the signal to give up. */
export interface Running {
  readonly directory: string;
  readonly undo: (() => Promise<unknown>)[];
  readonly signal: AbortSignal;
}

export async function startSystem(running: Running): Promise<System> {
  console.log('Starting PostgreSQL, Kafka, an OpenID provider and both services …');
  const step = (file: string, env: NodeJS.ProcessEnv) => runStep(file, env, running);
  const servers = await startServers(running);
  const passwords = SERVICES.map(({ schema }) => [passwordVariable(schema), schema]);
  const admin = { DATABASE_URL: servers.databaseUrl, ...(Object.fromEntries(passwords) as Record<string, string>) };
  await step('migrations/dist/migrate.js', admin);
  await step('tools/dist/provisioning/demo-products.js', admin);
  await step('tools/dist/provisioning/topics.js', { KAFKA_BROKERS: servers.brokers });

  const urls: Record<string, string> = {};
  const variables: Record<string, string> = {};
  for (const service of SERVICES) {
    const url = await startService(service, servers, running);
    urls[service.name] = url;
    variables[`${service.prefix}_URL`] = url;
  }
  const tokens = { AUTH_MODE: 'jwt', TOKEN_URL: tokenUrlOn(servers.oidcPort) };
  await step('tools/dist/provisioning/demo-orders.js', { ...variables, ...tokens, WEBHOOK_SECRET });
  return { urls, oidcPort: servers.oidcPort };
}

async function startServers({ directory, undo, signal }: Running): Promise<Servers> {
  // When this runs as root, PostgreSQL runs as another user, which needs access.
  await run('chmod', ['755', directory], { what: 'chmod', logFile: join(directory, 'setup.log') });
  const postgres = await startPostgres({ dataDir: join(directory, 'postgres'), database: 'twinbox', signal });
  undo.push(() => postgres.remove());
  const kafka = await startKafka({ dataDir: join(directory, 'kafka'), shortLived: true, signal });
  undo.push(() => kafka.remove());
  const oidcPort = await freePort();
  const provider = await startIdentityProvider({ issuer: issuerOn(oidcPort), port: oidcPort });
  undo.push(() => provider.stop());
  return { databaseUrl: postgres.url, brokers: kafka.brokers, oidcPort };
}

/** Runs one of the repository's own commands. */
function runStep(file: string, env: NodeJS.ProcessEnv, { directory, signal }: Running): Promise<void> {
  const options = { what: file, logFile: join(directory, 'setup.log'), cwd: root, signal };
  return run(process.execPath, [STEP_HEAP, join(root, file)], {
    ...options,
    env: { ...process.env, NODE_ENV: 'development', ...env },
  });
}

/** Starts a service on a free port and waits until it serves requests. Returns its URL. */
async function startService(
  { name, schema }: (typeof SERVICES)[number],
  { databaseUrl, brokers, oidcPort }: Servers,
  { undo, signal }: Running,
): Promise<string> {
  const port = await freePort();
  const service = await ServiceProcess.start({
    name,
    port,
    env: {
      ...localEnvironment(name, { oidcPort }),
      // A few callers send thousands of requests a minute.
      ...WITHOUT_RATE_LIMITS,
      ...QUOTAS_FOR_LOAD,
      ...ON_A_BUSY_MACHINE,
      DATABASE_URL: urlAs(databaseUrl, schema, schema),
      KAFKA_BROKERS: brokers,
      LOG_FORMAT: 'json',
      GRPC_PORT: 'off',
      WEBHOOK_SECRET,
    },
    logFile: join(home, `logs/fuzz-${name}.log`),
    watch: false,
  });
  undo.push(() => service.stop(10_000));
  await service.ready(signal);
  return `http://127.0.0.1:${port}`;
}
