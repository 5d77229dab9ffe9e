import { jest } from '@jest/globals';
import { Cursor } from '../log/cursor.js';
import { type DueNow, Lease, type LeaseAnswer, type LeaseStore } from './lease.js';

const NOTHING: DueNow = {
  parked: false,
  anyParked: false,
  jobs: false,
  latestReleaseId: undefined,
  incidents: [],
  operations: false,
  pauses: [],
};

/** A lease row in memory. These tests are about the holder's timing, not about who gets the lease. */
class Row implements LeaseStore {
  answer: LeaseAnswer | Error = { token: '1', pending: false, due: NOTHING };
  released: string[] = [];

  recorded: (Cursor | undefined)[] = [];

  async holdLease(_holder: string | undefined, _leaseMs: number, progress?: Cursor): Promise<LeaseAnswer> {
    this.recorded.push(progress);
    if (this.answer instanceof Error) throw this.answer;
    return Promise.resolve(this.answer);
  }

  async releaseLease(holder: string, progress?: Cursor): Promise<void> {
    this.recorded.push(progress);
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

  it('is not held before the database grants it', () => {
    expect(lease.fencingToken).toBeUndefined();
  });

  it('P3 is no longer relied on 4 s after its last renewal was sent', async () => {
    await lease.renew();
    row.answer = new Promise(() => undefined) as never;
    jest.advanceTimersByTime(3999);
    expect(lease.fencingToken).toBe('1');

    jest.advanceTimersByTime(1);

    expect(lease.fencingToken).toBeUndefined();
  });

  it('P3 is timed from before the renewal was sent, not from its answer', async () => {
    row.holdLease = () => {
      jest.advanceTimersByTime(3000);
      return Promise.resolve({ token: '1', pending: false, due: NOTHING });
    };
    await lease.renew();

    jest.advanceTimersByTime(1000);

    expect(lease.fencingToken).toBeUndefined();
  });

  it('P3 is no longer relied on once its connection is lost, even if an answer to its renewal was already on the way', async () => {
    await lease.renew();
    const renewal = lease.renew();

    lease.lose();

    expect(lease.fencingToken).toBeUndefined();
    await renewal;
    expect(lease.fencingToken).toBeUndefined();
  });

  it('is renewed every second', async () => {
    await lease.renew();

    await jest.advanceTimersByTimeAsync(10_000);

    expect(lease.fencingToken).toBe('1');
  });

  it('reports every answer', async () => {
    await lease.renew();
    await jest.advanceTimersByTimeAsync(5000);
    expect(renewed).toBe(6);

    row.answer = { token: undefined, pending: false, due: NOTHING };
    await jest.advanceTimersByTimeAsync(1000);

    expect(renewed).toBe(7);
    expect(lease.fencingToken).toBeUndefined();
  });

  it('records its progress with every renewal and when it is released', async () => {
    await lease.renew();
    const progress = new Cursor(7, []);
    lease.published = progress;

    await jest.advanceTimersByTimeAsync(1000);
    await lease.release();

    expect(row.recorded).toEqual([undefined, progress, progress]);
  });

  it('P2 starts a new term where the last one ended', async () => {
    await lease.renew();
    lease.published = new Cursor(7, []);
    const others = new Cursor(9, []);
    row.answer = { token: '3', pending: false, due: NOTHING, progress: others };

    await lease.renew();

    expect(lease.published).toBe(others);
  });

  it('P2 does not recover again because of an answer from before the end of a recovery', async () => {
    const log = { location: 'server', origin: 'outbox', lastPosition: 10, rowsBeyond: false };
    const beyond = { token: '1', pending: false, due: NOTHING, progress: new Cursor(50, []), log };
    row.answer = beyond;
    await lease.renew();
    expect(lease.recovering).toMatchObject({ fromStart: true });
    const { promise, resolve } = Promise.withResolvers<LeaseAnswer>();
    row.answer = promise as never;
    const renewing = lease.renew();

    lease.startOver();
    const { termNumber } = lease;
    resolve(beyond);
    await renewing;

    expect(lease).toMatchObject({ recovering: undefined, published: Cursor.START, termNumber });
  });

  it('is renewed once more when that is requested during a renewal', async () => {
    const renewing = lease.renew();
    await Promise.all([renewing, lease.renew(), lease.renew()]);

    expect(renewed).toBe(2);
  });

  it('reports why it can no longer be renewed, and stops trying', async () => {
    row.answer = new Error('connection lost');

    await lease.renew();

    expect(lease.failure?.message).toContain('connection lost');
    expect(jest.getTimerCount()).toBe(0);
  });

  it('P3 is no longer relied on once a renewal has failed, even if its connection stays open', async () => {
    await lease.renew();
    expect(lease.fencingToken).toBe('1');
    row.answer = Object.assign(new Error('cannot execute UPDATE in a read-only transaction'), { code: '25006' });

    await lease.renew();

    expect(lease.fencingToken).toBeUndefined();
    await lease.release();
    expect(row.released).toEqual([]);
  });

  it('is released once, and only by its holder', async () => {
    await lease.renew();
    await lease.release();
    const other = new Lease(row, 'other', () => undefined);
    row.answer = { token: undefined, pending: false, due: NOTHING };
    await other.renew();
    await other.release();

    expect(row.released).toEqual(['me']);
    expect(lease.fencingToken).toBeUndefined();
    expect(jest.getTimerCount()).toBe(0);
  });
});
