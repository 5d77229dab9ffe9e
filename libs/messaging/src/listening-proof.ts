import { randomUUID } from 'node:crypto';
import { Logger } from '@nestjs/common';
import { type OutboxStore } from './outbox-store.js';
import { settlesWithin } from './waiting.js';

const PROOF = 'proof ';
const PROVE_EVERY_MS = 60_000;
const HEARD_WITHIN_MS = 2000;

/**
 * Whether notices arrive. A pooler in transaction mode, or a connection that is half dead, swallows them silently; polling goes
 * on either way, so all there is to do is to say so, once.
 */
export class ListeningProof {
  private readonly logger = new Logger('Relay');
  private onHeard: ((notice: string) => void) | undefined;
  private warned = false;

  /** Now and every minute, until the function that it returns is called. */
  proveFromTimeToTime(store: OutboxStore): () => void {
    const stopped = new AbortController();
    const timer = setInterval(() => void this.prove(store, stopped.signal), PROVE_EVERY_MS).unref();
    void this.prove(store, stopped.signal);
    return () => {
      stopped.abort();
      clearInterval(timer);
    };
  }

  isProof(notice: string): boolean {
    return notice.startsWith(PROOF);
  }

  heard(notice: string): void {
    this.onHeard?.(notice);
  }

  private async prove(store: OutboxStore, stopped: AbortSignal): Promise<void> {
    const nonce = `${PROOF}${randomUUID()}`;
    const heard = new Promise<void>((resolve) => {
      this.onHeard = (notice) => notice === nonce && resolve();
    });
    try {
      await store.notifyFromElsewhere(nonce);
    } catch {
      // The database is away, and that is told elsewhere.
      return;
    }
    if ((await settlesWithin(HEARD_WITHIN_MS, heard)) || stopped.aborted || this.warned) return;
    this.warned = true;
    this.logger.warn(
      'Notifications do not arrive (a pooler in transaction mode?): what other processes commit is found by polling once a second',
    );
  }
}
