import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { type PollStore } from './poll-store.js';
import { settlesWithin } from '../waiting.js';

const PROOF = 'proof ';
const PROBE_EVERY_MS = 60_000;
const ARRIVES_WITHIN_MS = 2000;

/**
 * Checks whether notifications arrive, and logs one warning if they do not. A pooler in transaction mode or a half-dead connection
 * drops them silently. Nothing else needs to be done, because polling continues either way. Logs as `Relay`; see `Poll`.
 */
export class ListeningProof {
  private readonly logger = new Logger('Relay');
  private onReceived: ((notice: string) => void) | undefined;
  private warned = false;

  /** Checks now and every minute. Returns a function that stops the checks. */
  start(store: PollStore): () => void {
    const stopped = new AbortController();
    const timer = setInterval(() => void this.probe(store, stopped.signal), PROBE_EVERY_MS).unref();
    void this.probe(store, stopped.signal);
    return () => {
      stopped.abort();
      clearInterval(timer);
    };
  }

  isProof(notice: string): boolean {
    return notice.startsWith(PROOF);
  }

  received(notice: string): void {
    this.onReceived?.(notice);
  }

  private async probe(store: PollStore, stopped: AbortSignal): Promise<void> {
    const nonce = `${PROOF}${randomUUID()}`;
    const arrived = new Promise<void>((resolve) => {
      this.onReceived = (notice) => notice === nonce && resolve();
    });
    try {
      await store.notifyFromElsewhere(nonce);
    } catch {
      // An unreachable database is reported elsewhere.
      return;
    }
    if ((await settlesWithin(ARRIVES_WITHIN_MS, arrived)) || stopped.aborted || this.warned) return;
    this.warned = true;
    this.logger.warn(
      'Notifications do not arrive (is there a pooler in transaction mode?). Commits of other processes are found by polling once a second',
    );
  }
}
