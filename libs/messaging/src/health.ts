import { Injectable } from '@nestjs/common';

export interface ComponentHealth {
  readonly healthy: boolean;
  readonly [detail: string]: unknown;
}

/** Whether messaging makes progress: the relay, and each consumer by its group. A standby relay is healthy. */
@Injectable()
export class MessagingHealth {
  private readonly components = new Map<string, () => ComponentHealth>();

  register(name: string, report: () => ComponentHealth): void {
    this.components.set(name, report);
  }

  check(): { healthy: boolean; components: Record<string, ComponentHealth> } {
    const components = Object.fromEntries([...this.components].map(([name, report]) => [name, report()]));
    return { healthy: Object.values(components).every(({ healthy }) => healthy), components };
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
