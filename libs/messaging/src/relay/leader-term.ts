import { type Logger } from '@nestjs/common';
import { Cursor } from '../log/cursor.js';
import { GapWatch } from '../log/gap-watch.js';
import { type LogPart } from '../log/log-sql.js';
import { type OutboxRow } from '../message/message.js';
import { type MessagingOptions } from '../messaging-options.js';
import { type WorkClock } from '../operations/health.js';
import { type Lease } from '../poll/lease.js';
import { type OldGaps } from './old-gaps.js';
import { OldMessages } from './old-messages.js';
import { type OutboxParkedStore } from './outbox-parked-store.js';
import { ParkedKeys } from './parked-keys.js';
import { type Publisher, type PublishingTerm } from './publisher.js';
import { type RelayStore, WriterEnded } from './relay-store.js';
import { ReleasedKeys } from './released-keys.js';
import { Routes } from './routes.js';
import { TermOver } from './sender.js';

/** The most that one read loads into memory. Two batches are in memory at a time, since one is read while the other is sent. */
export const READ_ROWS = 500;
export const READ_BYTES = 4 * 1024 * 1024;
/** Progress is recorded with every renewal and after this many messages. A killed relay's successor resends no more than these. */
const RECORD_EVERY = 5000;
/** After a delivery that took longer, the relay expects a backlog. */
const BACKLOG_AFTER_MS = 1000;
const SETTLE_EVERY_MS = 1000;
const SETTLE_BUSY_MS = 50;

/** What the leader works with on one connection. */
export interface LeaderTools {
  readonly options: MessagingOptions;
  readonly lease: Lease;
  readonly store: RelayStore;
  readonly parkedStore: OutboxParkedStore;
  readonly publisher: Publisher;
  readonly oldGaps: OldGaps;
  readonly clock: WorkClock;
  readonly stopping: AbortSignal;
  /** Whether an operator has paused the relay. */
  readonly isPaused: () => boolean;
  readonly logger: Logger;
}

/** How {@link LeaderTerm.drain} ended. */
interface Drained {
  /** Whether there may be more to read right away. */
  readonly more: boolean;
  /** Whether every gap was read that had to be, and everything found in gaps was sent. */
  readonly sawGaps: boolean;
}

/**
 * The leader's state during one term, and its work on the log. Everything that is published in the term goes through it, so it
 * alone advances what is published, by assigning `lease.published`. The next renewal of the lease records that in the database.
 */
export class LeaderTerm implements PublishingTerm {
  /** The value of {@link Lease.termNumber} during this term. */
  readonly number: number;
  /** Where the log is that the term's cursor belongs to; see `LogState.location`. */
  readonly location: string | undefined;
  readonly lease: Lease;
  readonly store: RelayStore;
  readonly parkedStore: OutboxParkedStore;
  readonly parked = new ParkedKeys();
  readonly released = new ReleasedKeys();
  readonly routes: Routes;
  /** Whether parked messages may have been released since they were last searched for released ones. */
  parkedChanged = true;
  private oldMessages: OldMessages;
  private readonly watch = new GapWatch();
  /** Whether the last read reached the end of the outbox. */
  private caughtUp = false;
  private settleAt = 0;
  /** Messages published since progress was last recorded ahead of time. */
  private unrecorded = 0;

  constructor(private readonly tools: LeaderTools) {
    const { lease, store, parkedStore, publisher, logger, options } = tools;
    this.lease = lease;
    this.store = store;
    this.parkedStore = parkedStore;
    this.number = lease.termNumber;
    this.location = lease.log?.location;
    this.routes = new Routes(publisher.topics, logger, lease.published?.waiting);
    this.oldMessages = new OldMessages(options.outboxRetentionMs);
  }

  /** Whether this process still leads in this term. Costs no query. */
  leads(): boolean {
    return this.lease.fencingToken !== undefined && this.lease.termNumber === this.number;
  }

  /** Whether messages may be sent now. Costs no query, so it is checked before every send. */
  readonly mayPublish = (): boolean => this.leads() && !this.tools.stopping.aborted;

  /** Whether more may be published after the batch in flight. A pause lets that batch finish. */
  readonly mayGoOn = (): boolean => this.mayPublish() && !this.tools.isPaused();

  /** How far the log is published. */
  get cursor(): Cursor {
    return this.lease.published ?? Cursor.START;
  }

  /** Whether the leader has work besides new messages: gaps to watch, blocked or released messages, or old rows to remove. */
  get hasWork(): boolean {
    const { published } = this.lease;
    const gaps = published ? published.gaps.length : 0;
    const waiting = published ? published.waiting.size > 0 : false;
    return gaps > 0 || this.oldMessages.areDue(published) || waiting || this.hasReleased;
  }

  /** Whether released messages can be published now. */
  get hasReleased(): boolean {
    return this.released.next(this.routes) !== undefined;
  }

  /** Observes the writers that may still fill the gaps, if it is time to. Then drain, and call {@link settleGaps}. */
  async observeGaps(): Promise<boolean> {
    const { cursor, watch, store } = this;
    if (!this.shouldSettle(cursor)) return false;
    this.settleAt = performance.now() + SETTLE_EVERY_MS;
    watch.observe(cursor, await store.openWriters());
    await this.tools.oldGaps.update(cursor, watch, store);
    return true;
  }

