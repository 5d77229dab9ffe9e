import { type Reading } from '../flow/readings.js';
import { backlogOf, movedCursor, ratesOf, sampled } from './series.js';

const aReading = (seconds: number, lag: number | null = 0): Reading => ({
  at: seconds * 1000,
  publishedPerSecond: seconds,
  unpublished: 2 * seconds,
  consumers: { billing: { processedPerSecond: 3 * seconds, lag } },
});

describe('the lines of a chart', () => {
  it('are the rates of the relay and of each consumer', () => {
    expect(ratesOf([aReading(1), aReading(3)])).toEqual({
      times: [1, 3],
      lines: [
        { label: 'published', values: [1, 3] },
        { label: 'billing', values: [3, 9] },
      ],
    });
  });

  it('are interrupted while Kafka does not report the lag', () => {
    expect(backlogOf([aReading(1, 5), aReading(3, null)]).lines[1]?.values).toEqual([5, null]);
  });

  it('are interrupted while the page was in the background', () => {
    const { times, lines } = ratesOf([aReading(1), aReading(60)]);

    expect(times).toEqual([1, 1.001, 60]);
    expect(lines[0]?.values).toEqual([1, null, 60]);
  });

  it('have no points without readings', () => {
    expect(ratesOf([])).toEqual({ times: [], lines: [{ label: 'published', values: [] }] });
  });
});

describe('the rows of the table of a chart', () => {
  it('are all of them while they are few', () => {
    expect(sampled(3, 10)).toEqual([0, 1, 2]);
  });

  it('end with the last reading', () => {
    expect(sampled(100, 10)).toEqual([9, 19, 29, 39, 49, 59, 69, 79, 89, 99]);
    expect(sampled(0, 10)).toEqual([]);
  });
});

describe('the cursor of a chart', () => {
  it.each([
    ['ArrowLeft', 4],
    ['ArrowRight', 6],
    ['PageUp', 0],
    ['PageDown', 9],
    ['Home', 0],
    ['End', 9],
  ])('moves with %s', (key, to) => {
    expect(movedCursor(key, 5, 10)).toBe(to);
  });

  it('ignores other keys, and a chart without points', () => {
    expect(movedCursor('a', 5, 10)).toBeUndefined();
    expect(movedCursor('End', 0, 0)).toBeUndefined();
  });
});
