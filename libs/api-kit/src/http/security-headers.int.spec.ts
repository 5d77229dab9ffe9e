import { hash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Controller, Get, Module, Res } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ApiOkResponse, ApiOperation } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { InProcessConfig } from '../../test/in-process-config.js';
import {
  AnonymousAllowed,
  conditionalResponse,
  createApp,
  loggerModule,
  openEventStream,
  Preconditions,
  ServiceConfig,
} from '../index.js';
import { TokenIssuer } from '../testing/index.js';

@Controller()
class ThingsController {
  @Get('things')
  @ApiOperation({ summary: 'Things' })
  @ApiOkResponse()
  things() {
    return {};
  }

  @Get('thing')
  @AnonymousAllowed()
  @ApiOperation({ summary: 'A thing' })
  @ApiOkResponse()
  thing(@Preconditions() preconditions: Preconditions, @Res({ passthrough: true }) reply: FastifyReply) {
    return conditionalResponse(reply, preconditions, '"3"', { version: 3 });
  }

  @Get('events')
  @ApiOperation({ summary: 'Events' })
  @ApiOkResponse()
  events(@Res() reply: FastifyReply) {
    openEventStream(reply).close();
  }
}

class TestConfig extends InProcessConfig {
  override PORT = 0;
}

@Module({
  imports: [loggerModule({ LOG_LEVEL: 'fatal', LOG_FORMAT: 'json' }, 'things')],
  controllers: [ThingsController],
})
class ThingsModule {}

const apps: NestFastifyApplication[] = [];

/** The files of the contracts of events, and one that must not be served. */
const EVENTS = {
  'index.html': '<link rel="stylesheet" href="events/style.css">',
  'style.css': 'p { color: red }',
  'asyncapi.json': '{}',
  'schemas/ThingMade.v1.json': '{}',
  'released/0.1.0/asyncapi.json': '{}',
};
const EVENT_PATHS = ['', '/style.css', '/asyncapi.json', '/schemas/ThingMade.v1.json'].map(
  (path) => `/docs/events${path}`,
);
let events: string;

async function start(config: Partial<ServiceConfig> = {}): Promise<string> {
  const info = { title: 'Things', description: 'Things.', version: '1.0.0', events };
  const app = await createApp(ThingsModule, Object.assign(new TestConfig(), config), info);
  apps.push(app);
  await app.listen(0, '127.0.0.1');
  return await app.getUrl();
}

let url: string;
beforeAll(async () => {
  events = await mkdtemp(join(tmpdir(), 'twinbox-events-'));
  for (const [name, content] of Object.entries(EVENTS)) {
    await mkdir(dirname(join(events, name)), { recursive: true });
    await writeFile(join(events, name), content);
  }
  url = await start();
});
afterAll(async () => {
  await Promise.all(apps.map((app) => app.close()));
  await rm(events, { recursive: true });
});

async function get(path: string, headers: Record<string, string> = { 'x-user-id': 'ada' }, at = url) {
  const response = await fetch(at + path, { headers });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

describe('security headers', () => {
  it.each([
    ['a success', '/things', 200],
    ['a problem', '/nowhere', 404],
    ['an invalid path', '/%zz', 400],
    ['a stream', '/events', 200],
    ['the OpenAPI document', '/openapi.json', 200],
  ])('P10 forbid a browser to run, frame or reinterpret %s', async (_, path, status) => {
    const answer = await get(path);

    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-security-policy')).toBe(
      "default-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none'",
    );
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    expect(answer.headers.get('referrer-policy')).toBe('no-referrer');
    expect(answer.headers.get('x-frame-options')).toBe('DENY');
    expect(answer.headers.get('cross-origin-resource-policy')).toBe('same-origin');
  });

  it('P10 require TLS only in production', async () => {
    const production = await start({ NODE_ENV: 'production' });

    expect((await get('/things')).headers.get('strict-transport-security')).toBeNull();
    expect((await get('/things', {}, production)).headers.get('strict-transport-security')).toBe('max-age=63072000');
  });

  it('P10 let the documentation load its own files, and nothing inline that they do not name by its hash', async () => {
    const { headers, text } = await get('/docs');
    const policy = new Map(
      (headers.get('content-security-policy') ?? '').split(';').map((part) => {
        const [name = '', ...values] = part.split(' ');
        return [name, values];
      }),
    );

    expect(policy.get('default-src')).toEqual(["'none'"]);
    expect(policy.get('script-src')).toEqual(["'self'"]);
    expect(policy.get('connect-src')).toEqual(["'self'"]);
    expect(policy.get('style-src')).not.toContain("'unsafe-inline'");
    const inline = [...text.matchAll(/<style[^>]*>(.*?)<\/style>|\sstyle="([^"]*)"/gs)];
    expect(inline.length).toBeGreaterThan(0);
    for (const [, style, attribute] of inline)
      expect(policy.get('style-src')).toContain(`'sha256-${hash('sha256', style ?? attribute ?? '', 'base64')}'`);
    const scripts = [...text.matchAll(/<script([^>]*)>(.*?)<\/script>/gs)];
    expect(scripts).toHaveLength(3);
    for (const [, attributes = '', code = ''] of scripts) {
      expect(code.trim()).toBe('');
      const [, source = ''] = /src="([^"]+)"/.exec(attributes) ?? [];
      expect((await get(`/${source.replace(/^\.\//, '')}`)).headers.get('content-type')).toContain('javascript');
    }
    expect(text).not.toMatch(/\son\w+="|javascript:/);
  });

  it('P10 let the page of the events load its style sheet and run nothing', async () => {
    const { headers, text } = await get('/docs/events', {});

    expect(text).toBe(EVENTS['index.html']);
    expect(headers.get('content-security-policy')).toBe(
      "default-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none';style-src 'self';img-src data:",
    );
    expect((await get('/docs')).headers.get('content-security-policy')).toContain("script-src 'self'");
  });
});

