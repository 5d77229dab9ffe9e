import { jest } from '@jest/globals';
import { Lease, type LeaseAnswer, type LeaseStore } from './lease.js';

/** A lease row in memory: what matters here is how the holder counts, not who gets it. */
class Row implements LeaseStore {
  answer: LeaseAnswer | Error = { token: '1', pending: false };
  released: string[] = [];

  async holdLease(): Promise<LeaseAnswer> {
    if (this.answer instanceof Error) throw this.answer;
    return Promise.resolve(this.answer);
  }

  async releaseLease(holder: string): Promise<void> {
    this.released.push(holder);
    return Promise.resolve();
  }
}

describe('a lease', () => {
  let row: Row;
  let renewed: number;
  let lease: Lease;

  beforeEach(() => {
    jest.useFakeTimers();
    row = new Row();
    renewed = 0;
    lease = new Lease(row, 'me', () => renewed++);
  });

  afterEach(() => {
    jest.useRealTimers();
  });

  it('is not held before the database said so', () => {
    expect(lease.token).toBeUndefined();
  });

  it('P3 is no longer believed in 4 s after its last renewal was sent', async () => {
    await lease.renew();
    row.answer = new Promise(() => undefined) as never;
    jest.advanceTimersByTime(3999);
    expect(lease.token).toBe('1');

    jest.advanceTimersByTime(1);

    expect(lease.token).toBeUndefined();
  });

  it('P3 counts from before the renewal was sent, not from its answer', async () => {
    row.holdLease = () => {
      jest.advanceTimersByTime(3000);
      return Promise.resolve({ token: '1', pending: false });
    };
    await lease.renew();

    jest.advanceTimersByTime(1000);

    expect(lease.token).toBeUndefined();
  });

  it('is renewed every second', async () => {
    await lease.renew();

    await jest.advanceTimersByTimeAsync(10_000);

    expect(lease.token).toBe('1');
  });

  it('tells of a change of holder, of messages that wait, and of nothing else', async () => {
    await lease.renew();
    await jest.advanceTimersByTimeAsync(5000);
    expect(renewed).toBe(1);
    row.answer = { token: '1', pending: true };
    await jest.advanceTimersByTimeAsync(1000);
    expect(renewed).toBe(2);

    row.answer = { token: undefined, pending: false };
    await jest.advanceTimersByTimeAsync(1000);

    expect(renewed).toBe(3);
    expect(lease.token).toBeUndefined();
  });

  it('says why it can no longer be renewed, and stops trying', async () => {
    row.answer = new Error('connection lost');

    await lease.renew();

    expect(lease.failure?.message).toContain('connection lost');
    expect(jest.getTimerCount()).toBe(0);
  });

  it('is handed back once, and only by its holder', async () => {
    await lease.renew();
    await lease.release();
    const other = new Lease(row, 'other', () => undefined);
    row.answer = { token: undefined, pending: false };
    await other.renew();
    await other.release();

    expect(row.released).toEqual(['me']);
    expect(lease.token).toBeUndefined();
    expect(jest.getTimerCount()).toBe(0);
  });
});
