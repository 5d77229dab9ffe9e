import { type Cursor } from '../log/cursor.js';
import { cursorOf, recorded } from '../log/lease-progress.js';
import { LogSql } from '../log/log-sql.js';
import { type InboxOptions } from '../messaging-options.js';
import { type Attention, attention } from '../operations/attention.js';
import { type Incident } from '../operations/incident.js';
import { pauseOf, type PauseJson } from '../operations/pause-store.js';
import { Connection } from '../postgres/connection.js';
import { type DueSince } from '../postgres/due-range.js';
import { channelOf, type OutboxNotice } from '../postgres/notices.js';
import { quoteIdentifier } from '../postgres/schema.js';
import { type Secret } from '../secret.js';
import { type KnownLease, type LeaseAnswer, type LeaseStore, type Unpublished } from './lease.js';
import { pollStatement, releaseStatement } from './poll-statement.js';

/** How often a process checks what needs an operator's attention. Less often than it polls, because the cost grows with the dead rows. */
const ATTENTION_EVERY_MS = 5000;

export interface PollOptions {
  readonly databaseUrl: Secret;
  readonly schema: string;
  /** The service's name, which pg_stat_activity shows. */
  readonly service: string;
  /** The queues whose jobs the poll looks for. */
  readonly queues?: readonly string[];
  /** Where the search for due work starts. Every poll advances it. */
  readonly dueSince?: DueSince;
  /** The consumers of the process, which say whether their dead letters hold keys. */
  readonly consumes?: readonly Pick<InboxOptions, 'groupId' | 'afterDeadLetter'>[];
  readonly afterDeadLetter?: 'hold-key' | 'go-on';
}

/** The poll's result. Some fields are null if another process holds the lease. */
interface PolledRow {
  readonly token: string | null;
  readonly position: string | null;
  /** Also null if the row is as the holder knows it, because there may be many gaps. */
  readonly gaps: string | null;
  readonly ahead: Parameters<typeof cursorOf>[2];
  readonly kept: boolean | null;
  /** Whether the row records what was sent; meaningful only if `kept` is true. */
  readonly sent: boolean | null;
  readonly origin: string | null;
  readonly location: string;
  readonly currentOrigin: string;
  readonly lastPosition: string | null;
  readonly lastReadable: boolean;
  readonly rowsBeyond: boolean;
  readonly clock: string;
  readonly pending: boolean;
  /** The due time of the first parked message that is due. */
  readonly parked: string | null;
  readonly anyParked: boolean;
  /** The due time of the first due job, by queue. */
  readonly jobs: Record<string, string> | null;
  readonly late: string;
  /** See `latestReleaseId` of the audit trail. */
  readonly lastAction: string | null;
  readonly incidents: readonly Incident[] | null;
  readonly operations: boolean;
  readonly pauses: readonly PauseJson[] | null;
  readonly unpublished: Unpublished | null;
  /** Null unless this poll has checked it. */
  readonly attention: Attention | null;
}

/**
 * The poll's SQL, on a dedicated connection. A busy pool cannot delay publishing, and notifications arrive on the connection that
 * every poll proves alive. Not reusable after an error.
 */
export class PollStore implements LeaseStore {
  private readonly channel: string;
  private readonly dueSince: DueSince;
  private checkAttentionAt = 0;

  private constructor(
    /** The leader publishes on the same connection, so that it loses the lease and the connection together. */
    readonly connection: Connection,
    readonly log: LogSql,
    private readonly options: PollOptions,
  ) {
    this.channel = channelOf(options.schema);
    this.dueSince = options.dueSince ?? { parked: null, jobs: {} };
  }

