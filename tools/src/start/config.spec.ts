import { DEMO_WEBHOOK_SECRET } from '@twinbox/contracts/demo';
import { byService, bySchema, SERVICES } from '@twinbox/migrations/services';
import { localEnvironment, localPorts, startConfig, urlAs, withoutPassword } from './config.js';

it('has a default for every variable', () => {
  expect(startConfig({})).toEqual({
    servicePorts: byService(({ port }) => port),
    grpcPorts: byService(({ grpcPort }) => grpcPort),
    consolePort: 8080,
    postgresPort: 15432,
    kafkaPort: 19092,
    oidcPort: undefined,
    databaseUrl: undefined,
    kafkaBrokers: undefined,
    passwords: bySchema((schema) => schema),
    webhookSecret: DEMO_WEBHOOK_SECRET,
  });
});

it('names every invalid variable, each on its own line', () => {
  const wrong = { ORDER_PORT: 'x', KAFKA_PORT: '0', DATABASE_URL: 'localhost', KAFKA_BROKERS: 'localhost' };

  const message = () => startConfig(wrong);

  expect(message).toThrow(/^ORDER_PORT .*\nKAFKA_PORT .*\nDATABASE_URL .*\nKAFKA_BROKERS .*$/);
});

it.each(['mysql://h/d', 'postgres://h', 'postgres://h/', 'postgres:d', 'h:5432/d'])(
  'rejects the DATABASE_URL %s',
  (value) => {
    expect(() => startConfig({ DATABASE_URL: value })).toThrow('DATABASE_URL must look like');
  },
);

it('P10 shows no part of a DATABASE_URL that it cannot parse', () => {
  expect(() => startConfig({ DATABASE_URL: 'user:s3cret@host/db' })).not.toThrow('s3cret');
});

it.each(['host', 'host:', 'host:0', 'host:70000', 'http://host:9092', 'host:9092,', 'a:1 b:2'])(
  'rejects the KAFKA_BROKERS %s',
  (value) => {
    expect(() => startConfig({ KAFKA_BROKERS: value })).toThrow('KAFKA_BROKERS is');
  },
);

it('accepts several brokers', () => {
  expect(startConfig({ KAFKA_BROKERS: 'a:9092, b:9093' }).kafkaBrokers).toBe('a:9092,b:9093');
});

it('rejects the same port for two programs, unless one of them is not started because a running server is used', () => {
  expect(() => startConfig({ ORDER_PORT: '9000', POSTGRES_PORT: '9000' })).toThrow(
    'ORDER_PORT and POSTGRES_PORT are both 9000',
  );

  const config = startConfig({ ORDER_PORT: '9000', POSTGRES_PORT: '9000', DATABASE_URL: 'postgres://h/d' });

  const variables = localPorts(config).map(({ variable }) => variable);
  expect(variables).toEqual([
    ...SERVICES.flatMap(({ prefix }) => [`${prefix}_PORT`, `${prefix}_GRPC_PORT`]),
    'CONSOLE_PORT',
    'KAFKA_PORT',
  ]);
});

it('has a port for the OpenID provider only with --auth', () => {
  const config = startConfig({ OIDC_PORT: '9999' }, { auth: true });

  expect(config.oidcPort).toBe(9999);
  expect(localPorts(config).map(({ variable }) => variable)).toContain('OIDC_PORT');
  expect(localEnvironment('order-service', config)).toMatchObject({
    AUTH_MODE: 'jwt',
    OIDC_ISSUER: 'http://localhost:9999',
  });
  expect(startConfig({ OIDC_PORT: '9999' }).oidcPort).toBeUndefined();
  expect(localEnvironment('order-service', { oidcPort: undefined })).toMatchObject({ AUTH_MODE: 'dev' });
});

it('allows 100 unpaid orders a customer, unless the shell has a different number', () => {
  const withShell = (value: string | undefined) => {
    if (value !== undefined) process.env['MAX_UNPAID_ORDERS'] = value;
    try {
      return localEnvironment('order-service', { oidcPort: undefined });
    } finally {
      delete process.env['MAX_UNPAID_ORDERS'];
    }
  };

  expect(withShell(undefined)).toMatchObject({ MAX_UNPAID_ORDERS: '100' });
  expect(withShell('7')).toMatchObject({ MAX_UNPAID_ORDERS: '7' });
  expect(localEnvironment('payment-service', { oidcPort: undefined })).not.toHaveProperty('MAX_UNPAID_ORDERS');
});

it('rejects the consumer group of payment-service for the notifications of order-service', () => {
  expect(() => startConfig({ NOTIFICATIONS_GROUP: 'payment-service' })).toThrow(
    'NOTIFICATIONS_GROUP is "payment-service", the consumer group of payment-service.',
  );
});

it('changes only the user of a database URL', () => {
  expect(urlAs('postgresql://admin:a@db:6432/shop?sslmode=require', 'orders', 'p@ss/word')).toBe(
    'postgresql://orders:p%40ss%2Fword@db:6432/shop?sslmode=require',
  );
});

it('P10 hides every password in a database URL', () => {
  expect(withoutPassword('postgres://admin:s3cret@db/shop?password=s3cret&sslmode=require')).not.toContain('s3cret');
});
