import { jest } from '@jest/globals';
import { ProgressReport } from './progress-report.js';

afterEach(() => jest.useRealTimers());

it('prints a line for each part and round, and every 15 s until it is stopped', () => {
  jest.useFakeTimers();
  const lines: string[] = [];
  const report = new ProgressReport([{ name: 'relay', seconds: 60 }], (line) => lines.push(line));

  report.beginPart();
  const beginRound = report.rounds(2);
  beginRound();
  jest.advanceTimersByTime(20_000);
  beginRound();
  jest.advanceTimersByTime(30_000);
  report.stop();
  jest.advanceTimersByTime(60_000);

  expect(lines).toEqual([
    'relay; 0:00 elapsed, about 1:00 left',
    'relay, round 1 of 2; 0:00 elapsed, about 1:00 left',
    'relay, round 1 of 2; 0:15 elapsed, about 0:45 left',
    'relay, round 2 of 2; 0:20 elapsed, about 0:20 left',
    'relay, round 2 of 2; 0:35 elapsed, about 0:05 left',
    'relay, round 2 of 2; 0:50 elapsed, longer than expected',
  ]);
});

it('prints one line for a part with a single round', () => {
  jest.useFakeTimers();
  const lines: string[] = [];
  const report = new ProgressReport([{ name: 'million', seconds: 60 }], (line) => lines.push(line));

  report.beginPart();
  report.rounds(1)();
  report.stop();

  expect(lines).toEqual(['million; 0:00 elapsed, about 1:00 left']);
});
