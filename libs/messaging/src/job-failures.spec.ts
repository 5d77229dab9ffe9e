import { QueryFailedError, QueryRunnerProviderAlreadyReleasedError } from 'typeorm';
import { PermanentError } from './errors.js';
import { afterFailure, failureOfJob, HandedBackError, LeaseLostError, TimedOutError } from './job-failures.js';
import { jobQueue } from './job-handlers.js';

const queue = jobQueue('call', { maxAttempts: 3, backOff: { firstMs: 100, maxMs: 300 } }, async () =>
  Promise.resolve(),
);
const failedQuery = (error: Error) => new QueryFailedError('select 1', [], error);

describe('what an error means for a job', () => {
  it.each([
    ['the gateway answers 502', new Error('502'), 'attempt'],
    ['the gateway is away', Object.assign(new Error(), { code: 'ECONNREFUSED' }), 'attempt'],
    ['it took too long', new TimedOutError(100), 'attempt'],
    ['a row is there already', failedQuery(Object.assign(new Error(), { code: '23505' })), 'attempt'],
    ['it never can succeed', new PermanentError('no such customer'), 'never'],
    ['a deadlock', failedQuery(Object.assign(new Error(), { code: '40P01' })), 'contended'],
    ['the server ended the session', failedQuery(Object.assign(new Error(), { code: '57P01' })), 'contended'],
    ['a statement without an answer', failedQuery(new Error('Connection terminated unexpectedly')), 'away'],
    ['a connection that broke between two statements', new QueryRunnerProviderAlreadyReleasedError(), 'away'],
    ['a reset connection', failedQuery(Object.assign(new Error(), { code: 'ECONNRESET' })), 'away'],
    ['the process stops', new HandedBackError(), 'handed-back'],
    ['another has it', new LeaseLostError(), 'lease-lost'],
  ])('%s', (_, error, failure) => {
    expect(failureOfJob(error)).toBe(failure);
  });
});

describe('a job that failed', () => {
  it('waits longer with each attempt that counts, and is dead after the last', () => {
    const [first, second, last] = [0, 1, 2].map((attempts) => afterFailure('attempt', attempts, queue));

    expect(first).toMatchObject({ attempts: 1 });
    expect(first?.delayMs).toBeGreaterThanOrEqual(50);
    expect(first?.delayMs).toBeLessThanOrEqual(100);
    expect(second).toMatchObject({ attempts: 2 });
    expect(second?.delayMs).toBeGreaterThanOrEqual(100);
    expect(second?.delayMs).toBeLessThanOrEqual(200);
    expect(last).toEqual({ attempts: 3, delayMs: undefined });
  });

  it.each(['away', 'contended'] as const)('keeps its attempts when the database was %s', (failure) => {
    const { attempts, delayMs } = afterFailure(failure, 2, queue);

    expect(attempts).toBe(2);
    expect(delayMs).toBeGreaterThan(0);
  });

  it('is dead at once when it never can succeed', () => {
    expect(afterFailure('never', 0, queue)).toEqual({ attempts: 1, delayMs: undefined });
  });
});
