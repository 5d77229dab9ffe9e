import { Logger } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { SecurityEvents } from './security-events.js';

const logged: { readonly reason: string; readonly count: number }[] = [];
beforeAll(() =>
  Logger.overrideLogger({
    log: () => undefined,
    error: () => undefined,
    warn: (fields: { reason: string; count: number }) => void logged.push(fields),
  }),
);
afterAll(() => Logger.overrideLogger(false));
beforeEach(() => void logged.splice(0));

const REQUEST = {
  id: 'r-1',
  ip: '192.0.2.1',
  method: 'GET',
  raw: {},
  routeOptions: { url: '/things' },
} as unknown as FastifyRequest;

describe('security events', () => {
  it('P7 take a bounded number of lines, however many reasons there are', () => {
    const events = new SecurityEvents();
    for (let n = 0; n < 1000; n++) events.report(REQUEST, 'login-refused', `reason ${n}`);

    events.stop();

    expect(logged).toHaveLength(21);
    expect(logged[0]).toMatchObject({ reason: 'reason 0', count: 1 });
    expect(logged[20]).toMatchObject({ reason: 'other reasons', count: 980 });
  });

  it('are counted by event and reason, and shortened', () => {
    const events = new SecurityEvents();
    for (const reason of ['a', 'b', 'a', 'x'.repeat(5000)]) events.report(REQUEST, 'login-refused', reason);
    events.report(REQUEST, 'webhook-refused', 'a');

    events.stop();

    expect(logged.map(({ count }) => count)).toEqual([2, 1, 1, 1]);
    expect(logged[2]?.reason).toHaveLength(200);
  });
});
