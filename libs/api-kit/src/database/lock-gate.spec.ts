import { jest } from '@jest/globals';
import type { DataSource, EntityManager } from 'typeorm';
import { classifyDatabaseError } from './database-errors.js';
import { LockGate } from './lock-gate.js';

const pool = {} as DataSource;
const tx = { dataSource: pool } as EntityManager;
const timeout = Object.assign(new Error('canceling statement due to lock timeout'), { code: '55P03' });

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

/** Starts statements that wait for a lock until the test resolves or rejects them. */
function startWaiting(gate: LockGate, count: number, keys = ['tea']) {
  const statements = Array.from({ length: count }, () => Promise.withResolvers<string>());
  const ends = statements.map(({ promise }) => gate.run(tx, keys, () => promise).catch((error: unknown) => error));
  return { statements, ends };
}

const lockOnce = async (gate: LockGate, keys = ['tea']): Promise<unknown> =>
  gate.run(tx, keys, () => Promise.resolve('granted')).catch((error: unknown) => error);

describe('while a lock is not granted', () => {
  it('three statements may wait for it, and others fail early and may try again', async () => {
    const gate = new LockGate(pool);
    startWaiting(gate, 3);
    const inLine = lockOnce(gate);
    jest.advanceTimersByTime(600);

    const errors = await Promise.all([inLine, lockOnce(gate)]);

    expect(errors.map((error) => classifyDatabaseError(error))).toEqual(['try-again', 'try-again']);
  });

  it('a single statement waits for it once the first waits have timed out', async () => {
    const gate = new LockGate(pool);
    const first = startWaiting(gate, 3);
    jest.advanceTimersByTime(1100);
    for (const { reject } of first.statements) reject(timeout);
    await Promise.all(first.ends);

    const probe = startWaiting(gate, 1);
    const error = await lockOnce(gate);
    probe.statements[0]?.resolve('granted');

    expect(classifyDatabaseError(error)).toBe('try-again');
    expect(await Promise.all(probe.ends)).toEqual(['granted']);
    expect(await lockOnce(gate)).toBe('granted');
  });

  it('other locks and transactions of another pool are not affected', async () => {
    const gate = new LockGate(pool);
    startWaiting(gate, 3);
    jest.advanceTimersByTime(600);
    const job = { dataSource: {} } as EntityManager;

    expect(await lockOnce(gate, ['mug'])).toBe('granted');
    expect(await gate.run(job, ['tea'], () => Promise.resolve('granted'))).toBe('granted');
    expect(classifyDatabaseError(await lockOnce(gate, ['mug', 'tea']))).toBe('try-again');
  });
});

it('a lock that keeps being granted is granted to all, however many wait and however long', async () => {
  const gate = new LockGate(pool);
  const { statements, ends } = startWaiting(gate, 20);

  for (const { resolve } of statements) {
    await jest.advanceTimersByTimeAsync(100);
    resolve('granted');
  }

  expect(await Promise.all(ends)).toEqual(statements.map(() => 'granted'));
});

it('an outage does not make a lock count as stuck', async () => {
  const gate = new LockGate(pool);
  const { statements, ends } = startWaiting(gate, 3);
  jest.advanceTimersByTime(1500);
  for (const { reject } of statements) reject(Object.assign(new Error('gone'), { code: 'ECONNRESET' }));
  await Promise.all(ends);

  startWaiting(gate, 2);

  expect(await lockOnce(gate)).toBe('granted');
});

it('a stuck lock is forgotten if no request has wanted it for a while', async () => {
  const gate = new LockGate(pool);
  const first = startWaiting(gate, 1);
  jest.advanceTimersByTime(1100);
  first.statements[0]?.reject(timeout);
  await Promise.all(first.ends);
  jest.advanceTimersByTime(5000);

  startWaiting(gate, 2);

  expect(await lockOnce(gate)).toBe('granted');
});
