import { QueryFailedError, QueryRunnerProviderAlreadyReleasedError } from 'typeorm';
import { PermanentError } from '../errors.js';
import { afterFailure, failureOfJob, HandedBackError, JobLeaseLostError, TimedOutError } from './job-failures.js';
import { jobQueue } from './job-queue.js';

const queue = jobQueue('call', { maxAttempts: 3, backOff: { firstMs: 100, maxMs: 300 } }, async () =>
  Promise.resolve(),
);
const failedQuery = (error: Error) => new QueryFailedError('select 1', [], error);

describe('the classification of a job’s error', () => {
  it.each([
    ['the gateway answers 502', new Error('502'), 'attempt'],
    ['the gateway is unreachable', Object.assign(new Error(), { code: 'ECONNREFUSED' }), 'attempt'],
    ['the attempt timed out', new TimedOutError(100), 'attempt'],
    ['a row already exists', failedQuery(Object.assign(new Error(), { code: '23505' })), 'attempt'],
    ['the job can never succeed', new PermanentError('no such customer'), 'never'],
    ['a deadlock', failedQuery(Object.assign(new Error(), { code: '40P01' })), 'contended'],
    ['the server ended the session', failedQuery(Object.assign(new Error(), { code: '57P01' })), 'unavailable'],
    ['a statement timeout', failedQuery(Object.assign(new Error(), { code: '57014' })), 'timed-out'],
    ['a value that is too long', failedQuery(Object.assign(new Error(), { code: '22001' })), 'never'],
    ['a parameter that cannot be sent', failedQuery(new TypeError('circular structure')), 'attempt'],
    ['a statement without an answer', failedQuery(new Error('Connection terminated unexpectedly')), 'unavailable'],
    ['a connection that broke between two statements', new QueryRunnerProviderAlreadyReleasedError(), 'unavailable'],
    ['a reset connection', failedQuery(Object.assign(new Error(), { code: 'ECONNRESET' })), 'unavailable'],
    ['the process is shutting down', new HandedBackError(), 'handed-back'],
    ['another process has taken the job over', new JobLeaseLostError(), 'lease-lost'],
  ])('%s', (_, error, failure) => {
    expect(failureOfJob(error)).toBe(failure);
  });
});

describe('a job that failed', () => {
  it('waits longer after each attempt that counts, and is dead after the last', () => {
    const [first, second, last] = [0, 1, 2].map((attempts) =>
      afterFailure('attempt', { attempts, setbacks: 0 }, queue),
    );

    expect(first).toMatchObject({ attempts: 1 });
    expect(first?.delayMs).toBeGreaterThanOrEqual(50);
    expect(first?.delayMs).toBeLessThanOrEqual(100);
    expect(second).toMatchObject({ attempts: 2 });
    expect(second?.delayMs).toBeGreaterThanOrEqual(100);
    expect(second?.delayMs).toBeLessThanOrEqual(200);
    expect(last).toEqual({ attempts: 3, setbacks: 0, delayMs: undefined });
  });

  it('keeps its attempts after a setback, and waits longer after each setback', () => {
    const [first, third] = [0, 2].map((setbacks) => afterFailure('setback', { attempts: 2, setbacks }, queue));

    expect(first).toMatchObject({ attempts: 2, setbacks: 1 });
    expect(first?.delayMs).toBeLessThanOrEqual(100);
    expect(third).toMatchObject({ attempts: 2, setbacks: 3 });
    expect(third?.delayMs).toBeGreaterThanOrEqual(150);
    expect(third?.delayMs).toBeLessThanOrEqual(300);
  });

  it('is dead at once if it can never succeed', () => {
    expect(afterFailure('never', { attempts: 0, setbacks: 4 }, queue)).toEqual({
      attempts: 1,
      setbacks: 0,
      delayMs: undefined,
    });
  });
});
