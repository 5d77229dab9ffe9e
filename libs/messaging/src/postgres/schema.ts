import { administrationOfVersion5, administrationOfVersion6, leastAuditRetention } from './administration.js';
import { leastRetention, type LeastRetention, removalOfVersion4 } from './removal.js';

/** The version of the tables below. Every change is a step of its own and raises it. */
export const SCHEMA_VERSION = 6;

/** Which steps {@link messagingTables} returns. */
export interface MessagingTablesOptions {
  /** The version that the tables have. Default: 0, which means that there are none. */
  readonly from?: number;
  /** The version that they will have. Default: the latest. */
  readonly to?: number;
  readonly retention?: LeastRetention;
}

/**
 * Returns the statements that migrate one schema's outbox, relay and inbox tables from one version to another, for the service's
 * migrations. A new service runs all of them; an existing one runs the steps from its version in a migration of its own.
 *
 * The statements belong in one transaction, with one exception: the step from 5 to 6 builds indexes of tables that may be large. Returned
 * alone (`{ from: 5, to: 6 }`), it builds them concurrently, which blocks no writer and must run outside of a transaction; it may
 * be repeated after an interruption. Together with other steps, it blocks writers while it builds them.
 *
 * The service's role needs select and insert on `outbox`, `inbox` and `messaging_audit`; select, insert and update on
 * `messaging_incidents`; select, insert, update and delete on the other tables; select on their sequences; and execute on the
 * functions. It owns none of them. The functions remove rows of `outbox`, `inbox` and `messaging_audit` that are older than `retention`.
 * @throws RangeError for an invalid retention
 */
export function messagingTables(schema: string, options: MessagingTablesOptions = {}): readonly string[] {
  const { from = 0, to = SCHEMA_VERSION, retention = {} } = options;
  const steps = STEPS.slice(from, to);
  return steps.flatMap((step) => step(quoteIdentifier(schema), retention, steps.length === 1));
}

/**
 * Returns the statements that change the least retention of tables of version 5, for a migration.
 * @throws RangeError for an invalid retention
 */
export function messagingRetention(schema: string, retention: LeastRetention): readonly string[] {
  const s = quoteIdentifier(schema);
  return [leastRetention(s, retention), leastAuditRetention(s, retention.auditMs)];
}

