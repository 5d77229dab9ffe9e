import { type DataSource } from 'typeorm';
import { type Incident, openIncidents } from '../operations/incident.js';
import { consumersPart, delayedOperations, leasePart, queuesPart } from './overview-parts.js';
import {
  type ConsumerOverview,
  type LatestFailure,
  type QueueOverview,
  type RelayOverview,
} from './overview-report.js';
import { quoteIdentifier } from '../postgres/schema.js';
import { inTransaction } from '../postgres/transaction.js';

/** A pause as the table has it. */
export interface StoredPause {
  readonly kind: string;
  readonly name: string;
  readonly since: Date;
  readonly actor: string;
  readonly reason: string | null;
}

/** What the tables say beside the counts of `readTables`. */
export interface StoredOverview {
  readonly at: Date;
  readonly lease: Pick<RelayOverview, 'holder' | 'leasedUntil' | 'fencingToken' | 'gaps' | 'publishedPerSecond'> & {
    readonly held: boolean;
  };
  readonly oldestDead: { readonly outbox: Date | null; readonly jobs: Readonly<Record<string, Date>> };
  readonly consumers: readonly (Pick<
    ConsumerOverview,
    'consumer' | 'inFlight' | 'inFlightSince' | 'latestFailure' | 'processedPerSecond'
  > & {
    readonly oldestDead: Date | null;
    readonly settledAt: Date | null;
    /** Parked messages whose next attempt is due, and since when the oldest of them is. */
    readonly due: number;
    readonly dueSince: Date | null;
  })[];
  readonly queues: readonly Omit<QueueOverview, 'paused'>[];
  readonly pauses: readonly StoredPause[];
  readonly incidents: readonly Incident[];
  /** What something delays, since its last step. */
  readonly operations: readonly {
    readonly id: string;
    readonly kind: string;
    readonly problem: string;
    readonly since: Date;
  }[];
}

/**
 * Reads the overview in one statement. Its cost depends on what waits, up to 100,000 rows of each kind, and not on how much was
 * processed.
 * @throws when the database is unavailable, or needs more than `boundMs`
 */
export async function readOverview(
  dataSource: DataSource,
  schemaName: string,
  { consumers, queues, boundMs }: { consumers: readonly string[]; queues: readonly string[]; boundMs: number },
): Promise<StoredOverview> {
  const s = quoteIdentifier(schemaName);
  return inTransaction(dataSource, async (tx) => {
    // As in readTables: without statistics the planner would scan and sort whole tables.
    await tx.query(
      `select set_config('statement_timeout', $1, true), set_config('enable_seqscan', 'off', true),
              set_config('enable_bitmapscan', 'off', true), set_config('jit', 'off', true)`,
      [String(boundMs)],
    );
    const [row]: { overview: Dates<StoredOverview> }[] = await tx.query(
      `with ${leasePart(s)}, ${consumersPart(s)}, ${queuesPart(s)}
       select json_build_object(
         'at', clock_timestamp(),
         'lease', (select row_to_json(lease) from lease),
         'oldestDead', json_build_object(
           -- outbox_parked_dead
           'outbox', (select dead_at from ${s}.outbox_parked where dead_at is not null order by dead_at, position limit 1),
           'jobs', (select coalesce(json_object_agg(queue, since), '{}') from dead)),
         'consumers', (select coalesce(json_agg(row_to_json(consumers)), '[]') from consumers),
         'queues', (select coalesce(json_agg(row_to_json(queues) order by queue), '[]') from queues),
         'pauses', (select coalesce(json_agg(json_build_object(
                             'kind', kind, 'name', name, 'since', paused_at, 'actor', actor, 'reason', reason)
                             order by kind, name), '[]')
                      from ${s}.messaging_pauses),
         'incidents', coalesce(${openIncidents(schemaName)}, '[]'),
         'operations', ${delayedOperations(s)}) as overview`,
      [consumers, queues],
    );
    if (!row) throw new Error(`${s}.relay_lease has no row`);
    return withDates(row.overview);
  });
}

/** JSON has times as text. */
type Dates<T> = T extends Date ? string : T extends object ? { readonly [K in keyof T]: Dates<T[K]> } : T;

function withDates({
  at,
  lease,
  oldestDead,
  consumers,
  queues,
  pauses,
  incidents,
  operations,
}: Dates<StoredOverview>): StoredOverview {
  return {
    at: new Date(at),
    lease: { ...lease, leasedUntil: dateOf(lease.leasedUntil) },
    oldestDead: {
      outbox: dateOf(oldestDead.outbox),
      jobs: Object.fromEntries(Object.entries(oldestDead.jobs).map(([queue, since]) => [queue, new Date(since)])),
    },
    consumers: consumers.map(
      ({ inFlightSince, oldestDead: dead, settledAt, dueSince, latestFailure, ...consumer }) => ({
        ...consumer,
        dueSince: dateOf(dueSince),
        latestFailure: failureOf(latestFailure),
        inFlightSince: dateOf(inFlightSince),
        oldestDead: dateOf(dead),
        settledAt: dateOf(settledAt),
      }),
    ),
    queues: queues.map(({ dueSince, latestFailure, ...queue }) => ({
      ...queue,
      dueSince: dateOf(dueSince),
      latestFailure: failureOf(latestFailure),
    })),
    pauses: pauses.map(({ since, ...pause }) => ({ ...pause, since: new Date(since) })),
    incidents,
    operations: operations.map(({ since, ...operation }) => ({ ...operation, since: new Date(since) })),
  };
}

function failureOf(failure: Dates<LatestFailure> | null): LatestFailure | null {
  return failure && { ...failure, at: dateOf(failure.at) };
}

function dateOf(text: string | null): Date | null {
  return text === null ? null : new Date(text);
}
