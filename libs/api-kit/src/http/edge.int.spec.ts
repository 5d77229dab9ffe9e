import { connect } from 'node:net';
import { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { Body, Controller, Get, Logger, Module, Param, Post, Query, Sse } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiProperty } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import { IsInt, IsPositive, IsString, IsUUID, ValidateNested } from 'class-validator';
import { until } from '@twinbox/messaging/testing';
import { of } from 'rxjs';
import { InProcessConfig } from '../../test/in-process-config.js';
import {
  AnonymousAllowed,
  ApiProblems,
  Caller,
  createApp,
  IgnoreQuery,
  isOperator,
  IsText,
  MayBeAbsent,
  logContext,
  loggerModule,
  NoBody,
  openApiDocument,
  openApiGaps,
  OptionalCaller,
  problemOf,
  type ProblemTable,
  Public,
  RequireRole,
  ServiceConfig,
  withLogContext,
} from '../index.js';

type Rejection =
  | { readonly code: 'order-not-found'; readonly orderId: string }
  | { readonly code: 'order-full'; readonly limit: number };

const problems: ProblemTable<Rejection> = {
  'order-not-found': { status: 404, title: 'There is no such order.', example: { orderId: 'o1' } },
  'order-full': {
    status: 409,
    title: 'The order is full.',
    detail: ({ limit }) => `${limit} at most.`,
    example: { limit: 3 },
  },
};

class ItemDto {
  @ApiProperty({ example: 'tea' })
  @IsString()
  readonly productId!: string;

  @ApiProperty({ example: 2 })
  @IsInt()
  @IsPositive()
  readonly quantity!: number;
}

class OrderDto {
  @ApiProperty({ type: [ItemDto] })
  @ValidateNested({ each: true })
  @Type(() => ItemDto)
  readonly items!: ItemDto[];
}

class ReasonDto {
  @ApiProperty({ required: false, example: 'declined' })
  @MayBeAbsent()
  @IsText(0, 10)
  readonly reason?: string;
}

class OrderParams {
  @ApiProperty({ format: 'uuid' })
  @IsUUID('7')
  readonly orderId!: string;
}

class PageQuery {
  @ApiProperty({ required: false })
  @MayBeAbsent()
  @Type(() => Number)
  @IsInt()
  readonly limit?: number;
}

class SumDto {
  @ApiProperty({ example: 900 })
  readonly total!: number;
}

@Controller('orders')
class OrdersController {
  private readonly logger = new Logger('Orders');

  @Post()
  @ApiOperation({ summary: 'Place an order' })
  @ApiCreatedResponse({ type: SumDto })
  @ApiProblems(problems, 'order-full')
  create(@Body() order: OrderDto, @Caller() caller: Caller) {
    logContext({ orderId: 'o-7' });
    this.logger.log('placing', { items: order.items.length });
    return { total: order.items.length, by: caller.userId, isItem: order.items[0] instanceof ItemDto };
  }

  @Get()
  @ApiOperation({ summary: 'List orders' })
  @ApiOkResponse({ type: [SumDto] })
  list(@Query() query: PageQuery) {
    return [query];
  }

  @Get(':orderId')
  @ApiOperation({ summary: 'One order' })
  @ApiOkResponse({ type: SumDto })
  @ApiProblems(problems, 'order-not-found')
  get(@Param() { orderId }: OrderParams) {
    throw problemOf<Rejection>({ code: 'order-not-found', orderId }, problems);
  }

  @Post(':orderId/fail')
  @RequireRole('operator')
  @ApiOperation({ summary: 'Fail it' })
  @ApiCreatedResponse({ type: SumDto })
  fail(@Param() _: OrderParams, @Body() { reason }: ReasonDto) {
    return { reason: reason ?? 'none' };
  }

  @Post(':orderId/succeed')
  @NoBody()
  @ApiOperation({ summary: 'It went well' })
  @ApiCreatedResponse({ type: SumDto })
  succeed(@Param() _: OrderParams) {
    return {};
  }
}

@AnonymousAllowed()
@Controller('shelf')
class ShelfController {
  @Get()
  @ApiOperation({ summary: 'What there is' })
  @ApiOkResponse({ type: SumDto })
  get(@OptionalCaller() caller: Caller | undefined) {
    return { by: caller?.userId ?? null, isOperator: isOperator(caller) };
  }

  @Post()
  @RequireRole('operator')
  @ApiOperation({ summary: 'Fill it' })
  @ApiCreatedResponse({ type: SumDto })
  fill(@Caller() { userId }: Caller) {
    return { by: userId };
  }
}

