import { generateKeyPairSync } from 'node:crypto';
import {
  EnvDiffersFrom,
  EnvDuration,
  EnvFraction,
  EnvInt,
  EnvName,
  EnvNotInProduction,
  EnvOneOf,
  EnvOptionalSecret,
  EnvOptionalUrl,
} from './env.js';
import { ConfigError, loadConfig } from './load-config.js';
import { ServiceConfig } from './service-config.js';

class ShopConfig extends ServiceConfig {
  override PORT = 8081;

  @EnvInt(1, 60)
  RETRY_MINUTES = 5;
}

class PaymentConfig extends ShopConfig {
  @EnvDuration(1000, 86_400_000)
  PAYMENT_TTL = 900_000;

  @EnvFraction()
  FAILURE_RATE = 0;

  @EnvOptionalSecret(/^whsec_\w+$/, 'must begin with whsec_')
  WEBHOOK_SECRET: string | undefined;

  @EnvOptionalUrl(['smtp:', 'smtps:'])
  SMTP_URL: string | undefined;
}

class GroupsConfig extends ShopConfig {
  @EnvName()
  ORDERS_GROUP = 'orders';

  @EnvName()
  @EnvDiffersFrom('ORDERS_GROUP')
  LETTERS_GROUP = 'letters';
}

class GatewayConfig extends ShopConfig {
  @EnvOneOf(['real', 'simulated'])
  @EnvNotInProduction('simulated', 'it takes no money')
  GATEWAY = 'simulated';
}

class PortlessConfig extends ServiceConfig {}

const needed = { DATABASE_URL: 'postgres://shop:s3cret@db:5432/shop', KAFKA_BROKERS: 'kafka:9092' };