const STEPS: readonly ((schema: string, retention: LeastRetention, isAlone: boolean) => readonly string[])[] = [
  (s) => [
    // The column names are the defaults of Debezium's Outbox Event Router. `payload` is text, so that it is published exactly as
    // written, byte for byte. The only index is the primary key, along which the relay reads.
    `create table ${s}.outbox (
      position bigint generated always as identity primary key,
      id uuid not null,
      aggregatetype varchar(255) not null,
      aggregateid varchar(255) not null,
      type varchar(255) not null,
      dataschema varchar(255) not null,
      sequence bigint not null,
      payload text not null,
      created_at timestamptz not null default clock_timestamp()
    )`,
    // One row. Until expires_at, its holder is the relay that publishes.
    `create table ${s}.relay_lease (
      singleton boolean primary key default true check (singleton),
      holder uuid,
      token bigint not null default 0,
      expires_at timestamptz not null default '-infinity'
    )`,
    `insert into ${s}.relay_lease default values`,
    `create table ${s}.inbox (
      consumer varchar(255) not null,
      message_id varchar(255) not null,
      received_at timestamptz not null default clock_timestamp(),
      primary key (consumer, message_id)
    )`,
    inboxDeadLetters(s),
  ],
  (s) => [...outboxOfVersion2(s), ...inboxOfVersion2(s), ...auditAndJobsOfVersion2(s)],
  (s) => [
    // `origin` identifies the log and the sequence that `position` belongs to, because after a truncate or a restart of the
    // sequence the recorded position is meaningless. `ahead` is set while an aggregate type is blocked. It says how far the relay
    // has published the other types beyond `position`, which stays before the first waiting message. A relay of the previous
    // version ignores it and publishes those messages again.
    `alter table ${s}.relay_lease add column origin text, add column ahead jsonb`,
    // Incidents for operators to acknowledge, with one open row for each kind and subject.
    `create table ${s}.messaging_incidents (
      id bigint generated always as identity primary key,
      kind varchar(50) not null,
      subject varchar(600) not null,
      problem text not null,
      detail jsonb not null,
      occurrences integer not null default 1,
      first_at timestamptz not null default clock_timestamp(),
      last_at timestamptz not null default clock_timestamp(),
      acknowledged_at timestamptz
    )`,
    `create unique index messaging_incidents_open on ${s}.messaging_incidents (kind, subject) where acknowledged_at is null`,
    // How far this database has settled a consumer's partitions. Kafka's committed offsets do not go back when the database does.
    `create table ${s}.inbox_offsets (
      consumer varchar(255) not null,
      topic varchar(255) not null,
      partition integer not null,
      next_offset bigint not null,
      updated_at timestamptz not null default clock_timestamp(),
      primary key (consumer, topic, partition)
    )`,
    // A recreated topic reuses its offsets, so an offset does not identify a message. Messages with an id are unique through the
    // inbox; those without, by partition, offset and timestamp. The order within a key is the order of arrival.
    `alter table ${s}.inbox_parked
       drop constraint inbox_parked_consumer_topic_partition_offset_key,
       add column setbacks integer not null default 0`,
    `create unique index inbox_parked_unreadable on ${s}.inbox_parked (consumer, topic, partition, "offset", recorded_at)
       where not holds_key`,
    `create index inbox_parked_place on ${s}.inbox_parked (consumer, topic, partition, "offset")`,
    `create index inbox_parked_arrival on ${s}.inbox_parked (consumer, key, id) where holds_key`,
    `drop index ${s}.inbox_parked_key`,
    // A mark covers the records between both offsets and between both timestamps. Marks of the previous version have no
    // timestamps and cover any record at their offsets.
    `alter table ${s}.inbox_in_flight add column recorded_from timestamptz, add column recorded_to timestamptz`,
    // A BRIN index becomes useless once pruning frees space in old pages and new rows fill it.
    `create index inbox_age on ${s}.inbox (consumer, received_at)`,
    `drop index ${s}.inbox_received_at`,
    // Failures caused by the environment. They lengthen the wait and do not count as attempts.
    `alter table ${s}.jobs add column setbacks integer not null default 0`,
    // Finds leases and waits that became too long when the clock was set back, among any number of scheduled jobs.
    `create index jobs_begun on ${s}.jobs (queue, run_at)
       where dead_at is null and (lease is not null or attempts > 0 or setbacks > 0)`,
  ],
  removalOfVersion4,
  (s, { auditMs }) => administrationOfVersion5(s, auditMs),
  (s, _, isAlone) => administrationOfVersion6(s, isAlone),
];

function outboxOfVersion2(s: string): readonly string[] {
  return [
    // Everything up to `position` is published except for the gaps, which are positions that were drawn but not yet committed when
    // the relay read past them. Rows committed before this version are above position 0.
    `alter table ${s}.relay_lease
       add column position bigint not null default 0,
       add column gaps int8multirange not null default '{}'`,
    // Messages that must not be published now: dead letters that Kafka rejected, and the messages behind them in their keys.
    `create table ${s}.outbox_parked (
      position bigint primary key,
      id uuid not null,
      aggregatetype varchar(255) not null,
      aggregateid varchar(255) not null,
      type varchar(255) not null,
      dataschema varchar(255) not null,
      sequence bigint not null,
      payload text not null,
      created_at timestamptz not null,
      error text,
      dead_at timestamptz
    )`,
    `create index outbox_parked_dead on ${s}.outbox_parked (dead_at, position) where dead_at is not null`,
    `create index outbox_parked_key on ${s}.outbox_parked (aggregatetype, aggregateid, position)`,
  ];
}

