import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, createLogger, loadConfig } from '@twinbox/api-kit/edge';
import { root } from '@twinbox/tools';
import { ALLOWED_ROUTES, type ApiName } from '../server/allowed-routes.js';
import { ConsoleConfig } from '../server/config.js';
import { createServer } from '../server/create-server.js';
import { safePath } from '../server/safe-path.js';

describe('the routes that are forwarded', () => {
  /** What the pages have no use for, or must not do. */
  const NOT_FORWARDED = [
    'GET /health',
    'GET /health/live',
    'GET /health/ready',
    'POST /orders/events/tickets',
    'POST /webhooks/payments',
  ];

  it.each(Object.keys(ALLOWED_ROUTES) as ApiName[])('P10 are, with the others, all routes of the API %s', (api) => {
    const document = JSON.parse(readFileSync(join(root, 'libs/contracts/openapi', `${api}.json`), 'utf8')) as {
      readonly paths: Readonly<Record<string, object>>;
    };
    const described = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );

    const forwarded = ALLOWED_ROUTES[api].map(([method, path]) => `${method} ${path.replaceAll(/:(\w+)/g, '{$1}')}`);

    const others = NOT_FORWARDED.filter((route) => described.includes(route));
    expect(new Set([...forwarded, ...others])).toEqual(new Set(described));
    expect(forwarded).not.toEqual(expect.arrayContaining(others));
  });
});

describe('where a sign-in leads', () => {
  it.each(['/', '/payments', '/orders?status=PLACED&sort=-created', '/messaging/orders/dead-letters#x'])(
    'is the view %s',
    (path) => {
      expect(safePath(path)).toBe(path);
    },
  );

  it.each([
    'https://evil.example/',
    '//evil.example/',
    '/\\evil.example/',
    '/\t/evil.example/',
    '\\\\evil.example',
    'javascript:alert(1)',
    'payments',
    '',
    '/./',
    '/.//evil.example',
    '/x/..//evil.example',
    '/api/orders/orders',
    '/sign-out?ticket=x',
    `/${'x'.repeat(2000)}`,
    ['/a', '/b'],
    undefined,
  ])('P10 is never %s', (next) => {
    expect(safePath(next)).toBe('/');
  });
});

describe('the configuration', () => {
  const JWT = { AUTH_MODE: 'jwt', OIDC_ISSUER: 'https://login.example', PUBLIC_URL: 'https://console.example' };
  const problemsOf = (env: Record<string, string>) => {
    try {
      loadConfig(ConsoleConfig, env);
      return [];
    } catch (error) {
      return (error as ConfigError).problems;
    }
  };

  it.each([
    [{}],
    [JWT],
    [{ ...JWT, NODE_ENV: 'production', HOST: '0.0.0.0' }],
    [{ HOST: '0.0.0.0', NODE_ENV: 'development', DEMO: 'on' }],
    [{ ...JWT, OIDC_ISSUER: 'http://localhost:8090', NODE_ENV: 'production' }],
  ])('may be %j', (env) => {
    expect(problemsOf(env)).toEqual([]);
  });

  it.each([
    [{ NODE_ENV: 'production' }, /^AUTH_MODE="dev": it trusts every caller/],
    [{ HOST: '0.0.0.0' }, /^AUTH_MODE="dev": .*HOST="0.0.0.0"/],
    [{ ...JWT, DEMO: 'on', NODE_ENV: 'production' }, /^DEMO="on": .*NODE_ENV="production"/],
    [{ ...JWT, OIDC_ISSUER: '' }, /^OIDC_ISSUER is not set/],
    [{ ...JWT, PUBLIC_URL: '' }, /^PUBLIC_URL is not set/],
    [{ ...JWT, PUBLIC_URL: 'https://console.example/path' }, /^PUBLIC_URL=.*must not have a path/],
    [{ ...JWT, OIDC_ISSUER: 'http://login.example', NODE_ENV: 'production' }, /^OIDC_ISSUER=.*https/],
    [{ ...JWT, PUBLIC_URL: 'http://console.example', NODE_ENV: 'production' }, /^PUBLIC_URL=.*https/],
    [{ ...JWT, OIDC_CLIENT_SECRET_FILE: '/nowhere' }, /^OIDC_CLIENT_SECRET_FILE="\/nowhere": it cannot be read/],
    [{ SESSION_IDLE: '9h' }, /^SESSION_IDLE="9h"/],
    [{ PORT: '8080', MANAGEMENT_PORT: '8080' }, /^MANAGEMENT_PORT="8080": it must differ from PORT/],
    [{ OIDC_CONNECT_TO: 'provider' }, /^OIDC_CONNECT_TO="provider"/],
  ])('P10 must not be %j', (env, problem) => {
    expect(problemsOf(env as Record<string, string>)).toEqual([expect.stringMatching(problem)]);
  });
});

it('does not start without its pages, and says how to build them', async () => {
  const config = loadConfig(ConsoleConfig, {});
  const logger = createLogger(config, 'console', { write: () => undefined });

  await expect(createServer(config, { logger, pages: '/nowhere' })).rejects.toThrow(
    'the pages are not in /nowhere. Build them with: npm run build',
  );
});
