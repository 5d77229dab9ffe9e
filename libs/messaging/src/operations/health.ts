import { Injectable } from '@nestjs/common';
import { describeError, isRefused } from '../errors.js';
import { type Attention, type Tally } from './attention.js';

/** The health of one component, with any details that it reports. */
export interface ComponentHealth {
  readonly healthy: boolean;
  readonly [detail: string]: unknown;
}

/** Whether messaging makes progress, and what needs an operator's attention. */
export interface MessagingReport extends Partial<Attention> {
  readonly healthy: boolean;
  readonly components: Record<string, ComponentHealth>;
}

/**
 * Reports whether messaging makes progress: the relay, the jobs, each consumer under its group, and whatever the service registers
 * itself. A standby relay is healthy.
 */
@Injectable()
export class MessagingHealth {
  private readonly components = new Map<string, () => ComponentHealth>();
  private latest: { readonly attention: Attention; readonly at: number } | undefined;

  /** Adds a component to the report, or replaces the one of that name. Every `check` calls `report`, which must not throw. */
  register(name: string, report: () => ComponentHealth): void {
    this.components.set(name, report);
  }

  /**
   * Records what the latest poll found that needs an operator's attention.
   * @internal
   */
  attentionFound(attention: Attention): void {
    this.latest = { attention, at: performance.now() };
  }

  /**
   * Returns the current report. It is healthy if every component is. What needs an operator's attention does not affect `healthy`, and
   * is missing until a poll has read it.
   */
  check(): MessagingReport {
    const components = Object.fromEntries([...this.components].map(([name, report]) => [name, report()]));
    return { healthy: Object.values(components).every(({ healthy }) => healthy), components, ...this.attention() };
  }

  private attention(): Attention | undefined {
    if (!this.latest) return undefined;
    const { attention, at } = this.latest;
    const sinceSeconds = (performance.now() - at) / 1000;
    const upToDate = ({ count, oldestSeconds }: Tally): Tally => ({
      count,
      oldestSeconds: count === 0 ? 0 : Math.round(oldestSeconds + sinceSeconds),
    });
    const { deadLetters, deadJobs, heldKeys } = attention;
    return { deadLetters: upToDate(deadLetters), deadJobs: upToDate(deadJobs), heldKeys: upToDate(heldKeys) };
  }
}

/** How long work may make no progress before it is reported as unhealthy. */
const STALL_AFTER_MS = 5000;

/** Measures how long some work has made no progress, because it keeps failing or does not end. A refusal by Kafka does not end by itself. */
export class WorkClock {
  private since: number | undefined;
  private problem: string | undefined;
  private refused = false;

  /** Starts the clock, unless it runs already. Failures do not restart it; only `advanced` and `done` do. */
  begun(): void {
    this.since ??= performance.now();
  }

  /** Restarts the clock: part of the work is done, and more is left. */
  advanced(): void {
    this.since = performance.now();
    this.clear();
  }

  failed(error: unknown): void {
    this.begun();
    this.problem = describeError(error);
    this.refused = isRefused(error);
  }

  done(): void {
    this.since = undefined;
    this.clear();
  }

  private clear(): void {
    this.problem = undefined;
    this.refused = false;
  }

  report(stallAfterMs = STALL_AFTER_MS): { healthy: boolean; withoutProgressForMs?: number; problem?: string } {
    const waited = this.since === undefined ? 0 : Math.round(performance.now() - this.since);
    return {
      healthy: waited < stallAfterMs && !this.refused,
      ...(waited > 0 && { withoutProgressForMs: waited }),
      ...(this.problem !== undefined && { problem: this.problem }),
    };
  }
}