@Public()
@Controller('broken')
class BrokenController {
  @Get('bug')
  @ApiOperation({ summary: 'A bug' })
  @ApiOkResponse({ type: SumDto })
  bug() {
    throw new TypeError('the password is hunter2');
  }

  @Get('text')
  @ApiOperation({ summary: 'No error at all' })
  @ApiOkResponse({ type: SumDto })
  text() {
    throw 'hunter2';
  }

  @Get('database/:code')
  @ApiOperation({ summary: 'A database error' })
  @ApiOkResponse({ type: SumDto })
  database(@Param('code') code: string) {
    throw Object.assign(new Error('words of the server'), { code });
  }

  @Get('probe')
  @IgnoreQuery()
  @ApiOperation({ summary: 'Whatever its query has' })
  @ApiOkResponse({ type: SumDto })
  probe() {
    return { total: 0 };
  }

  @Sse('events')
  @ApiOperation({ summary: 'A stream' })
  @ApiOkResponse({ type: SumDto })
  events() {
    return of({ data: 'one' });
  }
}

class TestConfig extends InProcessConfig {
  override PORT = 0;
  override LOG_LEVEL = 'debug' as const;
}

const lines: Record<string, unknown>[] = [];
const sink = new Writable({
  write(chunk: Buffer, _encoding, done) {
    for (const line of chunk.toString().trim().split('\n')) lines.push(JSON.parse(line) as Record<string, unknown>);
    done();
  },
});

@Module({
  imports: [loggerModule(new TestConfig(), 'shop', sink)],
  controllers: [OrdersController, ShelfController, BrokenController],
})
class ShopModule {
  constructor(readonly config: TestConfig) {}
}

const info = { title: 'Shop', description: 'A shop.', version: '1.2.3' };
const orderId = '01890a5d-ac96-774b-bcce-b302099a8057';
let app: NestFastifyApplication;
let url: string;

beforeAll(async () => {
  app = await createApp(ShopModule, new TestConfig(), info);
  await app.listen(0, '127.0.0.1');
  url = await app.getUrl();
});
afterAll(() => app.close());
beforeEach(() => lines.splice(0));

interface Call {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
  readonly raw?: string;
}

async function call(path: string, { method = 'GET', headers = { 'x-user-id': 'ada' }, body, raw }: Call = {}) {
  const sent = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const response = await fetch(url + path, {
    method: sent !== undefined && method === 'GET' ? 'POST' : method,
    headers: { ...(sent !== undefined && { 'content-type': 'application/json' }), ...headers },
    ...(sent !== undefined && { body: sent }),
  });
  const text = await response.text();
  const isJson = /json/.test(response.headers.get('content-type') ?? '');
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: (isJson && text ? JSON.parse(text) : {}) as Record<string, unknown>,
  };
}

/** Sends raw bytes, for requests that fetch would refuse to send. */
async function send(
  request: string,
  at = url,
): Promise<{ status: number; head: string; body: Record<string, unknown> }> {
  const { hostname, port } = new URL(at);
  const socket = connect(Number(port), hostname);
  socket.write(request);
  let answer = '';
  for await (const chunk of socket) answer += String(chunk);
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  return { status: Number(head.split(' ')[1]), head, body: body ? (JSON.parse(body) as Record<string, unknown>) : {} };
}

function expectProblem(
  answer: { status: number; headers: Headers; body: Record<string, unknown> },
  status: number,
  code: string,
) {
  expect(answer).toMatchObject({ status, body: { type: `urn:twinbox:problem:${code}`, status } });
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  expect(answer.body).toMatchObject({ title: expect.stringMatching(/./), detail: expect.stringMatching(/./) });
  expect(answer.body['instance']).toBe(`urn:request:${answer.headers.get('x-request-id')}`);
}

describe('a request for another host', () => {
  const to = (host: string, path: string, more = '', at = url) =>
    send(`GET ${path} HTTP/1.1\r\n${host}${more}Connection: close\r\n\r\n`, at);

  it.each(['/orders', '/health', '/metrics', '/docs', '/openapi.json', '/nowhere'])(
    'P10 is rejected at %s, whatever a proxy says',
    async (path) => {
      const answer = await to('Host: evil.example:8081\r\n', path, 'X-Forwarded-Host: localhost\r\nX-User-Id: ada\r\n');

      expect(answer).toMatchObject({
        status: 421,
        body: { type: 'urn:twinbox:problem:misdirected-request', status: 421, instance: expect.stringMatching(/./) },
      });
      expect(answer.head).toContain('application/problem+json');
    },
  );

  it('P10 is rejected if it names no host, as HTTP/1.0 may', async () => {
    expect((await send('GET /orders HTTP/1.0\r\nX-User-Id: ada\r\n\r\n')).status).toBe(421);
  });

  it('is answered if the host is allowed', async () => {
    const config = Object.assign(new TestConfig(), { ALLOWED_HOSTS: ['shop.example'] });
    const shop = await createApp(ShopModule, config, info);
    await shop.listen(0, '127.0.0.1');

    const answer = await to('Host: Shop.Example:80\r\n', '/orders?limit=1', 'X-User-Id: ada\r\n', await shop.getUrl());

    expect(answer.status).toBe(200);
    await shop.close();
  });
});

