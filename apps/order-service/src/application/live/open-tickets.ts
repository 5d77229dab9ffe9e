import { Injectable } from '@nestjs/common';
import { FeedSource } from './ports.js';
import { TicketStore } from './tickets.js';

/** Covers notices that got lost or never arrive, as behind a pooler in transaction mode. */
const CHECK_MS = 2000;

interface Opened {
  readonly use: number;
  readonly end: () => void;
}

/** The streams of this process that were opened with tickets. The next use of a ticket, at any replica, ends its stream. */
@Injectable()
export class OpenTickets {
  private readonly streams = new Map<string, Opened>();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly tickets: TicketStore,
    private readonly source: FeedSource,
  ) {
    source.onTicketUsed((hash, use) => this.used(hash, use));
  }

  /** Ends the stream that was opened with the ticket, if this process has one. */
  end(hash: string): void {
    this.used(hash, Infinity);
  }

  /** Calls `end` when the ticket is used again. The function it returns must be called when the stream has ended. */
  begin(hash: string, use: number, end: () => void): () => void {
    this.used(hash, use);
    if (this.streams.has(hash)) {
      end();
      return () => undefined;
    }
    const opened = { use, end };
    this.streams.set(hash, opened);
    if (use > 1) this.source.announceTicketUsed(hash, use);
    this.timer ??= setInterval(() => void this.check(), CHECK_MS).unref();
    return () => this.forget(hash, opened);
  }

  private used(hash: string, use: number): void {
    const stream = this.streams.get(hash);
    if (!stream || stream.use >= use) return;
    this.forget(hash, stream);
    stream.end();
  }

  private forget(hash: string, opened: Opened): void {
    if (this.streams.get(hash) === opened) this.streams.delete(hash);
    if (this.streams.size > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
  }

  private async check(): Promise<void> {
    const uses = await this.tickets.usesOf([...this.streams.keys()]).catch(() => undefined);
    for (const [hash, use] of uses ?? []) this.used(hash, use);
  }
}
