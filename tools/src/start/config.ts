import { DEMO_WEBHOOK_SECRET } from '@twinbox/contracts/demo';
import {
  byService,
  bySchema,
  passwordVariable,
  type Schema,
  type ServiceName,
  SERVICES,
} from '@twinbox/migrations/services';
import { OperationalError } from '../errors.js';
import { portFrom } from '../servers/ports.js';

/** The settings of `npm start`, read from the environment. */
export interface StartConfig {
  readonly servicePorts: Readonly<Record<ServiceName, number>>;
  readonly grpcPorts: Readonly<Record<ServiceName, number>>;
  readonly consolePort: number;
  readonly postgresPort: number;
  readonly kafkaPort: number;
  /** Where the local OpenID provider listens; undefined if the services use AUTH_MODE=dev. */
  readonly oidcPort: number | undefined;
  /** URL of an already running server, with an admin user of its database. When set, no local server is started. */
  readonly databaseUrl: string | undefined;
  /** Already running brokers, as comma-separated host:port pairs. When set, no local broker is started. */
  readonly kafkaBrokers: string | undefined;
  /** The passwords of the services' roles, by schema. */
  readonly passwords: Readonly<Record<Schema, string>>;
  /** The secret with which the payment provider signs its webhooks. */
  readonly webhookSecret: string;
}

/** Reads and checks the environment. Throws a single OperationalError with one line for each invalid variable. */
export function startConfig(env: NodeJS.ProcessEnv, { auth = false } = {}): StartConfig {
  const wrong: string[] = [];
  const check = <T>(read: () => T): T => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error;
      wrong.push(error.message);
      return undefined as T;
    }
  };
  const config: StartConfig = {
    servicePorts: byService(({ prefix, port }) => check(() => portFrom(env, `${prefix}_PORT`, port))),
    grpcPorts: byService(({ prefix, grpcPort }) => check(() => portFrom(env, `${prefix}_GRPC_PORT`, grpcPort))),
    consolePort: check(() => portFrom(env, 'CONSOLE_PORT', 8080)),
    postgresPort: check(() => portFrom(env, 'POSTGRES_PORT', 15432)),
    kafkaPort: check(() => portFrom(env, 'KAFKA_PORT', 19092)),
    oidcPort: auth ? check(() => portFrom(env, 'OIDC_PORT', 8090)) : undefined,
    databaseUrl: check(() => databaseUrlFrom(env)),
    kafkaBrokers: check(() => brokersFrom(env)),
    passwords: bySchema((schema) => env[passwordVariable(schema)] || schema),
    webhookSecret: env['WEBHOOK_SECRET']?.trim() || DEMO_WEBHOOK_SECRET,
  };
  wrong.push(...portProblems(config), ...groupProblems(env));
  if (wrong.length > 0) throw new OperationalError(wrong.join('\n'));
  return config;
}

function portProblems(config: StartConfig): string[] {
  const problems: string[] = [];
  const seen = new Map<number, string>();
  for (const { variable, port } of localPorts(config)) {
    const other = seen.get(port);
    if (other && port) problems.push(`${other} and ${variable} are both ${port}. Set them to different ports.`);
    seen.set(port, variable);
  }
  return problems;
}

/** order-service checks its own two groups, but cannot know those of the other services. */
function groupProblems(env: NodeJS.ProcessEnv): string[] {
  const others = SERVICES.map(({ name }) => name).filter((name) => name !== 'order-service');
  const taken = others.find((name) => name === env['NOTIFICATIONS_GROUP']?.trim());
  if (!taken) return [];
  return [`NOTIFICATIONS_GROUP is "${taken}", the consumer group of ${taken}. Choose a different name, or unset it.`];
}

/**
 * The variables that `npm start` sets for a service, overriding those of the shell. AUTH_MODE=dev trusts every caller, so the service
 * listens on loopback only and not in production mode. A single customer tries out everything, so they may have
 * more unpaid orders, unless the shell has a different number. Each service has its own consumer group: if both shared one, each would receive
 * only some of the messages.
 */
export const localEnvironment = (
  name: ServiceName,
  { oidcPort }: Pick<StartConfig, 'oidcPort'>,
): Record<string, string> => ({
  ...(oidcPort === undefined ? { AUTH_MODE: 'dev' } : { AUTH_MODE: 'jwt', ...acceptedTokens(oidcPort) }),
  HOST: '127.0.0.1',
  NODE_ENV: 'development',
  CONSUMER_GROUP: name,
  // Both services would listen on the same one.
  MANAGEMENT_PORT: '',
  MANAGEMENT_HOST: '',
  ...(name === 'order-service' && { MAX_UNPAID_ORDERS: process.env['MAX_UNPAID_ORDERS'] || '100' }),
});

