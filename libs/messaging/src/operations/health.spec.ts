import { jest } from '@jest/globals';
import { REFUSED } from '../errors.js';
import { MessagingHealth, WorkClock } from './health.js';

beforeEach(() => {
  jest.useFakeTimers();
});

afterEach(() => {
  jest.useRealTimers();
});

describe('P9 a work clock', () => {
  it('reports nothing while there is no work, and only the time without progress while there is', () => {
    const clock = new WorkClock();
    expect(clock.report()).toEqual({ healthy: true });

    clock.begun();
    jest.advanceTimersByTime(4999);

    expect(clock.report()).toEqual({ healthy: true, withoutProgressForMs: 4999 });
  });

  it('is unhealthy once work has made no progress for five seconds, or for as long as is tolerated', () => {
    const clock = new WorkClock();
    clock.begun();
    jest.advanceTimersByTime(5000);

    expect(clock.report()).toEqual({ healthy: false, withoutProgressForMs: 5000 });
    expect(clock.report(5001)).toMatchObject({ healthy: true });
  });

  it('is not restarted by failures, nor by work that begins while other work lasts', () => {
    const clock = new WorkClock();
    clock.failed('away');
    for (let n = 0; n < 5; n++) {
      jest.advanceTimersByTime(1000);
      clock.begun();
      clock.failed('refused');
    }

    expect(clock.report()).toEqual({ healthy: false, withoutProgressForMs: 5000, problem: 'refused' });
  });

  it('is unhealthy at once while Kafka refuses this client', () => {
    const clock = new WorkClock();
    clock.failed(Object.assign(new Error('wrong password'), { code: REFUSED }));
    expect(clock.report()).toEqual({ healthy: false, problem: 'wrong password' });

    clock.failed(new Error('away'));

    expect(clock.report()).toEqual({ healthy: true, problem: 'away' });
  });

  it('is restarted by progress, which ends the problem', () => {
    const clock = new WorkClock();
    clock.failed('away');
    jest.advanceTimersByTime(6000);

    clock.advanced();
    jest.advanceTimersByTime(10);

    expect(clock.report()).toEqual({ healthy: true, withoutProgressForMs: 10 });
  });

  it('stops when the work is done', () => {
    const clock = new WorkClock();
    clock.failed('away');

    clock.done();
    jest.advanceTimersByTime(60_000);

    expect(clock.report()).toEqual({ healthy: true });
  });
});

describe('P9 the health of messaging', () => {
  const attention = {
    deadLetters: { count: 2, oldestSeconds: 10.2 },
    deadJobs: { count: 0, oldestSeconds: 0 },
    heldKeys: { count: 1, oldestSeconds: 3 },
  };

  it('is good if and only if every component is healthy, and asks each of them every time', () => {
    const health = new MessagingHealth();
    let healthy = true;
    health.register('relay', () => ({ healthy: true, role: 'leader' }));
    health.register('jobs', () => ({ healthy }));
    expect(health.check()).toEqual({
      healthy: true,
      components: { relay: { healthy: true, role: 'leader' }, jobs: { healthy: true } },
    });

    healthy = false;

    expect(health.check()).toMatchObject({ healthy: false, components: { jobs: { healthy: false } } });
  });

  it('has one component per name, the one that was registered last', () => {
    const health = new MessagingHealth();
    health.register('jobs', () => ({ healthy: false }));

    health.register('jobs', () => ({ healthy: true }));

    expect(health.check()).toEqual({ healthy: true, components: { jobs: { healthy: true } } });
  });

  it('stays good with dead letters, whose ages grow between polls', () => {
    const health = new MessagingHealth();
    health.attentionFound(attention);

    jest.advanceTimersByTime(2500);

    expect(health.check()).toEqual({
      healthy: true,
      components: {},
      deadLetters: { count: 2, oldestSeconds: 13 },
      deadJobs: { count: 0, oldestSeconds: 0 },
      heldKeys: { count: 1, oldestSeconds: 6 },
    });
  });
});
