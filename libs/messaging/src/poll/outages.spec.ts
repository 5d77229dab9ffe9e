import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { WorkClock } from '../operations/health.js';
import { Outages } from './outages.js';

describe('P8 outages', () => {
  let stopping: AbortController;
  let clock: WorkClock;
  let outages: Outages;
  let warn: jest.SpiedFunction<Logger['warn']>;

  beforeEach(() => {
    stopping = new AbortController();
    clock = new WorkClock();
    outages = new Outages(clock, stopping.signal);
    warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
  });

  afterEach(() => {
    stopping.abort();
    jest.restoreAllMocks();
  });

  /** Fails without waiting for the next attempt. */
  const fail = (of: 'database' | 'kafka') => void outages.backOff(of, `${of} failed`, new Error('away'));
  const attempts = () =>
    warn.mock.calls.map(([text]) => /^(\w+).*\(attempt (\d+)\)$/.exec(String(text))?.slice(1).join(' '));

  it('of the database and of Kafka are counted separately', () => {
    fail('kafka');
    fail('kafka');
    fail('database');
    outages.over('kafka');
    fail('kafka');
    fail('database');

    expect(attempts()).toEqual(['kafka 1', 'kafka 2', 'database 1', 'kafka 1', 'database 2']);
  });

  it('are shown in health until something was done', () => {
    fail('kafka');
    expect(clock.report()).toMatchObject({ problem: 'away' });

    clock.advanced();

    expect(clock.report().problem).toBeUndefined();
  });

  it('delay no process that is stopping', async () => {
    const waiting = outages.backOff('kafka', 'kafka failed', new Error('away'));
    stopping.abort();
    await waiting;
    await outages.backOff('kafka', 'kafka failed', new Error('away'));

    expect(attempts()).toEqual(['kafka 1']);
  });
});
