import { jest } from '@jest/globals';
import { type Logger } from '@nestjs/common';
import { type DataSource } from 'typeorm';
import { WorkClock } from '../operations/health.js';
import { JobLeaseLostError } from './job-failures.js';
import { jobQueue } from './job-queue.js';
import { JobStore } from './job-store.js';
import { ForgivenLeases, type InFlightJob, JobLeases } from './leases.js';

const queue = jobQueue('call', {}, () => Promise.resolve());

beforeEach(() => {
  jest.useFakeTimers();
});

afterEach(() => {
  jest.useRealTimers();
});

/** A job whose lease of 30 s was just taken. */
function aJob(id: string): InFlightJob {
  return {
    job: { id, lease: `lease-${id}`, queue: 'call', data: {}, attempts: 0, setbacks: 0 },
    queue,
    abort: new AbortController(),
    progress: new WorkClock(),
    watched: { name: id, began: { succeeded: 0, setbacks: 0 }, wasSuspect: false },
    leasedUntil: performance.now() + 30_000,
    renewalFailed: false,
    ended: false,
  };
}

describe('the leases of jobs in flight', () => {
  let renewals: string[][];
  let warnings: string[];
  /** Answers a renewal of these leases as PostgreSQL does. */
  let answer: (ids: string[]) => Promise<unknown>;
  let leases: JobLeases;

  beforeEach(() => {
    renewals = [];
    warnings = [];
    answer = (ids) => Promise.resolve([ids.map((id) => ({ id })), ids.length]);
    const query = (_text: string, [ids]: [string[]]) => {
      renewals.push(ids);
      return answer(ids);
    };
    const logger = { warn: (line: string) => warnings.push(line) } as unknown as Logger;
    const timing = { leaseMs: 30_000, renewEveryMs: 10_000 };
    leases = new JobLeases(new JobStore('test'), { query } as unknown as DataSource, timing, logger);
  });

  it('are renewed together, every ten seconds, for as long as their jobs run', async () => {
    const [one, other] = [aJob('1'), aJob('2')];
    leases.hold(one);
    leases.hold(other);

    await jest.advanceTimersByTimeAsync(10_000);
    leases.release(one);
    await jest.advanceTimersByTimeAsync(10_000);
    leases.release(other);
    await jest.advanceTimersByTimeAsync(60_000);

    expect(renewals).toEqual([['1', '2'], ['2']]);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('last from the moment when the renewal was sent, not from its answer', async () => {
    const job = aJob('1');
    leases.hold(job);
    const sentAt = performance.now() + 10_000;
    answer = async (ids) => {
      await jest.advanceTimersByTimeAsync(4000);
      return [ids.map((id) => ({ id })), ids.length];
    };

    await jest.advanceTimersByTimeAsync(10_000);

    expect(job.leasedUntil).toBe(sentAt + 30_000);
  });

  it('P4 abandon exactly the jobs that another process has taken over', async () => {
    const [kept, lost] = [aJob('1'), aJob('2')];
    leases.hold(kept);
    leases.hold(lost);
    answer = () => Promise.resolve([[{ id: '1' }], 1]);

    await jest.advanceTimersByTimeAsync(10_000);

    expect(kept.abort.signal.aborted).toBe(false);
    expect(lost.abort.signal.reason).toBeInstanceOf(JobLeaseLostError);
  });

  it('P4 abandon a job when its lease ends because the database does not answer', async () => {
    const job = aJob('1');
    leases.hold(job);
    answer = () => Promise.reject(new Error('the database is away'));

    await jest.advanceTimersByTimeAsync(30_000);
    expect([job.renewalFailed, job.abort.signal.aborted]).toEqual([true, false]);
    await jest.advanceTimersByTimeAsync(10_000);

    expect(job.abort.signal.reason).toBeInstanceOf(JobLeaseLostError);
    expect(warnings[0]).toBe('Cannot renew the leases of 1 jobs: the database is away');
  });

  it('recover from a failed renewal in time', async () => {
    const job = aJob('1');
    leases.hold(job);
    const works = answer;
    answer = () => Promise.reject(new Error('the database is away'));
    await jest.advanceTimersByTimeAsync(20_000);

    answer = works;
    await jest.advanceTimersByTimeAsync(60_000);

    expect([job.renewalFailed, job.abort.signal.aborted]).toEqual([false, false]);
  });

  it('are not renewed again while an earlier renewal is unanswered', async () => {
    leases.hold(aJob('1'));
    answer = () => new Promise(() => undefined);

    await jest.advanceTimersByTimeAsync(100_000);

    expect(renewals).toHaveLength(1);
  });

  it('do not abandon a job that has ended and whose outcome is being recorded', async () => {
    const job = { ...aJob('1'), ended: true };
    leases.hold(job);
    answer = () => Promise.resolve([[], 0]);

    await jest.advanceTimersByTimeAsync(60_000);

    expect(job.abort.signal.aborted).toBe(false);
  });

  it('expire once renewing stops', async () => {
    leases.hold(aJob('1'));

    leases.stop();
    await jest.advanceTimersByTimeAsync(60_000);

    expect(renewals).toEqual([]);
  });
});

describe('forgiven leases', () => {
  it('are remembered for three lease lengths, counted from the last time that they were forgiven', () => {
    const forgiven = new ForgivenLeases(1000);
    forgiven.forgive('a');
    jest.advanceTimersByTime(2000);
    forgiven.forgive('b');
    jest.advanceTimersByTime(999);
    forgiven.forgetOld();
    expect(forgiven.all).toEqual(['a', 'b']);

    jest.advanceTimersByTime(1);
    forgiven.forgetOld();

    expect(forgiven.all).toEqual(['b']);
  });

  it('include unanswered claims, which are known as such and forgotten with them', () => {
    const forgiven = new ForgivenLeases(1000);
    forgiven.forgive('a');
    forgiven.claimUnanswered('b');
    forgiven.forgetOld();
    expect([forgiven.all, forgiven.unanswered]).toEqual([['a', 'b'], ['b']]);

    jest.advanceTimersByTime(3000);
    forgiven.forgetOld();

    expect([forgiven.all, forgiven.unanswered]).toEqual([[], []]);
  });
});
