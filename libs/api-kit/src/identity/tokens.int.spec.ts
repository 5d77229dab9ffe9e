import { Controller, Get, Module, Post, Res } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ApiOkResponse, ApiOperation, ApiProperty } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { SignJWT, UnsecuredJWT } from 'jose';
import { until } from '@twinbox/messaging/testing';
import { InProcessConfig } from '../../test/in-process-config.js';
import {
  AnonymousAllowed,
  ApiEventStream,
  Caller,
  createApp,
  loadConfig,
  loggerModule,
  openEventStream,
  openApiDocument,
  OptionalCaller,
  Public,
  RequireRole,
} from '../index.js';
import { type TokenFields, TokenIssuer } from '../testing/index.js';

class WhoDto {
  @ApiProperty({ type: String, nullable: true })
  readonly user!: string | null;

  @ApiProperty({ type: [String] })
  readonly roles!: string[];
}

const shown = (caller?: Caller): WhoDto => ({ user: caller?.userId ?? null, roles: [...(caller?.roles ?? [])] });

@Controller()
class WhoController {
  @Get('who')
  @ApiOperation({ summary: 'Who asks' })
  @ApiOkResponse({ type: WhoDto })
  who(@Caller() caller: Caller): WhoDto {
    return shown(caller);
  }

  @Get('maybe')
  @AnonymousAllowed()
  @ApiOperation({ summary: 'Who asks, if anyone' })
  @ApiOkResponse({ type: WhoDto })
  maybe(@OptionalCaller() caller?: Caller): WhoDto {
    return shown(caller);
  }

  @Get('operate')
  @RequireRole('operator')
  @ApiOperation({ summary: 'Operate' })
  @ApiOkResponse({ type: WhoDto })
  operate(@Caller() caller: Caller): WhoDto {
    return shown(caller);
  }

  @Get('events')
  @ApiOperation({ summary: 'Follow events' })
  @ApiEventStream('The events.', { data: {} })
  events(@Res() reply: FastifyReply): void {
    openEventStream(reply).send({ data: 'begun' });
  }

  @Post('hook')
  @Public()
  @ApiOperation({ summary: 'Notify' })
  hook(): void {
    return undefined;
  }
}

class Config extends InProcessConfig {
  override PORT = 0;
}

@Module({
  imports: [loggerModule({ LOG_LEVEL: 'fatal', LOG_FORMAT: 'json' }, 'who')],
  controllers: [WhoController],
})
class WhoModule {}

const info = { title: 'Who', description: 'Who.', version: '1.0.0' };
let issuer: TokenIssuer;
let app: NestFastifyApplication;

async function start(env: Record<string, string> = {}): Promise<NestFastifyApplication> {
  const needed = { DATABASE_URL: 'postgres://a@127.0.0.1:1/a', KAFKA_BROKERS: '127.0.0.1:1' };
  const started = await createApp(WhoModule, loadConfig(Config, { ...needed, ...issuer.env, ...env }), info);
  await started.listen(0, '127.0.0.1');
  return started;
}

beforeAll(async () => {
  issuer = await TokenIssuer.start();
  app = await start();
});
afterAll(async () => {
  await app.close();
  await issuer.stop();
});

async function get(path: string, authorization?: string, { at = app, headers = {}, method = 'GET' } = {}) {
  const response = await fetch(`${await at.getUrl()}${path}`, {
    method,
    headers: { ...headers, ...(authorization !== undefined && { authorization }) },
  });
  const text = await response.text();
  const challenge = response.headers.get('www-authenticate');
  return { status: response.status, challenge, text, body: text === '' ? {} : JSON.parse(text) };
}

const bearer = async (fields?: TokenFields) => `Bearer ${await issuer.token(fields)}`;