function inboxOfVersion2(s: string): readonly string[] {
  return [
    // An id is unique only within its source (CloudEvents 1.0, "id"). UUIDv7 ids come first, so new rows go to one end of the index.
    `alter table ${s}.inbox add column source varchar(255) not null default '', drop constraint inbox_pkey`,
    `alter table ${s}.inbox alter column source drop default, add constraint inbox_pkey primary key (consumer, message_id, source)`,
    // Finds expired rows, and costs the writer next to nothing.
    `create index inbox_received_at on ${s}.inbox using brin (received_at) with (pages_per_range = 32, autosummarize = on)`,
    `create table ${s}.inbox_parked (
      id bigint generated always as identity primary key,
      consumer varchar(255) not null,
      topic varchar(255) not null,
      partition integer not null,
      "offset" bigint not null,
      recorded_at timestamptz not null,
      source varchar(255),
      message_id varchar(255),
      type varchar(255),
      key bytea,
      headers jsonb not null,
      value bytea,
      holds_key boolean not null,
      attempts integer not null default 0,
      next_attempt_at timestamptz,
      error text,
      parked_at timestamptz not null default clock_timestamp(),
      dead_at timestamptz,
      unique (consumer, topic, partition, "offset")
    )`,
    `create index inbox_parked_key on ${s}.inbox_parked (consumer, key, "offset") where holds_key`,
    `create index inbox_parked_dead on ${s}.inbox_parked (dead_at, id) where dead_at is not null`,
    `create index inbox_parked_due on ${s}.inbox_parked (next_attempt_at) where next_attempt_at is not null`,
    `insert into ${s}.inbox_parked
       (consumer, topic, partition, "offset", recorded_at, message_id, type, key, headers, value, holds_key, error, dead_at)
     select consumer, topic, partition, "offset", dead_at, message_id, type, key, headers, value, false, error, dead_at
       from ${s}.inbox_dead_letters`,
    `drop table ${s}.inbox_dead_letters`,
    // The messages in flight in a process. If the next process finds them, they show what the process died of.
    `create table ${s}.inbox_in_flight (
      id uuid primary key,
      consumer varchar(255) not null,
      topic varchar(255) not null,
      partition integer not null,
      first_offset bigint not null,
      last_offset bigint not null,
      deaths integer not null default 0,
      started_at timestamptz not null default clock_timestamp()
    )`,
    `create index inbox_in_flight_partition on ${s}.inbox_in_flight (consumer, topic, partition)`,
  ];
}

function auditAndJobsOfVersion2(s: string): readonly string[] {
  return [
    // Which operator retried or discarded which dead letter.
    `create table ${s}.messaging_audit (
      id bigint generated always as identity primary key,
      at timestamptz not null default clock_timestamp(),
      actor varchar(255) not null,
      action varchar(20) not null,
      box varchar(20) not null,
      letter jsonb not null,
      reason text
    )`,
    // Calls to other systems, made outside of any transaction and retried until they succeed. While `lease` is set, `run_at` is
    // the end of the lease.
    `create table ${s}.jobs (
      id uuid primary key,
      queue varchar(255) not null,
      data jsonb not null,
      run_at timestamptz not null,
      attempts integer not null default 0,
      lease uuid,
      error text,
      created_at timestamptz not null default clock_timestamp(),
      dead_at timestamptz
    )`,
    `create index jobs_due on ${s}.jobs (queue, run_at) where dead_at is null`,
    `create index jobs_dead on ${s}.jobs (id) where dead_at is not null`,
  ];
}

/** The dead letters of the inbox in version 1. The way down to it needs the table too. */
export function inboxDeadLetters(s: string): string {
  return `create table ${s}.inbox_dead_letters (
      consumer varchar(255) not null,
      topic varchar(255) not null,
      partition integer not null,
      "offset" bigint not null,
      message_id varchar(255),
      type varchar(255),
      key bytea,
      headers jsonb not null,
      value bytea,
      error text not null,
      dead_at timestamptz not null default clock_timestamp(),
      primary key (consumer, topic, partition, "offset")
    )`;
}

/** Quotes a name from code or configuration for SQL, because a name cannot be a parameter. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
