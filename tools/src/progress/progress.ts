/** A part of a long run and how long it usually takes. */
export interface PlannedPart {
  readonly name: string;
  /** Used for the estimate until the part has finished a round, and for the parts after the current one. */
  readonly seconds: number;
  /** Set for a part that takes this long on any machine. */
  readonly fixed?: boolean;
}

/** The current part. All times are in ms on the clock of the run. */
interface Current {
  readonly index: number;
  readonly beganAt: number;
  /** 0 until the number of rounds is set. */
  readonly rounds: number;
  /** The number of rounds that have begun. */
  readonly round: number;
  readonly roundBeganAt: number;
  readonly doing: string | undefined;
}

/**
 * Knows where a run of several parts is and estimates the time left: from the finished rounds of the current part, and from the planned
 * duration of the other parts. If the finished parts took twice as long as planned, the others are expected to do so too, except for
 * parts of a fixed duration.
 */
export class Progress {
  private readonly startedAt: number;
  private current: Current | undefined;
  private readonly finished: { plannedMs: number; tookMs: number }[] = [];

  constructor(
    private readonly plan: readonly PlannedPart[],
    private readonly now: () => number = () => performance.now(),
  ) {
    this.startedAt = now();
  }

  /** Ends the current part and begins the next one of the plan. */
  beginPart(): void {
    const index = this.current === undefined ? 0 : this.current.index + 1;
    this.endPart();
    const at = this.now();
    this.current = { index, beganAt: at, rounds: 0, round: 0, roundBeganAt: at, doing: undefined };
  }

  /** Sets the number of rounds of the current part, which should be about equally long. */
  planRounds(rounds: number): void {
    if (this.current) this.current = { ...this.current, rounds };
  }

  /** Ends the current round and begins the next one, with an optional description of it. */
  beginRound(doing?: string): void {
    const { current } = this;
    if (current) this.current = { ...current, round: current.round + 1, roundBeganAt: this.now(), doing };
  }

  /** The state in one line, such as `relay (1 of 11), round 2 of 5; 1:23 elapsed, about 1:05 left in this part, 28:40 in all`. */
  describe(): string {
    const elapsed = `${asClock(this.now() - this.startedAt)} elapsed`;
    const { current } = this;
    if (!current) return elapsed;
    const { index, rounds, round, doing } = current;
    const part = this.plan.length > 1 ? ` (${index + 1} of ${this.plan.length})` : '';
    const inRounds = rounds > 1 && round > 0 ? `, round ${round} of ${rounds}` : '';
    const detail = doing === undefined ? '' : `: ${doing}`;
    return `${this.plan[index]?.name}${part}${inRounds}${detail}; ${elapsed}, ${this.describeLeft(current)}`;
  }

  private describeLeft(current: Current): string {
    const ofPart = leftMs(current, this.expectedMs(this.plan[current.index]), this.now());
    const later = this.plan.slice(current.index + 1).reduce((sum, part) => sum + this.expectedMs(part), 0);
    const [left, inAll] = [asClock(ofPart), asClock(ofPart + later)];
    const isLate = ofPart === 0;
    if (later === 0) return isLate ? 'longer than expected' : `about ${left} left`;
    return isLate
      ? `longer than expected in this part, about ${inAll} left in all`
      : `about ${left} left in this part, ${inAll} in all`;
  }

  private expectedMs(part: PlannedPart | undefined): number {
    return (part?.seconds ?? 0) * 1000 * (part?.fixed ? 1 : this.slowness());
  }

  /** How much longer than planned the finished parts took. */
  private slowness(): number {
    const sumOf = (of: 'plannedMs' | 'tookMs') => this.finished.reduce((sum, part) => sum + part[of], 0);
    return this.finished.length === 0 ? 1 : sumOf('tookMs') / sumOf('plannedMs');
  }

  private endPart(): void {
    if (!this.current) return;
    const { index, beganAt } = this.current;
    const part = this.plan[index];
    if (part && !part.fixed) this.finished.push({ plannedMs: part.seconds * 1000, tookMs: this.now() - beganAt });
  }
}

/** The estimated time left in a part: by its finished rounds if there are any, else by the time that it is expected to take. */
function leftMs({ beganAt, rounds, round, roundBeganAt }: Current, expectedMs: number, now: number): number {
  const done = round - 1;
  const total = done > 0 ? ((roundBeganAt - beganAt) / done) * Math.max(rounds, round) : expectedMs;
  return Math.max(0, beganAt + total - now);
}

/** Formats milliseconds as `0:07`, `12:34` or `1:02:03`. */
function asClock(ms: number): string {
  const all = Math.round(ms / 1000);
  const [hours, minutes, seconds] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  const padded = (value: number) => String(value).padStart(2, '0');
  return hours > 0 ? `${hours}:${padded(minutes)}:${padded(seconds)}` : `${minutes}:${padded(seconds)}`;
}
