import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { until } from '@twinbox/messaging/testing';
import { TokenIssuer } from '../testing/index.js';
import { TokenKeys, type TokenKeysOptions } from './token-keys.js';
import { TokenVerifier } from './token-verifier.js';

let issuer: TokenIssuer;
let keys: TokenKeys;
let verifier: TokenVerifier;

/** Starts with long intervals, so that only what a test causes loads keys. */
function start(options: Partial<TokenKeysOptions> = {}): void {
  const limits = { requiresHttps: false, refreshMs: 600_000, cooldownMs: 600_000 };
  keys = new TokenKeys({ issuer: issuer.url, ...limits, ...options });
  verifier = new TokenVerifier(keys, {
    issuer: issuer.url,
    audience: ['twinbox'],
    type: 'at+jwt',
    algorithms: ['ES256'],
    toleranceMs: 0,
    userClaim: 'sub',
    rolesClaim: 'roles',
    roleMap: [['customer', 'customer']],
  });
  keys.start();
}

beforeEach(async () => {
  issuer = await TokenIssuer.start('ES256');
});
afterEach(async () => {
  keys.stop();
  await issuer.stop();
});

/** Returns the user, or the status and detail of the problem. */
async function outcomeOf(token: string): Promise<string> {
  const identity = await verifier.identify(token);
  if ('caller' in identity) return identity.caller.userId;
  const { status, detail } = identity.problem().problem;
  return `${status} ${detail}`;
}

const UNKNOWN_KEY = '401 The token is not signed with a key that the issuer publishes.';

describe('an outage of the identity provider', () => {
  it('P8 leaves the known keys in use, and refuses only tokens with other keys', async () => {
    start({ refreshMs: 20, cooldownMs: 20 });
    expect(await outcomeOf(await issuer.token())).toBe('ada');

    issuer.isDown = true;
    await until('a load fails', () => keys.check().status === 'degraded');

    expect(await outcomeOf(await issuer.token({ claims: { sub: 'grace' } }))).toBe('grace');
    expect(await outcomeOf(await issuer.token({ kid: 'new' }))).toBe(UNKNOWN_KEY);
    expect(keys.check()).toEqual({ status: 'degraded', loadedAt: expect.any(Date) });

    issuer.isDown = false;
    await until('the keys are loaded again', () => keys.check().status === 'up');
  });

  it.each([
    ['no keys', { keys: [] }],
    ['keys that are no list', { keys: 'none' }],
    ['an error', { error: 'invalid_request' }],
    ['a text', 'nothing'],
    ['null', null],
  ])('P8 is also an answer with %s', async (_, published) => {
    start({ refreshMs: 20, cooldownMs: 20 });
    expect(await outcomeOf(await issuer.token())).toBe('ada');

    issuer.published = published;
    await until('a load fails', () => keys.check().status === 'degraded');

    expect(await outcomeOf(await issuer.token({ claims: { sub: 'grace' } }))).toBe('grace');
  });

  it('P8 at the start is a 503, until the keys are loaded', async () => {
    issuer.isDown = true;
    start({ cooldownMs: 20 });

    expect(await outcomeOf(await issuer.token())).toMatch(
      /^503 The keys of the identity provider have not been loaded/,
    );
    expect(keys.check()).toEqual({ status: 'down' });

    issuer.isDown = false;
    await until('the keys are loaded', () => keys.check().status === 'up');
    expect(await outcomeOf(await issuer.token())).toBe('ada');
  });

  it('is not a reason for requests to load keys themselves', async () => {
    issuer.isDown = true;
    start();
    await outcomeOf(await issuer.token());
    const { requests } = issuer;

    for (let n = 0; n < 20; n++) await outcomeOf(await issuer.token({ claims: { n } }));

    expect(issuer.requests).toBe(requests);
  });
});