describe('an access token', () => {
  it('P10 identifies the caller, whatever X-User-Id and X-Roles say', async () => {
    const headers = { 'x-user-id': 'root', 'x-roles': 'admin' };

    const answer = await get('/who', await bearer(), { headers });

    expect(answer).toMatchObject({ status: 200, body: { user: 'ada', roles: ['customer'] } });
    expect(await get('/who', undefined, { headers })).toMatchObject({
      status: 401,
      challenge: 'Bearer realm="twinbox"',
    });
    expect(await get('/maybe', undefined, { headers })).toMatchObject({ status: 200, body: { user: null } });
  });

  it.each(['PS256', 'ES256', 'EdDSA'])('may be signed with %s', async (alg) => {
    const other = await TokenIssuer.start(alg);
    const at = await start(other.env);

    expect(await get('/who', `bearer  ${await other.token()}`, { at })).toMatchObject({ status: 200 });
    await at.close();
    await other.stop();
  });

  it.each<[string, TokenFields, string]>([
    ['has expired', { expiresIn: -31 }, 'The token has expired.'],
    ['never expires', { claims: { exp: undefined } }, 'The token has no claim exp.'],
    ['expires at a text', { claims: { exp: 'never' } }, 'The claim exp of the token is not valid.'],
    ['is not valid yet', { claims: { nbf: Date.now() / 1000 + 60 } }, 'The token is not valid yet.'],
    ['is for another audience', { claims: { aud: 'another' } }, 'The token is for another audience.'],
    ['is for nobody', { claims: { aud: undefined } }, 'The token has no claim aud.'],
    ['is from another issuer', { claims: { iss: 'https://evil.example' } }, 'The token is from another issuer.'],
    ['is from nobody', { claims: { iss: undefined } }, 'The token has no claim iss.'],
    ['is an ID token', { typ: 'JWT' }, 'The token is not an access token: its type must be at+jwt.'],
    ['is forged with a known key id', { forged: true }, 'The signature of the token is not valid.'],
    ['names an unknown key', { kid: 'unknown' }, 'The token is not signed with a key that the issuer publishes.'],
    ['has no user', { claims: { sub: undefined } }, 'The token has no user: its claim sub is not a string.'],
    ['has a number as its user', { claims: { sub: 7 } }, 'The token has no user: its claim sub is not a string.'],
    ['has an empty user', { claims: { sub: '' } }, 'The token has no valid user: its claim sub is empty.'],
    [
      'has an invisible user',
      { claims: { sub: 'a\u200bda' } },
      'The token has no valid user: its claim sub contains U+200B, an invisible or ambiguous character.',
    ],
    ['is too long', { claims: { more: 'x'.repeat(8192) } }, 'The token is longer than 8192 characters.'],
  ])('P10 is refused if it %s', async (_, fields, detail) => {
    const authorization = await bearer(fields);

    const answer = await get('/who', authorization);

    expect(answer).toMatchObject({ status: 401, body: { type: 'urn:twinbox:problem:caller-unknown', detail } });
    expect(answer.challenge).toBe(`Bearer realm="twinbox", error="invalid_token", error_description="${detail}"`);
    for (const part of authorization.slice('Bearer '.length).split('.')) expect(answer.text).not.toContain(part);
    expect((await get('/maybe', authorization)).status).toBe(401);
  });

  it('P10 is refused without a signature, and with one by the public key as a shared secret', async () => {
    const claims = { iss: issuer.url, aud: 'twinbox', sub: 'ada', roles: ['admin'], exp: Date.now() / 1000 + 60 };
    const none = new UnsecuredJWT(claims).encode();
    const secret = new TextEncoder().encode(JSON.stringify(issuer.jwk));
    const hs256 = await new SignJWT(claims)
      .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt', kid: 'key-1' })
      .sign(secret);

    for (const token of [none, hs256]) {
      const { status, body } = await get('/who', `Bearer ${token}`);
      expect([status, body.detail]).toEqual([401, expect.stringMatching(/must be signed with RS256|not a signed JWT/)]);
    }
  });

  it.each([
    ['another scheme', 'Basic YWRhOmFkYQ=='],
    ['no token', 'Bearer'],
    ['two tokens', 'Bearer a.b.c d.e.f'],
    ['something else', 'Bearer {"sub":"root"}'],
    ['a token that is no JWT', 'Bearer abc'],
  ])('P10 is refused as %s', async (_, authorization) => {
    expect(await get('/who', authorization)).toMatchObject({
      status: 401,
      challenge: expect.stringContaining('error="invalid_token"'),
    });
  });

  it('is accepted while the clocks may differ', async () => {
    for (const fields of [{ expiresIn: -20 }, { claims: { nbf: Date.now() / 1000 + 20 } }])
      expect(await get('/who', await bearer(fields))).toMatchObject({ status: 200 });
  });

  it('P10 does not matter on public routes', async () => {
    for (const authorization of [undefined, await bearer({ forged: true }), 'Basic YWRhOmFkYQ=='])
      for (const [method, path, status] of [
        ['POST', '/hook', 201],
        ['GET', '/docs', 200],
        ['GET', '/openapi.json', 200],
      ] as const)
        expect(
          (
            await fetch(`${await app.getUrl()}${path}`, {
              method,
              headers: { ...(authorization && { authorization }) },
            })
          ).status,
        ).toBe(status);
  });
});