describe('a valid request', () => {
  it('reaches its handler as an instance of its class, with its caller', async () => {
    const answer = await call('/orders', { body: { items: [{ productId: 'tea', quantity: 1 }] } });

    expect(answer).toMatchObject({ status: 201, body: { total: 1, by: 'ada', isItem: true } });
  });

  it('may omit a body without required fields', async () => {
    const headers = { 'x-user-id': 'olga', 'x-roles': 'operator' };

    expect(await call(`/orders/${orderId}/fail`, { method: 'POST', headers })).toMatchObject({ status: 201 });
    expect(await call(`/orders/${orderId}/fail`, { headers, body: {} })).toMatchObject({ body: { reason: 'none' } });
  });

  it('has a query parameter converted if the class says so', async () => {
    expect((await call('/orders?limit=5')).body).toEqual([{ limit: 5 }]);
  });

  it('finds the configuration injectable by its class', () => {
    expect(app.get(ShopModule).config).toBe(app.get(ServiceConfig));
  });
});

describe('validation', () => {
  it('points at each wrong field of a body', async () => {
    const answer = await call('/orders', { body: { items: [{ productId: 7, quantity: 1 }, { productId: 'a' }] } });

    expectProblem(answer, 400, 'validation');
    expect(answer.body['errors']).toEqual([
      { pointer: '#/items/0/productId', detail: 'productId must be a string' },
      { pointer: '#/items/1/quantity', detail: 'quantity must be an integer number' },
    ]);
  });

  it('names the wrong parameter of a path or query', async () => {
    const badPath = await call('/orders/17');
    const badQuery = await call('/orders?limit=x&offset=2');

    expectProblem(badPath, 400, 'validation');
    expect(badPath.body['errors']).toEqual([{ parameter: 'orderId', detail: 'orderId must be a UUID' }]);
    expectProblem(badQuery, 400, 'validation');
    expect(badQuery.body['errors']).toEqual(
      expect.arrayContaining([
        { parameter: 'offset', detail: 'property offset should not exist' },
        { parameter: 'limit', detail: 'limit must be an integer number' },
      ]),
    );
  });

  it('does not accept a quoted number as a number', async () => {
    expectProblem(await call('/orders', { body: { items: [{ productId: 'a', quantity: '1' }] } }), 400, 'validation');
  });

  it.each(['null', '[]', '[{"items":[]}]', '"text"', '7', 'true'])('rejects the body %s', async (raw) => {
    expectProblem(await call('/orders', { raw }), 400, 'validation');
    const headers = { 'x-user-id': 'olga', 'x-roles': 'operator' };
    expectProblem(await call(`/orders/${orderId}/fail`, { raw, headers }), 400, 'validation');
  });

  it.each(['{', '{"items":[],}', '{"__proto__":{"a":1}}', '{"constructor":{"prototype":{"a":1}}}', '\u0000'])(
    'rejects %j as invalid JSON',
    async (raw) => {
      expectProblem(await call('/orders', { raw }), 400, 'malformed-body');
    },
  );

  it('rejects a nested prototype too', async () => {
    const raw = '{"items":[{"productId":"a","quantity":1,"__proto__":{"isAdmin":true}}]}';

    expectProblem(await call('/orders', { raw }), 400, 'malformed-body');
  });

  it.each([
    ['U+0000 in text', '{"items":[{"productId":"a\\u0000b","quantity":1}]}', '#/items/0/productId'],
    ['a lone surrogate', '{"items":[{"productId":"\\ud83d","quantity":1}]}', '#/items/0/productId'],
    ['an empty list within a list', '{"items":[[]]}', '#/items/0'],
    ['items in a list within a list', '{"items":[[{"productId":"a","quantity":1}]]}', '#/items/0'],
    ['a field that every object inherits', '{"items":[],"toString":1}', '#/toString'],
    ['the same in an item', '{"items":[{"productId":"a","quantity":1,"constructor":1}]}', '#/items/0/constructor'],
  ])('rejects %s', async (_, raw, pointer) => {
    const answer = await call('/orders', { raw });

    expectProblem(answer, 400, 'validation');
    expect(answer.body['errors']).toEqual([{ pointer, detail: expect.any(String) }]);
  });

  it.each([
    ['that takes no query', '/broken/bug?limit=1', 'limit'],
    ['that takes no query, in a name without a value', '/broken/bug?limit', 'limit'],
    ['that takes no query, an empty name', '/broken/bug?=1', ''],
    ['with an invalid escape', '/orders?limit=%zz', 'limit'],
    ['with an escape that is cut off', '/orders?limit=5%', 'limit'],
    ['with an escape that is not UTF-8', '/orders?limit=%c3%28', 'limit'],
    ['with a malformed escape in a name', '/orders?limit=5&%c0%80=1', '%c0%80'],
  ])('names the parameter of a request %s', async (_, path, parameter) => {
    const answer = await call(path);

    expectProblem(answer, 400, 'validation');
    expect(answer.body['errors']).toEqual([{ parameter, detail: expect.any(String) }]);
  });

  it.each(['?', '?&', '?&&'])('treats the query %s as none', async (query) => {
    expect((await call(`/orders${query}`)).status).toBe(200);
    expectProblem(await call(`/orders/${orderId}${query}`), 404, 'order-not-found');
  });

  it('ignores the query if the route says so', async () => {
    expect(await call('/broken/probe?a=%zz&a=1&b')).toMatchObject({ status: 200, body: { total: 0 } });
  });

  it('limits the query of a route that takes one, and of no other', async () => {
    const query = Array.from({ length: 150 }, (_, n) => `n${n}=1`).join('&');

    expectProblem(await call(`/orders?${query}`), 400, 'validation');
    for (const path of ['/broken/probe', '/openapi.json']) expect((await call(`${path}?${query}`)).status).toBe(200);
    for (const method of ['GET', 'POST']) expectProblem(await call(`/nowhere?${query}`, { method }), 404, 'not-found');
  });

  it('rejects null for a field that may only be absent', async () => {
    const headers = { 'x-user-id': 'olga', 'x-roles': 'operator' };

    const answer = await call(`/orders/${orderId}/fail`, { body: { reason: null }, headers });

    expectProblem(answer, 400, 'validation');
    expect(answer.body['errors']).toEqual([{ pointer: '#/reason', detail: expect.any(String) }]);
  });

  it.each(['constructor', 'prototype', '__proto__', 'toString'])('rejects the unknown parameter %s', async (name) => {
    expectProblem(await call(`/orders?${name}=1`), 400, 'validation');
  });

  it('counts the characters of a text as PostgreSQL does', async () => {
    const sending = (reason: string) =>
      call(`/orders/${orderId}/fail`, {
        body: { reason },
        headers: { 'x-user-id': 'olga', 'x-roles': 'operator' },
      });

    expect((await sending('😀'.repeat(10))).status).toBe(201);
    expectProblem(await sending('❤️'.repeat(6)), 400, 'validation');
    expectProblem(await sending('😀'.repeat(11)), 400, 'validation');
  });

  it('rejects a body on a route that takes none, but accepts an empty one', async () => {
    const path = `/orders/${orderId}/succeed`;

    expect(await call(path, { method: 'POST' })).toMatchObject({ status: 201 });
    expect(await call(path, { body: {} })).toMatchObject({ status: 201 });
    for (const body of [{ reason: 'declined' }, [], null, 'text', 0]) {
      expectProblem(await call(path, { body }), 400, 'validation');
    }
  });

  it('answers a body with thousands of invalid items briefly and quickly', async () => {
    const body = { items: Array.from({ length: 30_000 }, () => ({})) };

    const answer = await call('/orders', { body });

    expectProblem(answer, 400, 'validation');
    expect(answer.text.length).toBeLessThan(5000);
  });

  it.each([
    ['arrays', `{"items":${'['.repeat(45_000)}${']'.repeat(45_000)}}`],
    ['objects', `{"items":${'{"a":'.repeat(15_000)}1${'}'.repeat(15_000)}}`],
    ['objects in an unknown field', `{"x":${'{"a":'.repeat(15_000)}1${'}'.repeat(15_000)}}`],
  ])('survives %s nested thousands deep', async (_, raw) => {
    expectProblem(await call('/orders', { raw }), 400, 'validation');
  });
});

