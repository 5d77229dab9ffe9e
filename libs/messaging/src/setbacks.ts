/** When something happened: how much had succeeded, and how many setbacks there had been. */
interface Moment {
  readonly succeeded: number;
  readonly setbacks: number;
}

interface Failing {
  /** Its latest setback. */
  readonly at: Moment;
  /** It failed while others succeeded. */
  readonly suspect: boolean;
}

/** An attempt in progress. */
export interface WatchedAttempt {
  readonly name: string;
  readonly began: Moment;
  readonly wasSuspect: boolean;
}

/** More that keep failing are a broken environment; those that failed longest ago are forgotten. */
const MAX_FAILING = 1000;
/** Setbacks may go on for so long, with nothing succeeding between them, before health reports them. */
const REPORT_AFTER_MS = 5000;
/** So long after the last setback it is still reported. */
const STALE_AFTER_MS = 120_000;
const LOG_EVERY_MS = 10_000;

/**
 * Tells a message (or job) that fails for reasons of its own from an environment in which all of them fail (P5): an error such as
 * a statement timeout may be either's fault. What this process has seen of the same consumer since the last setback decides: if
 * more messages succeeded than failed with setbacks, the fault is taken for the message's own. Where nothing else happened, what
 * was found before still holds. The first setback never counts, nor does one in whose attempt the environment recovered or broke:
 * both the begin and the end of the attempt have to speak against the message.
 */
export class Setbacks {
  /** In the order of their latest setbacks. */
  private readonly failing = new Map<string, Failing>();
  private count = 0;
  private since = { ms: 0, succeeded: -1 };
  private latest: { readonly ms: number; readonly problem: string } | undefined;
  private loggedAt = -Infinity;
  private logged = 0;

  /**
   * @param succeeded how many have succeeded since the process started
   * @param warn logs a line, at most one every 10 s
   */
  constructor(
    private readonly succeeded: () => number,
    private readonly warn: (line: string) => void,
  ) {}

  /** All setbacks since the process started. */
  get total(): number {
    return this.count;
  }

  begun(name: string): WatchedAttempt {
    const began = this.now();
    const failing = this.failing.get(name);
    return { name, began, wasSuspect: failing !== undefined && this.isSuspect(name, failing.at, failing.suspect) };
  }

  /** The attempt ended with a setback that may be its own doing. Tells whether it counts as a failed attempt. */
  counts({ name, began, wasSuspect }: WatchedAttempt, problem: string): boolean {
    const before = this.failing.get(name);
    const suspect = this.isSuspect(name, before?.at ?? began, before?.suspect ?? false);
    this.met(problem);
    this.failing.delete(name);
    this.failing.set(name, { at: this.now(), suspect });
    const [oldest] = this.failing.keys();
    if (this.failing.size > MAX_FAILING && oldest !== undefined) this.failing.delete(oldest);
    return suspect && wasSuspect;
  }

  /** There was a setback that says nothing against whoever met it. */
  met(problem: string): void {
    this.count++;
    const ms = performance.now();
    const stood = this.latest && ms - this.latest.ms < STALE_AFTER_MS && this.since.succeeded === this.succeeded();
    if (!stood) this.since = { ms, succeeded: this.succeeded() };
    this.latest = { ms, problem };
    if (ms - this.loggedAt < LOG_EVERY_MS) return;
    const more = this.count - this.logged;
    this.warn(`${more} ${more === 1 ? 'setback' : 'setbacks'} caused by the environment; the latest: ${problem}`);
    this.loggedAt = ms;
    this.logged = this.count;
  }

  /** It is handled, or dead. */
  ended(name: string): void {
    if (this.failing.size > 0) this.failing.delete(name);
  }

  /** Unhealthy while setbacks are all that happens. */
  report(): { healthy: boolean; problem?: string } {
    const { latest, since } = this;
    const now = performance.now();
    if (!latest || since.succeeded !== this.succeeded() || now - latest.ms > STALE_AFTER_MS) return { healthy: true };
    // A single one says little: another process may have handled what met it.
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