/** The variables that `npm start` sets for the console, which must sign users in as the services expect. */
export const consoleEnvironment = ({
  oidcPort,
  consolePort,
  servicePorts,
}: Pick<StartConfig, 'oidcPort' | 'consolePort' | 'servicePorts'>): Record<string, string> => ({
  ...(oidcPort === undefined ? { AUTH_MODE: 'dev' } : { AUTH_MODE: 'jwt', ...localClient(oidcPort) }),
  HOST: '127.0.0.1',
  NODE_ENV: 'development',
  MANAGEMENT_PORT: '',
  DEMO: 'on',
  PUBLIC_URL: consoleUrlOn(consolePort),
  ORDERS_URL: `http://127.0.0.1:${servicePorts['order-service']}`,
  PAYMENTS_URL: `http://127.0.0.1:${servicePorts['payment-service']}`,
});

export const consoleUrlOn = (consolePort: number): string => `http://localhost:${consolePort}`;

export const issuerOn = (oidcPort: number): string => `http://localhost:${oidcPort}`;

export const tokenUrlOn = (oidcPort: number): string => `${issuerOn(oidcPort)}/token`;

/** The variables with which a service accepts the tokens of the local provider. Empty ones keep the defaults. */
function acceptedTokens(oidcPort: number): Record<string, string> {
  const defaults = ['JWT_JWKS_URL', 'JWT_TYPE', 'JWT_ALGORITHMS', 'JWT_USER_CLAIM', 'JWT_ROLES_CLAIM', 'JWT_ROLE_MAP'];
  return {
    OIDC_ISSUER: issuerOn(oidcPort),
    JWT_AUDIENCE: 'twinbox',
    ...Object.fromEntries(defaults.map((name) => [name, ''])),
  };
}

/** The variables with which the console is a client of the local provider. Empty ones keep the defaults. */
function localClient(oidcPort: number): Record<string, string> {
  const client = ['ID', 'SECRET', 'SECRET_FILE'].map((name) => `OIDC_CLIENT_${name}`);
  const defaults = [...client, 'OIDC_CONNECT_TO', 'OIDC_SCOPE', 'OIDC_PROMPT', 'OIDC_RESOURCE'];
  return { ...acceptedTokens(oidcPort), ...Object.fromEntries(defaults.map((name) => [name, ''])) };
}

/** The local ports that will be in use, each with the program that listens on it and the variable that sets it. */
export function localPorts(
  config: StartConfig,
): { readonly what: string; readonly variable: string; readonly port: number }[] {
  return [
    ...SERVICES.flatMap(({ name, prefix }) => [
      { what: name, variable: `${prefix}_PORT`, port: config.servicePorts[name] },
      { what: `gRPC of ${name}`, variable: `${prefix}_GRPC_PORT`, port: config.grpcPorts[name] },
    ]),
    { what: 'the console', variable: 'CONSOLE_PORT', port: config.consolePort },
    ...(config.oidcPort === undefined
      ? []
      : [{ what: 'the OpenID provider', variable: 'OIDC_PORT', port: config.oidcPort }]),
    ...(config.databaseUrl ? [] : [{ what: 'PostgreSQL', variable: 'POSTGRES_PORT', port: config.postgresPort }]),
    ...(config.kafkaBrokers ? [] : [{ what: 'Kafka', variable: 'KAFKA_PORT', port: config.kafkaPort }]),
  ];
}

function databaseUrlFrom(env: NodeJS.ProcessEnv): string | undefined {
  const text = env['DATABASE_URL']?.trim();
  if (!text) return undefined;
  // The value may contain a password, so a malformed one is never shown.
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^postgres(ql)?:$/.test(url.protocol) && url.hostname && url.pathname.length > 1) return text;
  throw new OperationalError(
    'DATABASE_URL must look like postgres://admin:password@host:5432/database. Correct it, or unset it to use a local server.',
  );
}

function brokersFrom(env: NodeJS.ProcessEnv): string | undefined {
  const text = env['KAFKA_BROKERS']?.trim();
  if (!text) return undefined;
  const brokers = text.split(',').map((broker) => broker.trim());
  const port = (broker: string) => Number(/^[^\s:/@]+:(\d+)$/.exec(broker)?.[1]);
  if (brokers.every((broker) => port(broker) >= 1 && port(broker) <= 65_535)) return brokers.join(',');
  throw new OperationalError(
    `KAFKA_BROKERS is "${text}", but must look like host:9092 or host1:9092,host2:9092. Correct it, or unset it to use a local broker.`,
  );
}

/** Returns the URL with a different user and password; the database and the options stay. */
export function urlAs(databaseUrl: string, user: string, password: string): string {
  const url = new URL(databaseUrl);
  url.username = encodeURIComponent(user);
  url.password = encodeURIComponent(password);
  return url.href;
}

/** Returns the URL with its passwords masked. */
export function withoutPassword(databaseUrl: string): string {
  const url = new URL(databaseUrl);
  if (url.password) url.password = '***';
  for (const name of ['password', 'sslpassword']) if (url.searchParams.has(name)) url.searchParams.set(name, '***');
  return url.href;
}
