import { jest } from '@jest/globals';
import { Setbacks } from './setbacks.js';

/** The successes and failures of a consumer, as one process sees them. */
function aConsumer() {
  let succeeded = 0;
  const lines: string[] = [];
  const setbacks = new Setbacks(
    () => succeeded,
    (line) => lines.push(line),
  );
  return {
    setbacks,
    lines,
    succeed: (count = 1) => void (succeeded += count),
    /** Makes an attempt fail while `meanwhile` others succeed; returns whether it counts. */
    fail: (name: string, meanwhile = 0): boolean => {
      const attempt = setbacks.started(name);
      succeeded += meanwhile;
      return setbacks.countsAsAttempt(attempt, 'statement timeout');
    },
  };
}

describe('P5 a setback', () => {
  it('counts from the second on when a message keeps failing while others succeed', () => {
    const { fail } = aConsumer();

    expect([fail('poison', 10), fail('poison', 10), fail('poison', 10)]).toEqual([false, true, true]);
  });

  it('still counts when there are no other messages any more', () => {
    const { fail } = aConsumer();

    expect([fail('poison', 10), fail('poison'), fail('poison')]).toEqual([false, true, true]);
  });

  it('counts for two messages at the same time', () => {
    const { fail, setbacks } = aConsumer();
    const one = setbacks.started('one');

    expect(fail('two', 10)).toBe(false);
    expect(setbacks.countsAsAttempt(one, 'statement timeout')).toBe(false);
    expect(['one', 'two', 'one', 'two'].map((name) => fail(name))).toEqual([true, true, true, true]);
  });

  it('never counts when nothing else happens or nothing succeeds', () => {
    const { fail } = aConsumer();

    expect([fail('a'), fail('a'), fail('a'), fail('b'), fail('a'), fail('b')]).toEqual(Array(6).fill(false));
  });

  it('does not count when the database becomes slow after earlier successes', () => {
    const { fail, succeed } = aConsumer();
    succeed(100);
    const round = () => Array.from({ length: 36 }, (_, n) => fail(`m${n}`));

    expect([...round(), ...round(), ...round()]).not.toContain(true);
  });

  it('does not count when the database recovers during the attempt', () => {
    const { fail } = aConsumer();
    for (const name of ['a', 'b', 'a', 'b']) fail(name);

    expect(fail('a', 50)).toBe(false);
  });

  it('makes the consumer unhealthy after a while without successes, and is logged at a bounded rate', () => {
    jest.useFakeTimers();
    const { fail, lines, setbacks, succeed } = aConsumer();

    for (let n = 0; n < 100; n++) {
      fail(`m${n}`);
      jest.advanceTimersByTime(200);
    }
    const failing = setbacks.report();
    succeed();
    const well = setbacks.report();
    jest.useRealTimers();

    expect(failing).toEqual({ healthy: false, problem: 'statement timeout' });
    expect(well).toEqual({ healthy: true });
    expect(lines).toEqual([
      '1 setback caused by the environment, most recently: statement timeout',
      '50 setbacks caused by the environment, most recently: statement timeout',
    ]);
  });

  it('P7 is forgotten after too many others', () => {
    const { fail } = aConsumer();
    fail('poison', 10);

    for (let n = 0; n < 1000; n++) fail(`m${n}`);

    expect(fail('poison', 5000)).toBe(false);
  });
});