describe('the contracts of events', () => {
  const statusesOf = (paths: readonly string[], at?: string) =>
    Promise.all(paths.map(async (path) => (await get(path, {}, at)).status));

  it('are public', async () => {
    expect(await statusesOf(EVENT_PATHS)).toEqual([200, 200, 200, 200]);
    expect((await get('/docs/events/style.css')).headers.get('content-type')).toContain('text/css');
    expect((await get('/docs/events/asyncapi.json')).headers.get('content-type')).toContain('application/json');
  });

  it.each([
    '/docs/events/',
    '/docs/events/index.html',
    '/docs/events/released/0.1.0/asyncapi.json',
    '/docs/events/schemas/../released/0.1.0/asyncapi.json',
    '/docs/events/schemas%2F..%2Freleased%2F0.1.0%2Fasyncapi.json',
    '/docs/events/schemas',
    '/docs/events/nowhere.json',
  ])('P10 do not serve other files of their folder: %s', async (path) => {
    const { status, headers } = await get(path, {});

    expect(status).toBe(404);
    expect(headers.get('content-type')).toContain('application/problem+json');
  });

  it('DOCS=off serves none of them', async () => {
    expect(await statusesOf(EVENT_PATHS, await start({ DOCS: 'off' }))).toEqual([404, 404, 404, 404]);
  });
});

describe('what belongs to a caller', () => {
  it.each(['/things', '/thing', '/events', '/nowhere'])('P10 is stored in no cache: %s', async (path) => {
    const { headers } = await get(path);

    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('vary')).toBe('X-User-Id, X-Roles');
  });

  it('P10 is stored in no cache if the caller is refused', async () => {
    const { status, headers } = await get('/things', {});

    expect(status).toBe(401);
    expect(headers.get('cache-control')).toBe('no-store');
  });

  it('P10 depends on the token with AUTH_MODE=jwt', async () => {
    const issuer = await TokenIssuer.start();
    const at = await start({ AUTH_MODE: 'jwt', OIDC_ISSUER: issuer.url, JWT_AUDIENCE: ['twinbox'] });

    const { status, headers } = await get('/things', { authorization: `Bearer ${await issuer.token()}` }, at);
    await issuer.stop();

    expect(status).toBe(200);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('vary')).toBe('Authorization');
  });

  it('is still answered with a 304 if the client has kept it', async () => {
    const { status, headers } = await get('/thing', { 'x-user-id': 'ada', 'if-none-match': '"3"' });

    expect(status).toBe(304);
    expect(headers.get('cache-control')).toBe('no-store');
  });
});

describe('what anyone may read', () => {
  it('may be stored and revalidated', async () => {
    const { headers } = await get('/thing', {});

    expect(headers.get('cache-control')).toBe('no-cache');
    expect(headers.get('vary')).toBe('X-User-Id, X-Roles');
  });

  it('depends on no caller if it is the documentation', async () => {
    const { headers } = await get('/openapi.json');

    expect(headers.get('cache-control')).toBeNull();
    expect(headers.get('vary')).toBeNull();
  });
});
