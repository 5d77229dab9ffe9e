import { SERVICES } from '@twinbox/migrations/services';
import { signIn } from '../provisioning/token-request.js';
import {
  consoleEnvironment,
  consoleUrlOn,
  issuerOn,
  localEnvironment,
  type StartConfig,
  tokenUrlOn,
  urlAs,
} from './config.js';
import { logFile } from './places.js';
import { type Running } from './running.js';
import { ServiceProcess } from './service-process.js';
import { step } from './step.js';
import { timed } from './timed.js';

interface Options {
  readonly config: StartConfig;
  readonly databaseUrl: string;
  readonly brokers: string;
  readonly watch: boolean;
}

/** Starts all services and waits until they serve requests and their messages flow. */
export async function startServices(options: Options, running: Running): Promise<void> {
  console.log('  starting the services …');
  await running.concurrently(
    ...SERVICES.map((service) => startService(service, options, running)),
    startConsole(options, running),
  );
}

async function startService(
  { name, schema }: (typeof SERVICES)[number],
  { config, databaseUrl, brokers, watch }: Options,
  running: Running,
): Promise<void> {
  const port = config.servicePorts[name];
  const service = await ServiceProcess.start({
    name,
    port,
    watch,
    logFile: logFile(name),
    env: {
      ...localEnvironment(name, config),
      DATABASE_URL: urlAs(databaseUrl, schema, config.passwords[schema]),
      KAFKA_BROKERS: brokers,
      GRPC_PORT: String(config.grpcPorts[name]),
      LOG_FORMAT: watch ? 'pretty' : 'json',
      WEBHOOK_SECRET: config.webhookSecret,
    },
  });
  running.services.push(service);
  await timed(`${name} on port ${port}`, () => service.ready(running.signal));
  // Before that, the payment of an order and the e-mail to its customer would be delayed.
  await timed(`relay and consumers of ${name}`, async () => {
    const operator = config.oidcPort === undefined ? {} : { ...(await signIn(tokenUrlOn(config.oidcPort), 'ops')) };
    await service.messagingReady(running.signal, operator);
  });
}

async function startConsole({ config, watch }: Options, running: Running): Promise<void> {
  const port = config.consolePort;
  const started = await ServiceProcess.start({
    name: 'console',
    dist: 'dist/server',
    port,
    watch,
    logFile: logFile('console'),
    env: { ...consoleEnvironment(config), LOG_FORMAT: watch ? 'pretty' : 'json' },
  });
  running.services.push(started);
  await timed(`console on port ${port}`, () => started.ready(running.signal));
}

/** Starts the OpenID provider of `npm start -- --auth`. */
export async function startLogin({ oidcPort: port, consolePort }: StartConfig, running: Running): Promise<void> {
  if (port === undefined) return;
  // Only then, because it takes a moment to load.
  const { startIdentityProvider } = await import('../identity-provider/provider.js');
  running.identityProvider = await timed(`OpenID provider on port ${port}`, () =>
    startIdentityProvider({ issuer: issuerOn(port), port, consoles: [consoleUrlOn(consolePort)] }),
  );
}

export async function createDemoOrders(config: StartConfig, running: Running): Promise<void> {
  if (process.env['RELAY']?.trim() === 'off')
    return console.log('  – no demo orders: with RELAY=off they need separate relays (npm run relay -- order-service)');
  const called = SERVICES.filter(({ isInDemo }) => isInDemo);
  const urls = called.map(({ name, prefix }) => [`${prefix}_URL`, `http://127.0.0.1:${config.servicePorts[name]}`]);
  const env = {
    ...(Object.fromEntries(urls) as Record<string, string>),
    WEBHOOK_SECRET: config.webhookSecret,
    ...(config.oidcPort === undefined
      ? { AUTH_MODE: 'dev' }
      : { AUTH_MODE: 'jwt', TOKEN_URL: tokenUrlOn(config.oidcPort) }),
  };
  await step('demo orders', 'tools/dist/provisioning/demo-orders.js', env, running.signal);
}