function problemsOf(env: Record<string, string>, cls: new () => ServiceConfig = ShopConfig): readonly string[] {
  try {
    loadConfig(cls, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('loadConfig', () => {
  it('uses the default of a variable that is unset or empty, and converts one that is set', () => {
    const config = loadConfig(ShopConfig, { ...needed, KAFKA_BROKERS: ' a:1, [::1]:9092 ,', PORT: '0', HOST: ' ' });

    expect(config).toBeInstanceOf(ShopConfig);
    expect(config).toMatchObject({ HOST: '127.0.0.1', PORT: 0, KAFKA_BROKERS: ['a:1', '[::1]:9092'] });
    expect(config).toMatchObject({ RETRY_MINUTES: 5, LOG_LEVEL: 'info', LOG_FORMAT: 'auto', AUTH_MODE: 'dev' });
  });

  it('ignores everything else in the environment', () => {
    const config = loadConfig(ShopConfig, { ...needed, PATH: '/bin', constructor: 'x', __proto__: 'y' });

    expect(Object.keys(config)).not.toContain('PATH');
    expect(config).toBeInstanceOf(ShopConfig);
  });

  it('reports all problems at once, with the variable, the value and what is allowed', () => {
    const problems = problemsOf({ PORT: '80x', LOG_LEVEL: 'loud', KAFKA_BROKERS: 'kafka', RETRY_MINUTES: '61' });

    expect([...problems].sort()).toEqual([
      'DATABASE_URL is not set: it must be a URL such as postgres://user:password@127.0.0.1:5432/database.',
      'KAFKA_BROKERS="kafka": it must be a list such as 127.0.0.1:9092,127.0.0.1:9094.',
      'LOG_LEVEL="loud": it must be fatal, error, warn, info, debug or trace.',
      'PORT="80x": it must be a whole number from 0 to 65535.',
      'RETRY_MINUTES="61": it must be a whole number from 1 to 60.',
    ]);
  });

  it.each(['-1', '65536', '1e3', '0x50', '8081.5', 'NaN'])('rejects PORT=%s', (PORT) => {
    expect(problemsOf({ ...needed, PORT })).toHaveLength(1);
  });

  it('P10 rejects a management port that is the public one or that is not set', () => {
    expect(problemsOf({ ...needed, MANAGEMENT_PORT: '8081' })).toEqual([
      'MANAGEMENT_PORT="8081": it must differ from PORT.',
    ]);
    expect(problemsOf({ ...needed, PORT: '0', MANAGEMENT_PORT: '0', MANAGEMENT_HOST: '0.0.0.0' })).toEqual([]);
    expect(problemsOf({ ...needed, MANAGEMENT_HOST: '0.0.0.0' })).toEqual([
      'MANAGEMENT_HOST="0.0.0.0": it has no effect without MANAGEMENT_PORT.',
    ]);
    expect(loadConfig(ShopConfig, needed).MANAGEMENT_PORT).toBeUndefined();
  });

  it('P10 rejects a gRPC port that another server has, and a certificate without its key', () => {
    expect(loadConfig(ShopConfig, { ...needed, GRPC_PORT: 'off' }).GRPC_PORT).toBe(false);
    expect(problemsOf({ ...needed, GRPC_PORT: '8081' })).toEqual(['GRPC_PORT="8081": it must differ from PORT.']);
    expect(problemsOf({ ...needed, GRPC_PORT: 'on' })).toEqual([
      'GRPC_PORT="on": it must be off or a whole number from 0 to 65535.',
    ]);
    expect(problemsOf({ ...needed, GRPC_TLS_CERT: 'x', GRPC_TLS_KEY: 'y' })).toEqual([
      'GRPC_TLS_CERT="(not shown)": it must be the certificates of the server in PEM format.',
      'GRPC_TLS_KEY="(not shown)": it must be a private key in PEM format.',
    ]);
    const { privateKey } = generateKeyPairSync('ed25519');
    const GRPC_TLS_KEY = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    expect(problemsOf({ ...needed, GRPC_TLS_KEY })).toEqual([
      'GRPC_TLS_CERT is not set: TLS needs it, because GRPC_TLS_KEY is set.',
    ]);
  });

  it('reads the origins of web pages, and rejects invalid ones', () => {
    const CORS_ORIGINS = 'http://localhost:3000, https://shop.example';

    expect(loadConfig(ShopConfig, { ...needed, CORS_ORIGINS }).CORS_ORIGINS).toEqual(CORS_ORIGINS.split(', '));
    for (const wrong of ['*', 'shop.example', 'https://shop.example/'])
      expect(problemsOf({ ...needed, CORS_ORIGINS: wrong })).toHaveLength(1);
  });

  it('requires PORT if the service has no default for it', () => {
    expect(problemsOf(needed, PortlessConfig)).toEqual(['PORT is not set: it must be a whole number from 0 to 65535.']);
  });

  it('P10 does not show the password in an invalid DATABASE_URL', () => {
    for (const DATABASE_URL of [
      'mysql://shop:s3cret@db/shop',
      'postgres://shop:s3cret@db:5432',
      'postgres://shop@db?password=s3cret',
      'shop:s3cret@db/shop',
      's3cret',
    ]) {
      const [problem] = problemsOf({ ...needed, DATABASE_URL });

      expect(problem).toMatch(/^DATABASE_URL="/);
      expect(problem).not.toContain('s3cret');
    }
  });

  it('accepts a database behind a Unix socket', () => {
    expect(problemsOf({ ...needed, DATABASE_URL: 'postgres:///shop?host=/run/postgresql' })).toEqual([]);
  });

  it('P10 refuses to trust headers in production', () => {
    expect(problemsOf({ ...needed, NODE_ENV: 'production' })).toEqual([
      expect.stringContaining('AUTH_MODE="dev": it trusts every caller'),
    ]);
  });

  it.each([
    ['0.0.0.0', undefined],
    ['0.0.0.0', 'staging'],
    ['0.0.0.0', 'Development'],
    ['0.0.0.0', 'dev'],
    ['::', undefined],
    ['192.168.1.5', 'qa'],
    ['shop.example', undefined],
    ['127.0.0.1', 'production'],
    ['127.0.0.1', 'PRODUCTION'],
    ['0.0.0.0', 'prod'],
  ])('P10 refuses to trust headers on %s with NODE_ENV %s', (HOST, NODE_ENV) => {
    expect(problemsOf({ ...needed, HOST, ...(NODE_ENV && { NODE_ENV }) })).toEqual([
      expect.stringContaining('AUTH_MODE="dev": it trusts every caller'),
    ]);
  });

  it.each([
    ['127.0.0.1', undefined],
    ['127.0.0.1', 'staging'],
    ['::1', undefined],
    ['localhost', 'qa'],
    ['0.0.0.0', 'development'],
    ['::', 'test'],
    ['192.168.1.5', 'development'],
  ])('trusts headers on %s with NODE_ENV %s', (HOST, NODE_ENV) => {
    expect(problemsOf({ ...needed, HOST, ...(NODE_ENV && { NODE_ENV }) })).toEqual([]);
  });

  it('reads the hosts that requests may be for, and rejects invalid ones', () => {
    const ALLOWED_HOSTS = 'order-service, 192.0.2.7,::1,[2001:db8::1],';

    expect(loadConfig(ShopConfig, { ...needed, ALLOWED_HOSTS }).ALLOWED_HOSTS).toEqual([
      'order-service',
      '192.0.2.7',
      '::1',
      '[2001:db8::1]',
    ]);
    for (const wrong of ['*', 'order-service:8081', 'http://order-service', '*.example', 'a b', 'a/b'])
      expect(problemsOf({ ...needed, ALLOWED_HOSTS: wrong })).toHaveLength(1);
  });

  it('rejects a value for development only in production, even if it is the default', () => {
    const problem = expect.stringMatching(/^GATEWAY="simulated": it must not be simulated .*it takes no money\.$/);

    expect(problemsOf({ ...needed, NODE_ENV: 'production' }, GatewayConfig)).toContainEqual(problem);
    expect(problemsOf({ ...needed, NODE_ENV: 'production', GATEWAY: 'real' }, GatewayConfig)).not.toContainEqual(
      problem,
    );
    expect(problemsOf(needed, GatewayConfig)).toEqual([]);
  });

  it.each([
    ['1000ms', 1000],
    ['60s', 60_000],
    ['15m', 900_000],
    ['24h', 86_400_000],
    ['1d', 86_400_000],
  ])('reads the duration %s', (PAYMENT_TTL, ms) => {
    expect(loadConfig(PaymentConfig, { ...needed, PAYMENT_TTL }).PAYMENT_TTL).toBe(ms);
  });

  it.each(['15', '15 m', 'm', '1.5h', '-1s', '999ms', '25h', '1h30m', '9999999999s', '15M'])(
    'rejects the duration %j',
    (PAYMENT_TTL) => {
      expect(problemsOf({ ...needed, PAYMENT_TTL }, PaymentConfig)).toEqual([
        `PAYMENT_TTL="${PAYMENT_TTL}": it must be a whole number of ms, s, m, h or d, such as 15m, from 1s to 1d.`,
      ]);
    },
  );

  const jwt = { ...needed, AUTH_MODE: 'jwt', OIDC_ISSUER: 'https://id.example', JWT_AUDIENCE: 'shop' };

  it('P10 accepts jwt in production, on any address, with safe defaults', () => {
    const config = loadConfig(ShopConfig, { ...jwt, NODE_ENV: 'production', HOST: '0.0.0.0' });

    expect(config).toMatchObject({
      JWT_AUDIENCE: ['shop'],
      JWT_TYPE: 'at+jwt',
      JWT_ALGORITHMS: ['RS256', 'PS256', 'ES256', 'EdDSA'],
      JWT_USER_CLAIM: 'sub',
      JWT_ROLES_CLAIM: 'roles',
    });
  });

  it('P10 names what jwt needs', () => {
    expect(problemsOf({ ...needed, AUTH_MODE: 'jwt' })).toEqual([
      'OIDC_ISSUER is not set: AUTH_MODE="jwt" needs the issuer of the tokens.',
      'JWT_AUDIENCE is not set: AUTH_MODE="jwt" needs the audience of the tokens.',
    ]);
  });

  it.each([
    ['OIDC_ISSUER', 'id.example', 'it must be a URL that begins with https:// or http:// and names a host.'],
    [
      'JWT_JWKS_URL',
      'ftp://id.example/keys',
      'it must be a URL that begins with https:// or http:// and names a host.',
    ],
    ['JWT_TYPE', 'at jwt', 'it must be a type such as at+jwt or JWT.'],
    ['JWT_ALGORITHMS', 'RS256,HS256', 'it must be a list of RS256, RS384, '],
    ['JWT_ALGORITHMS', 'none', 'it must be a list of RS256, RS384, '],
    ['JWT_ALGORITHMS', ',', 'it must be a list of RS256, RS384, '],
    ['JWT_ROLE_MAP', 'staff=king', 'it must be a list such as shop-staff=operator,shop-admin=admin.'],
    ['JWT_ROLE_MAP', 'operator', 'it must be a list such as shop-staff=operator,shop-admin=admin.'],
    ['JWT_CLOCK_TOLERANCE', '1h', 'it must be a whole number of ms, s, m, h or d, such as 15m, from 0ms to 5m.'],
    ['AUTH_MODE', 'none', 'it must be dev or jwt.'],
  ])('P10 rejects %s=%s', (name, value, problem) => {
    expect(problemsOf({ ...jwt, [name]: value })).toEqual([expect.stringContaining(`${name}="${value}": ${problem}`)]);
  });

  it.each([
    ['http://id.example/', 'OIDC_ISSUER="http://id.example/": with NODE_ENV="production" it must begin with https://'],
    ['http://127.0.0.1:8090', undefined],
    ['https://id.example', undefined],
  ])('P10 requires keys that nobody on the network can replace in production: %s', (OIDC_ISSUER, problem) => {
    expect(problemsOf({ ...jwt, OIDC_ISSUER })).toEqual([]);
    expect(problemsOf({ ...jwt, OIDC_ISSUER, NODE_ENV: 'production' })).toEqual(
      problem === undefined ? [] : [expect.stringContaining(problem)],
    );
  });

  it('P10 refuses credentials in the addresses of keys, because they would appear in the log', () => {
    expect(problemsOf({ ...jwt, JWT_JWKS_URL: 'https://ann:s3cret@id.example/keys' })).toEqual([
      'JWT_JWKS_URL="https://ann:***@id.example/keys": it must not contain a user or a password.',
    ]);
  });

  it('P10 refuses a process that does not verify the certificates of servers', () => {
    expect(problemsOf({ ...jwt, NODE_TLS_REJECT_UNAUTHORIZED: '0' })).toEqual([
      expect.stringMatching(/^NODE_TLS_REJECT_UNAUTHORIZED="0": it accepts any server/),
    ]);
  });

  it('P10 refuses the passwords of the demo in production', () => {
    const demo = { ...jwt, DATABASE_URL: 'postgres://orders:orders@db/shop' };

    expect(problemsOf(demo)).toEqual([]);
    expect(problemsOf({ ...demo, NODE_ENV: 'production' })).toEqual([
      'DATABASE_URL="postgres://orders:***@db/shop": with NODE_ENV="production" the password must not be the name of the user.',
    ]);
  });

  it.each([
    'postgres://db/shop?user=orders&password=orders',
    'postgres://orders@db/shop?password=orders',
    'postgres://shop:s3cret@db/shop?user=orders&password=orders',
    'postgres://%6frders:orders@db/shop',
    'postgres:///shop?host=/run/postgresql&user=orders&password=%6Frders',
  ])('P10 finds the password of the demo in %s', (DATABASE_URL) => {
    const [problem, ...others] = problemsOf({ ...jwt, DATABASE_URL, NODE_ENV: 'production' });

    expect(problem).toContain('the password must not be the name of the user');
    expect(problem).not.toContain('s3cret');
    expect(others).toEqual([]);
  });

  it.each([
    'postgres://orders:orders@db/shop?password=s3cret',
    'postgres://orders:%zz@db/shop',
    'postgres://orders@db/shop',
  ])('accepts %s in production', (DATABASE_URL) => {
    expect(problemsOf({ ...jwt, DATABASE_URL, NODE_ENV: 'production' })).toEqual([]);
  });

  it('reads a fraction, and rejects anything else', () => {
    expect(loadConfig(PaymentConfig, { ...needed, FAILURE_RATE: '0.25' }).FAILURE_RATE).toBe(0.25);
    for (const FAILURE_RATE of ['1.01', '-0.1', '1e-1', '.5', 'half', '50%'])
      expect(problemsOf({ ...needed, FAILURE_RATE }, PaymentConfig)).toHaveLength(1);
  });

  it('leaves optional variables undefined', () => {
    const config = loadConfig(PaymentConfig, { ...needed, WEBHOOK_SECRET: ' ' });

    expect([config.PAYMENT_TTL, config.FAILURE_RATE]).toEqual([900_000, 0]);
    expect([config.WEBHOOK_SECRET, config.SMTP_URL]).toEqual([undefined, undefined]);
  });

  it('P10 rejects an invalid optional secret or URL without showing the secret', () => {
    const given = { ...needed, WEBHOOK_SECRET: 's3cret', SMTP_URL: 'http://mail:s3cret@localhost:25' };

    const problems = problemsOf(given, PaymentConfig);

    expect([...problems].sort()).toEqual([
      'SMTP_URL="http://mail:***@localhost:25/": it must be a URL that begins with smtp:// or smtps:// and names a host.',
      'WEBHOOK_SECRET="(not shown)": it must begin with whsec_.',
    ]);
    const right = { ...needed, WEBHOOK_SECRET: 'whsec_abc', SMTP_URL: 'smtp://localhost:1025' };
    expect(loadConfig(PaymentConfig, right)).toMatchObject({
      WEBHOOK_SECRET: 'whsec_abc',
      SMTP_URL: 'smtp://localhost:1025',
    });
  });

  it.each(['smtp:localhost', 'smtp:///', 'smtp:', 'localhost:25'])(
    'rejects SMTP_URL=%s, which has no host',
    (SMTP_URL) => {
      expect(problemsOf({ ...needed, SMTP_URL }, PaymentConfig)).toEqual([expect.stringContaining('names a host')]);
    },
  );

  it.each([
    ['both set', { ORDERS_GROUP: 'one', LETTERS_GROUP: 'one' }, 'one'],
    ['the second set to the default of the first', { LETTERS_GROUP: 'orders' }, 'orders'],
  ])('rejects equal names that must differ, with %s, in one line', (_, names, shown) => {
    expect(problemsOf({ ...needed, ...names }, GroupsConfig)).toEqual([
      `LETTERS_GROUP="${shown}": it must differ from ORDERS_GROUP.`,
    ]);
  });

  it('names the variable that is set if the other one has its default', () => {
    expect(problemsOf({ ...needed, ORDERS_GROUP: 'letters' }, GroupsConfig)).toEqual([
      'ORDERS_GROUP="letters": it must differ from LETTERS_GROUP.',
    ]);
  });

  it('reads OUTBOX_OVERDUE_AFTER as a duration or off, with a default of 30 s', () => {
    const overdueAfter = (value: string) =>
      loadConfig(ShopConfig, { ...needed, OUTBOX_OVERDUE_AFTER: value }).OUTBOX_OVERDUE_AFTER;

    expect([overdueAfter(''), overdueAfter('2m'), overdueAfter('off')]).toEqual([30_000, 120_000, false]);
    for (const value of ['soon', '0s', '8d', 'false'])
      expect(problemsOf({ ...needed, OUTBOX_OVERDUE_AFTER: value })).toEqual([
        `OUTBOX_OVERDUE_AFTER="${value}": it must be off or a whole number of ms, s, m, h or d, such as 15m, from 1s to 7d.`,
      ]);
  });

  it('reads IDEMPOTENCY_KEY_TTL as a duration, with a default of a day', () => {
    expect(loadConfig(ShopConfig, needed).IDEMPOTENCY_KEY_TTL).toBe(86_400_000);
    expect(loadConfig(ShopConfig, { ...needed, IDEMPOTENCY_KEY_TTL: '2h' }).IDEMPOTENCY_KEY_TTL).toBe(7_200_000);
    expect(problemsOf({ ...needed, IDEMPOTENCY_KEY_TTL: 'soon' })).toEqual([
      expect.stringMatching(/^IDEMPOTENCY_KEY_TTL="soon": /),
    ]);
  });
});