describe('callers', () => {
  it('P10 must identify themselves before they learn anything else', async () => {
    const answer = await call('/orders/17', { headers: {} });

    expectProblem(answer, 401, 'caller-unknown');
    expect(answer.headers.get('www-authenticate')).toContain('X-User-Id');
  });

  it('P10 need the role that a route requires', async () => {
    const path = `/orders/${orderId}/fail`;

    const customer = await call(path, { body: {} });
    const admin = await call(path, { body: {}, headers: { 'x-user-id': 'ada', 'x-roles': 'admin' } });
    const operator = await call(path, { body: {}, headers: { 'x-user-id': 'olga', 'x-roles': 'operator' } });

    expectProblem(customer, 403, 'role-required');
    expect([operator.status, admin.status]).toEqual([201, 201]);
  });

  it('P10 may be anonymous where that is allowed, and are identified if they send a header', async () => {
    const anonymous = await call('/shelf', { headers: {} });
    const operator = await call('/shelf', { headers: { 'x-user-id': 'olga', 'x-roles': 'operator' } });

    expect(anonymous).toMatchObject({ status: 200, body: { by: null, isOperator: false } });
    expect(operator).toMatchObject({ status: 200, body: { by: 'olga', isOperator: true } });
    const invalid: Record<string, string>[] = [
      { 'x-user-id': '' },
      { 'x-user-id': 'x'.repeat(256) },
      { 'x-user-id': 'ada', 'x-roles': 'king' },
      { 'x-roles': 'operator' },
    ];
    for (const headers of invalid) expectProblem(await call('/shelf', { headers }), 401, 'caller-unknown');
    const two =
      'GET /shelf HTTP/1.1\r\nHost: localhost\r\nX-User-Id: ada\r\nX-User-Id: bob\r\nConnection: close\r\n\r\n';
    expect(await send(two)).toMatchObject({ status: 401 });
  });

  it('P10 may not be anonymous where a role is required', async () => {
    expectProblem(await call('/shelf', { body: {}, headers: {} }), 401, 'caller-unknown');
    expectProblem(await call('/shelf', { body: {} }), 403, 'role-required');
  });

  it('may have a name in UTF-8', async () => {
    const name = Buffer.from('Zoë').toString('latin1');

    const answer = await call('/orders', {
      body: { items: [{ productId: 'a', quantity: 1 }] },
      headers: { 'x-user-id': name },
    });

    expect(answer.body).toMatchObject({ by: 'Zoë' });
  });

  it('P10 are rejected if the header names two of them', async () => {
    const answer = await send(
      'GET /orders HTTP/1.1\r\nHost: localhost\r\nX-User-Id: ada\r\nX-User-Id: bob\r\nConnection: close\r\n\r\n',
    );

    expect(answer).toMatchObject({ status: 401, body: { detail: 'X-User-Id was sent more than once.' } });
  });
});