it('P10 a token that names an unusable key is refused', async () => {
  const key = { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', kid: 'broken', alg: 'ES256', use: 'sig' };
  issuer.published = { keys: [key] };
  start();

  expect(await outcomeOf(await issuer.token({ kid: 'broken' }))).toBe(
    '401 The token cannot be verified with the key that it names.',
  );
});

describe('the rotation of keys', () => {
  it('with an overlap accepts both keys at once', async () => {
    start({ cooldownMs: 0 });
    const old = await issuer.token();
    expect(await outcomeOf(old)).toBe('ada');

    await issuer.rotate({ overlap: true });

    expect(await outcomeOf(await issuer.token({ claims: { sub: 'grace' } }))).toBe('grace');
    expect(await outcomeOf(old)).toBe('ada');
  });

  it('P10 without an overlap accepts the new key at once, and refuses the old one, even for tokens that were verified before', async () => {
    start({ cooldownMs: 0 });
    const old = await issuer.token();
    expect(await outcomeOf(old)).toBe('ada');

    await issuer.rotate({ overlap: false });

    expect(await outcomeOf(await issuer.token({ claims: { sub: 'grace' } }))).toBe('grace');
    expect(await outcomeOf(old)).toBe(UNKNOWN_KEY);
  });

  it('P10 withdraws a key at the next load, without any token that names the new one', async () => {
    start({ refreshMs: 20 });
    const old = await issuer.token();
    expect(await outcomeOf(old)).toBe('ada');

    await issuer.rotate({ overlap: false });

    await until('the key is withdrawn', async () => (await outcomeOf(old)) === UNKNOWN_KEY);
  });
});

describe('tokens that name unknown keys', () => {
  it('P10 load the keys once per cool-down, however many there are', async () => {
    start({ cooldownMs: 600_000 });
    expect(await outcomeOf(await issuer.token())).toBe('ada');
    const { requests } = issuer;

    const forged = await Promise.all(
      Array.from({ length: 1000 }, (_, n) => issuer.token({ forged: true, kid: `forged-${n}` })),
    );
    const outcomes = await Promise.all(forged.map(outcomeOf));

    expect(new Set(outcomes)).toEqual(new Set([UNKNOWN_KEY]));
    expect(issuer.requests).toBe(requests);
  });

  it('share one load', async () => {
    start({ cooldownMs: 0 });
    expect(await outcomeOf(await issuer.token())).toBe('ada');
    const { requests } = issuer;

    const forged = await Promise.all(Array.from({ length: 50 }, (_, n) => issuer.token({ kid: `forged-${n}` })));
    await Promise.all(forged.map(outcomeOf));

    expect(issuer.requests).toBe(requests + 1);
  });
});

describe('the discovery of the keys', () => {
  let warn: jest.SpiedFunction<Logger['warn']>;
  const warned = () => warn.mock.calls.map(([text]) => String(text));
  beforeEach(() => {
    warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
  });
  afterEach(() => jest.restoreAllMocks());

  it('is skipped if their address is configured', async () => {
    start({ jwksUrl: `${issuer.url}/keys` });

    expect(await outcomeOf(await issuer.token())).toBe('ada');
  });

  it('P10 fails if the document is of another issuer', async () => {
    const other = issuer.url.replace('127.0.0.1', 'localhost');
    start({ issuer: other });

    expect(await outcomeOf(await issuer.token())).toContain('503');
    expect(warned()).toEqual([expect.stringContaining(`must name the issuer ${other}`)]);
    expect(issuer.requests).toBe(0);
  });

  it('P10 fails in production if the keys are not protected by TLS', async () => {
    issuer.jwksUrl = 'http://keys.example/keys';
    start({ requiresHttps: true });

    expect(await outcomeOf(await issuer.token())).toContain('503');
    expect(warned()).toEqual([expect.stringContaining('does not begin with https://')]);
  });
});

it('a verified token is remembered until its keys change, and only so many', async () => {
  start({ cooldownMs: 0 });
  const token = await issuer.token();
  expect(verifier.identify(token)).toBeInstanceOf(Promise);
  await verifier.identify(token);
  await verifier.identify(token);

  expect(verifier.identify(token)).toMatchObject({ caller: { userId: 'ada', roles: new Set(['customer']) } });
  expect(verifier.identify(await issuer.token({ forged: true }))).toBeInstanceOf(Promise);
});
