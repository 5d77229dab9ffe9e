import { Logger } from '@nestjs/common';
import { identityOf } from '../http/caller.js';
import type { EdgeRequest } from '../http/edge-request.js';
import { clientAddress } from '../http/limits/client-address.js';
import { clipped } from '../http/problem.js';

/** What a request was refused for, or that a second use of its ticket ended the stream. */
export type SecurityEvent = 'login-refused' | 'role-refused' | 'rate-limited' | 'webhook-refused' | 'ticket-used-again';

/** How often events are logged. */
const LOG_MS = 1000;
/** How many different reasons are logged at a time. */
const MAX_REASONS = 20;
/** In UTF-16 code units. With AUTH_MODE=dev a reason may quote a header. */
const MAX_REASON_LENGTH = 200;
const OTHER_REASONS = 'other reasons';

interface Seen {
  count: number;
  /** Of the first request. */
  readonly fields: Readonly<Record<string, string>>;
}

/**
 * Logs refused requests and reused tickets for those who watch for attacks: one line a second for each event and reason, with the number
 * of requests and the first of them. The number of lines therefore does not depend on the number of requests. Can be injected.
 */
export class SecurityEvents {
  private readonly logger = new Logger('Security');
  private readonly seen = new Map<string, Seen>();
  private timer: NodeJS.Timeout | undefined;

  /** Begins to log. Call it outside of any request, because the lines would otherwise belong to that request. */
  start(): void {
    this.timer = setInterval(() => this.log(), LOG_MS);
    this.timer.unref();
  }

  /** Logs what has been counted, and stops. */
  stop(): void {
    clearInterval(this.timer);
    this.log();
  }

  /** Counts an event. The reason must not contain a secret, such as a part of a token. */
  report(request: EdgeRequest, event: SecurityEvent, reason: string): void {
    const text = clipped(reason, MAX_REASON_LENGTH);
    const isShown = this.seen.has(keyOf(event, text)) || this.seen.size < MAX_REASONS;
    const shown = isShown ? text : OTHER_REASONS;
    const seen = this.seen.get(keyOf(event, shown));
    if (seen) seen.count++;
    else this.seen.set(keyOf(event, shown), { count: 1, fields: fieldsOf(request, event, shown) });
  }

  private log(): void {
    const all = [...this.seen.values()];
    this.seen.clear();
    for (const { count, fields } of all) {
      const [did, what] = fields['event'] === 'ticket-used-again' ? ['Ended', 'stream'] : ['Refused', 'request'];
      this.logger.warn(
        { ...fields, count },
        `${did} ${count === 1 ? `a ${what}` : `${count} ${what}s`}: ${fields['reason']}`,
      );
    }
  }
}

const keyOf = (event: SecurityEvent, reason: string) => `${event} ${reason}`;

function fieldsOf(request: EdgeRequest, event: SecurityEvent, reason: string): Record<string, string> {
  const identity = identityOf(request);
  return {
    event,
    reason,
    method: request.method,
    // The pattern, because a path may contain ids.
    route: request.routeOptions.url ?? 'none',
    address: clientAddress(request),
    requestId: request.id,
    ...(identity && 'caller' in identity && { userId: identity.caller.userId }),
  };
}
