import { type PlannedPart, Progress } from './progress.js';

const EVERY_MS = 15_000;

/** Prints the progress of a run when a part or round begins, and every 15 s, as plain lines that also read well in a file. */
export class ProgressReport {
  private readonly progress: Progress;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    plan: readonly PlannedPart[],
    private readonly print: (line: string) => void,
  ) {
    this.progress = new Progress(plan);
  }

  /** Begins the next part of the plan. */
  beginPart(): void {
    this.progress.beginPart();
    this.report();
  }

  /** Sets the number of rounds of the current part. The returned function is called at the beginning of each. */
  rounds(count: number): (doing?: string) => void {
    this.progress.planRounds(count);
    return (doing) => {
      this.progress.beginRound(doing);
      // The line of a single round would repeat that of its part.
      if (count > 1 || doing !== undefined) this.report();
    };
  }

  /** Must be called at the end, because the timer keeps the process alive. */
  stop(): void {
    clearInterval(this.timer);
  }

  private report(): void {
    this.print(this.progress.describe());
    clearInterval(this.timer);
    this.timer = setInterval(() => this.print(this.progress.describe()), EVERY_MS);
  }
}