describe('roles', () => {
  it('P10 are exactly those that the token grants, and an admin is also an operator', async () => {
    const operate = async (...roles: string[]) => (await get('/operate', await bearer({ claims: { roles } }))).status;

    expect([await operate('customer'), await operate('operator'), await operate('admin')]).toEqual([403, 200, 200]);
    const { body } = await get('/who', await bearer({ claims: { roles: 'admin unknown' } }));
    expect(body.roles).toEqual(['admin', 'operator']);
  });

  it.each([
    ['without the claim', { roles: undefined }],
    ['with roles of other services', { roles: ['shop-staff', 'Customer', 7] }],
    ['with an object', { roles: { customer: true } }],
  ])('P10 of a token %s are none, which is a 403 on every route', async (_, claims) => {
    const authorization = await bearer({ claims });

    for (const path of ['/who', '/maybe', '/operate'])
      expect(await get(path, authorization)).toMatchObject({
        status: 403,
        challenge: expect.stringMatching(
          /^Bearer realm="twinbox", error="insufficient_scope", error_description="This/,
        ),
        body: { type: 'urn:twinbox:problem:role-required' },
      });
  });

  it('and the user come from the claims that are configured', async () => {
    const at = await start({
      JWT_USER_CLAIM: 'account.id',
      JWT_ROLES_CLAIM: 'https://shop.example/roles',
      JWT_ROLE_MAP: 'https://shop.example/staff=operator, buyer=customer, buyer=operator',
    });
    const claims = (roles: string) => ({ account: { id: 'grace' }, 'https://shop.example/roles': roles });

    const staff = await get('/who', await bearer({ claims: claims('https://shop.example/staff') }), { at });
    const buyer = await get('/who', await bearer({ claims: claims('buyer') }), { at });
    const unmapped = await get('/who', await bearer({ claims: claims('operator') }), { at });

    expect(staff.body).toEqual({ user: 'grace', roles: ['operator'] });
    expect(buyer.body).toEqual({ user: 'grace', roles: ['customer', 'operator'] });
    expect(unmapped.status).toBe(403);
    await at.close();
  });
});

it('P10 a stream of events ends when the token of its caller expires', async () => {
  const at = await start({ JWT_CLOCK_TOLERANCE: '0ms' });
  const authorization = await bearer({ claims: { exp: Math.floor(Date.now() / 1000) + 5 } });
  const url = await at.getUrl();

  const response = await fetch(`${url}/events`, { headers: { authorization } });

  // Resolves once the stream has ended.
  expect(await response.text()).toBe('data: "begun"\n\n');
  const later = await fetch(`${url}/events`, { headers: { authorization } });
  expect(later.status).toBe(401);
  await at.close();
});

it('P10 a stream of events ends when the key of its token is withdrawn, and not while both keys are published', async () => {
  const rotating = await TokenIssuer.start();
  const at = await start({ ...rotating.env, JWKS_REFRESH: '1s', JWKS_COOLDOWN: '1s' });
  const old = { headers: { authorization: `Bearer ${await rotating.token()}` } };
  const url = await at.getUrl();
  const stream = await fetch(`${url}/events`, old);
  let hasEnded = false;
  const text = stream.text().finally(() => (hasEnded = true));

  await rotating.rotate({ overlap: true });
  const current = { headers: { authorization: `Bearer ${await rotating.token()}` } };
  await until('the new key is known', async () => (await fetch(`${url}/who`, current)).status === 200);
  expect((await fetch(`${url}/who`, old)).status).toBe(200);
  expect(hasEnded).toBe(false);
  const other = await fetch(`${url}/events`, current);

  rotating.published = { keys: [rotating.jwk] };

  expect(await text).toBe('data: "begun"\n\n');
  expect((await fetch(`${url}/events`, old)).status).toBe(401);
  const reader = other.body!.getReader();
  await reader.read();
  const next = reader.read().then(() => 'ended');
  expect(await Promise.race([next, fetch(`${url}/who`, current).then(() => 'open')])).toBe('open');
  await at.close();
  await next;
  await rotating.stop();
});

it('the OpenAPI document describes the token, the roles and the problems', () => {
  const { components, paths } = openApiDocument(app, info);

  expect(components?.securitySchemes).toMatchObject({ token: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } });
  expect([paths['/who'], paths['/maybe'], paths['/operate']].map((path) => path?.get?.security)).toEqual([
    [{ token: [] }],
    [{}, { token: [] }],
    [{ token: ['operator'] }],
  ]);
  expect(paths['/hook']?.post?.security).toEqual([]);
  expect(Object.keys(paths['/who']?.get?.responses ?? {})).toEqual(expect.arrayContaining(['401', '403', '503']));
  expect(JSON.stringify(paths['/who'])).toContain('urn:twinbox:problem:keys-unavailable');
  expect(JSON.stringify({ components, paths })).not.toContain('X-User-Id');
});
