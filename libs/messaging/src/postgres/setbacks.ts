/** A point in time, measured in successes and setbacks so far. */
interface Moment {
  readonly succeeded: number;
  readonly setbacks: number;
}

interface Failing {
  /** Its latest setback. */
  readonly at: Moment;
  /** Whether it failed while others succeeded. */
  readonly suspect: boolean;
}

/** An attempt in progress. */
export interface WatchedAttempt {
  readonly name: string;
  readonly began: Moment;
  readonly wasSuspect: boolean;
}

/** If more than this many keep failing, the environment is broken. Those that failed longest ago are forgotten. */
const MAX_FAILING = 1000;
/** How long setbacks may go on, with no success in between, before health reports them. */
const REPORT_AFTER_MS = 5000;
/** How long after the last setback health still reports it. */
const STALE_AFTER_MS = 120_000;
const LOG_EVERY_MS = 10_000;

/**
 * Distinguishes a message (or job) that causes its own failures from an environment in which all of them fail (P5). An error
 * such as a statement timeout may be the fault of either. The decision rests on what this process has seen of the same consumer
 * since the message's last setback:
 *
 * 1. The first setback of a message never counts as an attempt.
 * 2. If more messages succeeded than failed with setbacks since, the message is suspect. If nothing else happened, the previous
 *    finding still holds.
 * 3. A further setback counts if the message was suspect both at the beginning and at the end of the attempt, so not if the
 *    environment recovered or broke in between.
 */
export class Setbacks {
  /** Ordered by latest setback. */
  private readonly failing = new Map<string, Failing>();
  private count = 0;
  private since = { ms: 0, succeeded: -1 };
  private latest: { readonly ms: number; readonly problem: string } | undefined;
  private loggedAt = -Infinity;
  private logged = 0;

  /**
   * @param succeeded returns how many have succeeded since the process started
   * @param warn logs a line, at most one every 10 s
   */
  constructor(
    private readonly succeeded: () => number,
    private readonly warn: (line: string) => void,
  ) {}

  /** The number of setbacks since the process started. */
  get total(): number {
    return this.count;
  }

  /** Watches an attempt that begins. */
  started(name: string): WatchedAttempt {
    const began = this.now();
    const failing = this.failing.get(name);
    return { name, began, wasSuspect: failing !== undefined && this.isSuspect(name, failing.at, failing.suspect) };
  }

  /** Records a setback that the message may have caused itself. Returns whether it counts as a failed attempt. */
  countsAsAttempt({ name, began, wasSuspect }: WatchedAttempt, problem: string): boolean {
    const before = this.failing.get(name);
    const suspect = this.isSuspect(name, before?.at ?? began, before?.suspect ?? false);
    this.record(problem);
    this.failing.delete(name);
    this.failing.set(name, { at: this.now(), suspect });
    const [oldest] = this.failing.keys();
    if (this.failing.size > MAX_FAILING && oldest !== undefined) this.failing.delete(oldest);
    return suspect && wasSuspect;
  }

  /** Records a setback for which the message is certainly not to blame. */
  record(problem: string): void {
    this.count++;
    const ms = performance.now();
    const stood = this.latest && ms - this.latest.ms < STALE_AFTER_MS && this.since.succeeded === this.succeeded();
    if (!stood) this.since = { ms, succeeded: this.succeeded() };
    this.latest = { ms, problem };
    if (ms - this.loggedAt < LOG_EVERY_MS) return;
    const more = this.count - this.logged;
    this.warn(`${more} ${more === 1 ? 'setback' : 'setbacks'} caused by the environment, most recently: ${problem}`);
    this.loggedAt = ms;
    this.logged = this.count;
  }

  /** The message was handled, or became a dead letter. */
  forget(name: string): void {
    if (this.failing.size > 0) this.failing.delete(name);
  }

  /** Reports unhealthy while there are only setbacks and no successes. */
  report(): { healthy: boolean; problem?: string } {
    const { latest, since } = this;
    const now = performance.now();
    if (!latest || since.succeeded !== this.succeeded() || now - latest.ms > STALE_AFTER_MS) return { healthy: true };
    // A single setback says little: another process may have handled the message since.
    return { healthy: latest.ms - since.ms < REPORT_AFTER_MS, problem: latest.problem };
  }

  private now(): Moment {
    return { succeeded: this.succeeded(), setbacks: this.count };
  }

  private isSuspect(name: string, since: Moment, suspectBefore: boolean): boolean {
    const successes = this.succeeded() - since.succeeded;
    let others = 0;
    for (const [other, { at, suspect }] of this.failing)
      if (other !== name && !suspect && at.setbacks > since.setbacks) others++;
    return successes === 0 && others === 0 ? suspectBefore : successes > others;
  }
}