  /** Connects and listens for notifications. `onLost` is called once if the connection breaks. */
  static async connect(
    options: PollOptions,
    onNotice: (notice: string) => void,
    onLost: (error: Error) => void,
  ): Promise<PollStore> {
    const { databaseUrl, schema, service } = options;
    const connection = await Connection.connect({ databaseUrl, name: `${service} relay` }, onNotice, onLost);
    try {
      await connection.query(`listen ${quoteIdentifier(channelOf(schema))}`);
      return new PollStore(connection, await LogSql.find(connection, schema), options);
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  async holdLease(
    holder: string | undefined,
    leaseMs: number,
    progress?: Cursor,
    known?: KnownLease,
  ): Promise<LeaseAnswer> {
    const { schema, queues = [] } = this.options;
    const since = this.dueSince;
    const needed = this.attentionIfDue();
    const written =
      progress && isRecorded(progress, known)
        ? { position: progress.position, gaps: undefined, ahead: null }
        : progress && recorded(progress);
    const sentAt = Date.now();
    const { rows } = await this.connection.query<PolledRow>(pollStatement(schema, this.log, needed.sql), [
      holder,
      leaseMs,
      written?.position,
      written?.gaps,
      queues,
      known?.log.location,
      known?.token,
      known?.position,
      since.parked,
      queues.map((queue) => since.jobs[queue] ?? null),
      progress?.position,
      written?.ahead,
      ...needed.values,
    ]);
    const [row] = rows;
    if (!row) throw new Error('PostgreSQL returned no row for the poll');
    this.log.canReadSequence = row.lastReadable;
    since.parked = row.parked ?? row.late;
    for (const queue of queues) since.jobs[queue] = row.jobs?.[queue] ?? row.late;
    return answerOf(row, beyondRoundTrip(Number(row.clock), sentAt, Date.now()), progress, known);
  }

  /** Returns the column of the poll's statement for what needs an operator's attention; null unless it is time to check. */
  private attentionIfDue(): { readonly sql: string; readonly values: readonly unknown[] } {
    const { schema, consumes = [], afterDeadLetter } = this.options;
    if (performance.now() < this.checkAttentionAt) return { sql: 'null::json', values: [] };
    this.checkAttentionAt = performance.now() + ATTENTION_EVERY_MS;
    const notHolding = consumes
      .filter((consumer) => consumer.afterDeadLetter === 'go-on')
      .map(({ groupId }) => groupId);
    return { sql: attention(schema, { holds: afterDeadLetter !== 'go-on', goOn: '$13' }), values: [notHolding] };
  }

  async releaseLease(holder: string, progress?: Cursor, known?: KnownLease): Promise<void> {
    const written = progress && recorded(progress, Infinity);
    const { rowCount } = await this.connection.query(releaseStatement(this.options.schema, this.log), [
      holder,
      written?.position,
      written?.gaps,
      known?.log.location,
      known?.token,
      known?.position,
      progress?.position,
      written?.ahead,
    ]);
    if (rowCount) await this.notify('lease-released');
  }

  /** Notifies the relays of all processes. Sent outside of transactions, because inside one it would serialise all commits. */
  async notify(notice: OutboxNotice): Promise<void> {
    // A notification commits like a write, but need not survive a crash, so it does not wait for the disk.
    await this.connection.query(`select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)`, [
      this.channel,
      notice,
    ]);
  }

  /**
   * Sends a notification to this connection from another one. A pooler or a half-dead connection silently drops notifications,
   * but delivers those that a connection sends to itself.
   */
  async notifyFromElsewhere(notice: string): Promise<void> {
    await this.connection.queryElsewhere('select pg_notify($1, $2)', [this.channel, notice]);
  }

  /** Never throws, and never waits for a server that does not answer. */
  async close(): Promise<void> {
    await this.connection.close();
  }
}

function answerOf(row: PolledRow, clockAheadMs: number, progress?: Cursor, known?: KnownLease): LeaseAnswer {
  const { location, currentOrigin, lastPosition, rowsBeyond } = row;
  const answer = {
    due: {
      parked: row.parked !== null,
      anyParked: row.anyParked,
      jobs: row.jobs !== null,
      latestReleaseId: row.lastAction ?? undefined,
      incidents: row.incidents ?? [],
      operations: row.operations,
      attention: row.attention ?? undefined,
      pauses: (row.pauses ?? []).map(pauseOf),
    },
    unpublished: row.unpublished ?? undefined,
    log: {
      location,
      origin: currentOrigin,
      lastPosition: lastPosition === null ? undefined : Number(lastPosition),
      rowsBeyond,
    },
    clockAheadMs,
  };
  if (row.token === null) return { ...answer, token: undefined, pending: false };
  const position = Number(row.position);
  const asSent = row.kept && row.sent ? progress : undefined;
  const asKnown = row.kept ? known?.progress : undefined;
  const found = asSent ?? asKnown ?? cursorOf(position, row.gaps ?? '{}', row.ahead);
  return { ...answer, token: row.token, pending: row.pending, progress: found, position, origin: row.origin };
}

/** Returns how far a clock read during the round trip is ahead of ours, or 0 if the round trip explains the difference. */
function beyondRoundTrip(theirs: number, sentAt: number, answeredAt: number): number {
  if (theirs > answeredAt) return theirs - answeredAt;
  return Math.min(0, theirs - sentAt);
}

/** Whether the row already has these gaps, which may be many and need not be sent again. */
function isRecorded({ gaps, waiting }: Cursor, known: KnownLease | undefined): boolean {
  return waiting.size === 0 && known?.progress.waiting.size === 0 && gaps === known.progress.gaps;
}
