import { ProgressReport } from '@twinbox/tools';

/** Reports the phases of a run, which begin in this order. */
export function reportPhases(minutes: number, log: (line: string) => void): ProgressReport {
  return new ProgressReport(
    [
      { name: 'starting the system', seconds: 20 },
      { name: 'load and faults', seconds: minutes * 60, fixed: true },
      { name: 'healing and settling', seconds: 30 },
      { name: 'stopping and reading', seconds: 10 },
    ],
    log,
  );
}