describe('problem documents', () => {
  it('describe a rejection', async () => {
    const answer = await call(`/orders/${orderId}`);

    expectProblem(answer, 404, 'order-not-found');
    expect(answer.body).toMatchObject({ orderId, title: 'There is no such order.' });
  });

  it.each(['/nowhere', '/orders/', '/docs/nowhere.js', '/%00', '/..%2f..%2fetc/passwd'])(
    'report that there is no %s',
    async (path) => {
      expectProblem(await call(path), 404, 'not-found');
    },
  );

  it.each(['DELETE', 'PUT', 'PATCH', 'PROPFIND', 'PURGE'])(
    'report that a path does not support the method %s, and which methods it supports',
    async (method) => {
      const answer = await call('/orders', { method });

      expectProblem(answer, 405, 'method-not-allowed');
      expect(answer.headers.get('allow')).toBe('GET, HEAD, POST, OPTIONS');
      expectProblem(await call('/nowhere', { method }), 404, 'not-found');
    },
  );

  it('have no body for HEAD', async () => {
    const known = await call('/broken/bug', { method: 'HEAD' });
    const unknown = await call('/nowhere', { method: 'HEAD' });

    expect(known).toMatchObject({ status: 500, text: '' });
    expect(unknown).toMatchObject({ status: 404, text: '' });
  });

  it.each(['/orders/%', '/orders/%zz', '/%C0%80'])('report that the path %s is malformed', async (path) => {
    const answer = await send(
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: r-1\r\nConnection: close\r\n\r\n`,
    );

    expect(answer).toMatchObject({
      status: 400,
      body: { type: 'urn:twinbox:problem:bad-request', instance: 'urn:request:r-1' },
    });
    expect(answer.head).toMatch(/content-type: application\/problem\+json\r\n/i);
  });

  it('report an invalid path parameter of any length', async () => {
    expectProblem(await call(`/orders/${'a'.repeat(10_000)}`), 400, 'validation');
  });

  it.each([
    ['an unknown method', 'BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n', 501],
    ['invalid HTTP', 'hello\r\n\r\n', 400],
    ['headers that are too large', `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
  ])('report %s', async (_, request, status) => {
    const answer = await send(request);

    expect(answer).toMatchObject({ status, body: { status } });
    expect(answer.head).toContain('application/problem+json');
  });

  it('report that a body is too large', async () => {
    expectProblem(await call('/orders', { body: { items: 'x'.repeat(200_000) } }), 413, 'payload-too-large');
  });

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'application/xml', 'nonsense'])(
    'report that %s is not supported',
    async (type) => {
      const headers = { 'x-user-id': 'ada', 'content-type': type };

      expectProblem(await call('/orders', { raw: 'items=1', headers }), 415, 'unsupported-media-type');
    },
  );

  it.each(['bug', 'text'])('P10 reveal nothing about a %s but the id under which it is logged once', async (path) => {
    const answer = await call(`/broken/${path}`);

    expectProblem(answer, 500, 'internal-error');
    expect(answer.text).not.toContain('hunter2');
    const logged = lines.filter((line) => JSON.stringify(line).includes('hunter2'));
    expect(logged).toEqual([
      expect.objectContaining({ level: 'error', err: expect.objectContaining({ stack: expect.any(String) }) }),
    ]);
    expect(answer.body['instance']).toBe(`urn:request:${String(logged[0]?.['requestId'])}`);
  });

  it.each([
    ['ECONNREFUSED', 'database-unavailable'],
    ['57P01', 'database-unavailable'],
    ['40001', 'try-again'],
  ])('P8 ask to try again if the database reports %s', async (code, problem) => {
    const answer = await call(`/broken/database/${code}`);

    expectProblem(answer, 503, problem);
    expect(answer.headers.get('retry-after')).toBe('1');
    expect(answer.text).not.toContain('words of the server');
  });
});

