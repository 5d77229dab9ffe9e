import { Injectable } from '@nestjs/common';
import { type Attention, type Tally } from './attention.js';

export interface ComponentHealth {
  readonly healthy: boolean;
  readonly [detail: string]: unknown;
}

/** Whether messaging makes progress, and what waits for a person. */
export interface MessagingReport extends Partial<Attention> {
  readonly healthy: boolean;
  readonly components: Record<string, ComponentHealth>;
}

/** Whether messaging makes progress: the relay, and each consumer by its group. A standby relay is healthy. */
@Injectable()
export class MessagingHealth {
  private readonly components = new Map<string, () => ComponentHealth>();
  private found: { readonly attention: Attention; readonly at: number } | undefined;

  register(name: string, report: () => ComponentHealth): void {
    this.components.set(name, report);
  }

  attentionFound(attention: Attention): void {
    this.found = { attention, at: performance.now() };
  }

  /** What waits for a person changes nothing of `healthy`, and is missing until a poll has looked. */
  check(): MessagingReport {
    const components = Object.fromEntries([...this.components].map(([name, report]) => [name, report()]));
    return { healthy: Object.values(components).every(({ healthy }) => healthy), components, ...this.attention() };
  }

  private attention(): Attention | undefined {
    if (!this.found) return undefined;
    const { attention, at } = this.found;
    const sinceSeconds = (performance.now() - at) / 1000;
    const now = ({ count, oldestSeconds }: Tally): Tally => ({
      count,
      oldestSeconds: count === 0 ? 0 : Math.round(oldestSeconds + sinceSeconds),
    });
    const { deadLetters, deadJobs, heldKeys } = attention;
    return { deadLetters: now(deadLetters), deadJobs: now(deadJobs), heldKeys: now(heldKeys) };
  }
}

/** How long work may lie without progress before it is reported. */
const STALL_AFTER_MS = 5000;

/** Measures since when there is work that is not done: begun and failing, or begun and not ending. */
export class Progress {
  private since: number | undefined;
  private problem: string | undefined;

  /** There is work to do. Kept from its first call until `done`, over all failures in between. */
  begun(): void {
    this.since ??= performance.now();
  }

  /** Some of it is done, and more is left. */
  advanced(): void {
    this.since = performance.now();
    this.problem = undefined;
  }

  failed(reason: string): void {
    this.begun();
    this.problem = reason;
  }

  done(): void {
    this.since = undefined;
    this.problem = undefined;
  }

  report(stallAfterMs = STALL_AFTER_MS): { healthy: boolean; withoutProgressForMs?: number; problem?: string } {
    const waited = this.since === undefined ? 0 : Math.round(performance.now() - this.since);
    return {
      healthy: waited < stallAfterMs,
      ...(waited > 0 && { withoutProgressForMs: waited }),
      ...(this.problem !== undefined && { problem: this.problem }),
    };
  }
}