  /** Gives up the gaps that can no longer be filled. Call it after a drain that began after {@link observeGaps} and saw all gaps. */
  async settleGaps(): Promise<void> {
    if (!this.leads()) return;
    const settled = this.watch.settled(this.cursor);
    // Renew first, because only a poll after the read proves that the read saw this log.
    if (settled !== this.lease.published) await this.lease.renew();
    if (this.leads()) this.lease.published = settled;
  }

  /** Reads and sends batches, reading the next one while one is sent. Stops early when gaps must be observed again. */
  async drain(part: LogPart = this.lease.log?.rowsBeyond ? 'drawn' : 'all'): Promise<Drained> {
    let from = this.cursor;
    let reading: Promise<OutboxRow[]> | undefined = this.read(from, part);
    let sawGaps = false;
    for (;;) {
      const rows: OutboxRow[] | undefined = await reading.catch(unlessWriterEnded);
      if (!rows) {
        // A writer may have filled a gap that was not read. Observe the writers again, so that the next read covers it.
        this.settleAt = 0;
        return { more: true, sawGaps: false };
      }
      const full = isFull(rows);
      this.caughtUp = !full;
      // Rows in gaps sort first, so a row beyond the cursor shows that all gaps were read.
      sawGaps ||= !full || Number(rows.at(-1)?.position) > from.position;
      if (rows.length === 0) return { more: false, sawGaps };
      // A message that was found but not sent is still a gap. If the gap were settled, nothing would read it again.
      if (!this.mayGoOn()) return { more: true, sawGaps: false };

      this.tools.clock.begun();
      const after = from.after(rows.map(({ position }) => Number(position)));
      const interrupted = this.hasOtherWork() || this.shouldSettle(after);
      reading = full && !interrupted ? this.read(after, part) : undefined;
      // It is awaited above. A failure before that must not count as an unhandled rejection.
      reading?.catch(() => undefined);
      if (!(await this.publishAndAdvance(rows, after))) return { more: false, sawGaps: false };
      if (!reading) return { more: full, sawGaps };
      from = this.cursor;
    }
  }

  /** Counts published messages, and renews the lease early when there are many, because a renewal records progress. */
  recordSoon(messages: number): void {
    this.unrecorded += messages;
    if (this.unrecorded < RECORD_EVERY) return;
    this.unrecorded = 0;
    void this.lease.renew();
  }

  /** Adds the waiting messages to the progress to record. @throws TermOver if another leader has taken over */
  updateWaiting(cursor: Cursor): void {
    if (!this.leads()) throw new TermOver();
    this.lease.published = cursor.withWaiting(this.routes.waiting);
  }

  /** Starts the removal of old messages over. It has skipped the messages of a type that was blocked. */
  lookForOldMessagesAgain(): void {
    this.oldMessages = new OldMessages(this.tools.options.outboxRetentionMs);
  }

  /** Removes a chunk of old messages if it is time to. Returns true while there may be more. */
  async removeOldMessages(): Promise<boolean> {
    const { lease, store, oldMessages } = this;
    if (!oldMessages.areDue(lease.published) || !this.mayPublish()) return false;
    return oldMessages.remove(store, lease, this.mayPublish);
  }

  private read(after: Cursor, part: LogPart): Promise<OutboxRow[]> {
    const options = { location: this.location, part, ...this.watch.look(after) };
    return this.store.read(after, READ_ROWS, READ_BYTES, this.caughtUp, options);
  }

  /** Publishes rows, and advances to the cursor after them. Returns whether this process still leads. */
  private async publishAndAdvance(rows: readonly OutboxRow[], after: Cursor): Promise<boolean> {
    const sentAt = performance.now();
    await this.tools.publisher.deliver(rows, this);
    // A backlog has grown while Kafka was unavailable.
    if (performance.now() - sentAt > BACKLOG_AFTER_MS) this.caughtUp = false;
    // Messages acknowledged while stopping count too, so that a successor need not send them again.
    if (!this.leads()) return false;
    // The next renewal of the lease records it.
    this.lease.published = after.withWaiting(this.routes.waiting);
    this.recordSoon(rows.length);
    return true;
  }

  /** Whether released or blocked messages are to be published before more is read. */
  private hasOtherWork(): boolean {
    return this.parkedChanged || this.hasReleased || this.routes.someDue();
  }

  /** Whether it is time to query which writers may still fill the gaps. This is sooner if reads cover many gaps until then. */
  private shouldSettle(cursor: Cursor): boolean {
    const now = performance.now();
    if (cursor.gaps.length === 0) return false;
    const busyAt = this.settleAt - SETTLE_EVERY_MS + SETTLE_BUSY_MS;
    return now >= this.settleAt || (now >= busyAt && this.watch.isBusy(cursor));
  }
}

function unlessWriterEnded(error: unknown): undefined {
  if (!(error instanceof WriterEnded)) throw error;
}

/** Whether there may be more rows than were read. */
function isFull(rows: readonly OutboxRow[]): boolean {
  return rows.length === READ_ROWS || Number(rows.at(-1)?.rest ?? 0) > 0;
}