describe('the log', () => {
  async function closingLine(answer: { headers: Headers }) {
    for (let tries = 0; tries < 100; tries++) {
      const found = lines.find(
        (line) => line['status'] !== undefined && line['requestId'] === answer.headers.get('x-request-id'),
      );
      if (found) return found;
      await sleep(10);
    }
    throw new Error('no closing line');
  }

  it.each<[string, string, 'destroy' | 'resetAndDestroy' | 'end']>([
    ['closes its connection', 'content-length: 100\r\n\r\n{"items":', 'destroy'],
    ['resets its connection', 'content-length: 100\r\n\r\n{"items":', 'resetAndDestroy'],
    ['ends its half of the connection', 'content-length: 100\r\n\r\n{"items":', 'end'],
    ['closes its connection within a chunk', 'transfer-encoding: chunked\r\n\r\n64\r\n{"items":', 'destroy'],
    ['closes its connection between two chunks', 'transfer-encoding: chunked\r\n\r\n1\r\n{\r\n', 'destroy'],
  ])('has no warning or error if a client %s before its body has arrived', async (_, rest, hangUp) => {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined);
    socket.write(
      `POST /orders HTTP/1.1\r\nhost: localhost\r\nx-user-id: ada\r\ncontent-type: application/json\r\n${rest}`,
    );
    // Once a later request has been answered, the head has arrived.
    await call('/orders?limit=5');
    socket[hangUp]();

    const line = (begin: string) => lines.find(({ msg }) => String(msg).startsWith(begin));
    // A client that closes the connection gracefully may still read that the request is incomplete.
    const isReset = hangUp === 'resetAndDestroy';
    await until(
      'it is logged',
      () => line('POST /orders') !== undefined && (!isReset || line('The client disconnected') !== undefined),
    );
    expect(line('POST /orders')).toMatchObject(isReset ? { level: 'info', aborted: true } : { level: 'info' });
    if (isReset) expect(line('The client disconnected')).toMatchObject({ level: 'debug' });
    // The requests that earlier tests had refused are reported every second.
    const others = lines.filter(({ context }) => context !== 'Security');
    expect(others.filter(({ level }) => level !== 'debug' && level !== 'info')).toEqual([]);
    expect(JSON.stringify(lines)).not.toMatch(/database/i);
  });

  it('has one line per request, whatever answers it', async () => {
    const answers = [
      await call('/orders?limit=5'),
      await call('/broken/bug'),
      await call('/nowhere'),
      await call('/a%'),
    ];

    expect(await Promise.all(answers.map(closingLine))).toMatchObject([
      { level: 'info', service: 'shop', userId: 'ada', msg: 'GET /orders?limit=5 200' },
      { level: 'warn', msg: 'GET /broken/bug 500' },
      { level: 'info', msg: 'GET /nowhere 404' },
      { level: 'info', msg: 'GET /a% 400' },
    ]);
    expect(lines.filter(({ status }) => status !== undefined)).toHaveLength(4);
  });

  it('has request, user and order ids even if the body arrives late', async () => {
    const answer = await call('/orders', {
      body: { items: [{ productId: 'tea', quantity: 1 }] },
      headers: { 'x-user-id': 'ada', 'x-request-id': 'my.id-1', authorization: 'Bearer hunter2', cookie: 'a=hunter2' },
    });

    const closing = await closingLine(answer);
    const ids = { requestId: 'my.id-1', userId: 'ada', orderId: 'o-7' };
    expect(answer.headers.get('x-request-id')).toBe('my.id-1');
    expect(closing).toMatchObject({ ...ids, method: 'POST', url: '/orders', status: 201, msg: 'POST /orders 201' });
    expect(closing['durationMs']).toEqual(expect.any(Number));
    expect(lines.find(({ msg }) => msg === 'placing')).toMatchObject({ ...ids, context: 'Orders', items: 1 });
    expect(JSON.stringify(lines)).not.toMatch(/hunter2|productId/);
  });

  it('keeps the ids of concurrent requests apart', async () => {
    await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        call('/orders', {
          body: { items: [{ productId: 'a', quantity: 1 }] },
          headers: { 'x-user-id': `u${n}`, 'x-request-id': `r${n}` },
        }),
      ),
    );

    const placing = lines.filter(({ msg }) => msg === 'placing');
    expect(placing).toHaveLength(20);
    for (const { userId, requestId } of placing) expect(String(userId).slice(1)).toBe(String(requestId).slice(1));
  });

  it.each(['a b', 'x'.repeat(129), 'a;b', '../a'])('has a generated request id instead of %j', async (given) => {
    const answer = await call('/nowhere', { headers: { 'x-request-id': given } });

    expect(answer.headers.get('x-request-id')).toMatch(/^[\da-f-]{36}$/);
  });

  it('has the request id of an event stream too', async () => {
    expect((await call('/broken/events')).headers.get('x-request-id')).toMatch(/^[\da-f-]{36}$/);
  });

  it('has the fields of a message throughout its handler, outside of any request', async () => {
    const logger = new Logger('Inbox');

    await withLogContext({ messageId: 'm-1' }, async () => {
      await sleep(1);
      logContext({ orderId: 'o-1' });
      await withLogContext({ attempt: 2 }, async () => logger.log('inner'));
      logger.error('outer', new Error('why'));
    });
    logger.log('after');

    expect(lines.find(({ msg }) => msg === 'inner')).toMatchObject({ messageId: 'm-1', orderId: 'o-1', attempt: 2 });
    expect(lines.find(({ msg }) => msg === 'outer')).toMatchObject({
      messageId: 'm-1',
      orderId: 'o-1',
      err: { message: 'why' },
    });
    expect(lines.find(({ msg }) => msg === 'outer')).not.toHaveProperty('attempt');
    expect(lines.find(({ msg }) => msg === 'after')).not.toHaveProperty('messageId');
    expect(() => logContext({ lost: true })).not.toThrow();
  });

  it('P10 contains neither the parameters of a failed query nor the values that PostgreSQL quotes', () => {
    const err = Object.assign(new Error('duplicate key'), {
      code: '23505',
      parameters: ['hunter2'],
      detail: 'Key (a)=(hunter2)',
    });

    new Logger('Test').error({ err }, 'failed');

    expect(lines.at(-1)).toMatchObject({ msg: 'failed', err: { message: 'duplicate key', code: '23505' } });
    expect(JSON.stringify(lines)).not.toContain('hunter2');
  });
});

