import { type AccessToken } from '../kafka-security.js';
import { TokenCache } from './token-cache.js';

let now: number;
let requests: PromiseWithResolvers<AccessToken>[];
let cache: TokenCache;

beforeEach(() => {
  now = 0;
  requests = [];
  cache = new TokenCache(
    () => {
      const request = Promise.withResolvers<AccessToken>();
      requests.push(request);
      return request.promise;
    },
    () => now,
  );
});

const aToken = (value: string, expiresInMs = 100_000): AccessToken => ({ value, expiresInMs });

/** Gets the first token. */
async function filled(token = aToken('first')): Promise<AccessToken> {
  const got = cache.get();
  requests.shift()?.resolve(token);
  return got;
}

it('requests one token for all connections that need one at the same time', async () => {
  const both = Promise.all([cache.get(), cache.get()]);

  expect(requests).toHaveLength(1);
  requests[0]?.resolve(aToken('only'));

  expect(await both).toEqual([aToken('only'), aToken('only')]);
});

it('reuses a token for four fifths of its lifetime', async () => {
  await filled();

  now = 79_999;

  expect(await cache.get()).toMatchObject({ value: 'first' });
  expect(requests).toEqual([]);
});

it('replaces a token before it expires', async () => {
  await filled();
  now = 80_000;

  const next = cache.get();
  requests[0]?.resolve(aToken('second'));

  expect(await next).toMatchObject({ value: 'second' });
});

it('replaces a short-lived token before connections authenticate again', async () => {
  await filled(aToken('first', 20_000));
  now = 8000;

  const next = cache.get();
  requests[0]?.resolve(aToken('second', 20_000));

  expect(await next).toMatchObject({ value: 'second' });
});

it('uses a token until it expires if it cannot be replaced', async () => {
  await filled();
  now = 80_000;
  const next = cache.get();
  requests[0]?.reject(new Error('the provider is down'));
  expect(await next).toMatchObject({ value: 'first' });

  now = 100_000;
  const expired = cache.get();
  requests[1]?.reject(new Error('still down'));

  await expect(expired).rejects.toThrow('still down');
});

it('asks a failing provider at most once a second', async () => {
  const failing = cache.get();
  requests[0]?.reject(new Error('down'));
  await expect(failing).rejects.toThrow('down');

  now = 999;
  await expect(cache.get()).rejects.toThrow('down');
  expect(requests).toHaveLength(1);
  now = 1000;
  const next = cache.get();
  requests[1]?.resolve(aToken('up'));

  expect(await next).toMatchObject({ value: 'up' });
});

it('requests another token after Kafka has refused one', async () => {
  const token = await filled();

  cache.refused(token);
  const next = cache.get();
  requests[0]?.resolve(aToken('second'));

  expect(await next).toMatchObject({ value: 'second' });
});

it('keeps the next token when Kafka refuses the previous one late', async () => {
  const token = await filled();
  cache.refused(token);
  await filled(aToken('second'));

  cache.refused(token);

  expect(await cache.get()).toMatchObject({ value: 'second' });
});