describe('the documentation', () => {
  it('is served to anyone', async () => {
    const page = await call('/docs', { headers: {} });
    const asset = await call('/docs/swagger-ui-bundle.js', { headers: {} });
    const json = await call('/openapi.json', { headers: {} });

    expect(page).toMatchObject({ status: 200, text: expect.stringContaining('Shop') });
    expect(asset.status).toBe(200);
    expect(json.body).toMatchObject({ openapi: expect.stringMatching(/^3\./), info });
  });

  it('is complete', () => {
    expect(openApiGaps(openApiDocument(app, info))).toEqual([]);
  });

  it('lists exactly the statuses that each route can return', () => {
    const { paths } = openApiDocument(app, info);
    const statuses = (path: string, method: 'get' | 'post') => Object.keys(paths[path]?.[method]?.responses ?? {});

    expect(statuses('/orders', 'post')).toEqual(['201', '400', '401', '409', '413', '415', '429', '431', '500', '503']);
    expect(statuses('/orders/{orderId}', 'get')).toEqual(['200', '400', '401', '404', '429', '431', '500', '503']);
    expect(statuses('/orders/{orderId}/fail', 'post')).toEqual([
      '201',
      '400',
      '401',
      '403',
      '413',
      '415',
      '429',
      '431',
      '500',
      '503',
    ]);
    expect(statuses('/orders/{orderId}/succeed', 'post')).toEqual([
      '201',
      '400',
      '401',
      '413',
      '415',
      '429',
      '431',
      '500',
      '503',
    ]);
    expect(statuses('/broken/bug', 'get')).toEqual(['200', '400', '429', '431', '500', '503']);
    expect(statuses('/broken/probe', 'get')).toEqual(['200', '429', '431', '500', '503']);
    expect(paths['/broken/bug']?.get?.security).toEqual([]);
    const user = { user: [] };
    const both = { user: [], roles: [] };
    expect(paths['/shelf']?.get?.security).toEqual([{}, user, both]);
    expect(paths['/shelf']?.post?.security).toEqual([both]);
    expect(paths['/orders']?.get?.security).toEqual([user, both]);
  });

  it('shows an example of each problem', () => {
    const { paths } = openApiDocument(app, info);

    expect(paths['/orders']?.post?.responses['409']).toMatchObject({
      description: 'The order is full.',
      content: {
        'application/problem+json': {
          schema: { $ref: '#/components/schemas/OrderFullProblem' },
          examples: {
            'order-full': { value: { type: 'urn:twinbox:problem:order-full', detail: '3 at most.', limit: 3 } },
          },
        },
      },
    });
  });

  it('has a schema for each problem, with its members', () => {
    const { components } = openApiDocument(app, info);

    expect(components?.schemas?.['OrderFullProblem']).toEqual({
      type: 'object',
      description: 'The order is full.',
      allOf: [{ $ref: '#/components/schemas/Problem' }],
      properties: {
        type: { const: 'urn:twinbox:problem:order-full' },
        status: { const: 409 },
        limit: { type: 'integer' },
      },
      required: ['type', 'status', 'limit'],
    });
  });

  it('states the limits that validation enforces, without further decorators', () => {
    const { paths, components } = openApiDocument(app, info);

    expect(components?.schemas).toMatchObject({
      Item: {
        additionalProperties: false,
        properties: {
          productId: { type: 'string', pattern: '^[^\\u0000]*$' },
          quantity: { type: 'integer', exclusiveMinimum: 0 },
        },
        required: ['productId', 'quantity'],
      },
      Reason: {
        additionalProperties: false,
        properties: { reason: { type: 'string', maxLength: 10 } },
      },
    });
    expect(components?.schemas?.['Reason']).not.toHaveProperty('required');
    expect(paths['/orders/{orderId}/fail']?.post?.requestBody).toMatchObject({ required: false });
    expect(paths['/orders/{orderId}']?.get?.parameters).toMatchObject([
      { name: 'orderId', schema: { format: 'uuid', pattern: expect.stringContaining('-[7]') } },
    ]);
    expect(paths['/orders']?.get?.parameters).toMatchObject([
      { name: 'limit', required: false, schema: { type: 'integer' } },
    ]);
  });

  it('is checked for missing parts', () => {
    const document = openApiDocument(app, info);
    const operation = document.paths['/orders']!.post!;
    delete operation.summary;
    operation.responses['201'] = { description: '' };

    expect(openApiGaps(document)).toEqual([
      'OrdersController_create has no summary',
      'OrdersController_create 201 has no schema',
    ]);
  });
});

describe('a web page of another origin', () => {
  const preflight = (origin: string) => ({
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'x-user-id,content-type',
    },
  });

  it('may not call unless its origin is configured', async () => {
    const answer = await call('/orders', preflight('http://localhost:3000'));

    expect(answer.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('may call if CORS_ORIGINS contains its origin, and no other may', async () => {
    const config = Object.assign(new TestConfig(), { CORS_ORIGINS: ['http://localhost:3000'] });
    const open = await createApp(ShopModule, config, info);
    await open.listen(0, '127.0.0.1');

    const [named, other] = await Promise.all(
      ['http://localhost:3000', 'http://evil.example'].map(async (origin) =>
        fetch(`${await open.getUrl()}/orders`, preflight(origin)),
      ),
    );

    expect(named!.status).toBe(204);
    expect(named!.headers.get('access-control-allow-origin')).toBe('http://localhost:3000');
    expect(named!.headers.get('access-control-allow-headers')).toContain('x-user-id');
    expect(other!.headers.get('access-control-allow-origin')).toBeNull();
    await open.close();
  });
});
