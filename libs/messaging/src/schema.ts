/** The schema of the tables below: raised with every change, which is a step of its own. */
export const SCHEMA_VERSION = 3;

/**
 * The statements that bring one schema's tables of outbox, relay and inbox from one version to another, for the service's
 * migrations: all of them for a new service; for an existing one `{ from: 1 }` in a migration of its own, and so on.
 * The service's role needs select, insert, update and delete on the tables, select on their sequences, and owns none.
 */
export function messagingTables(schema: string, { from = 0, to = SCHEMA_VERSION } = {}): readonly string[] {
  return STEPS.slice(from, to).flatMap((step) => step(quoteIdentifier(schema)));
}

const STEPS: readonly ((schema: string) => readonly string[])[] = [
  (s) => [
    // The column names are the defaults of Debezium's Outbox Event Router. `payload` is text, so that what was written is
    // what is published, byte for byte. The one index is the primary key: the relay reads along it.
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
    // One row: whoever's name stands in it until expires_at is the relay that publishes.
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
    `create table ${s}.inbox_dead_letters (
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
    )`,
  ],
  (s) => [
    // Everything up to `position` is published, but for the gaps: positions that were drawn and not yet committed when the
    // relay passed them. What was committed before this version is above position 0.
    `alter table ${s}.relay_lease
       add column position bigint not null default 0,
       add column gaps int8multirange not null default '{}'`,
    // Messages that may not be published now: the dead letter that Kafka refused, and those behind it in its key.
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
    // An id is unique within its source only (CloudEvents 1.0, "id"). UUIDv7 ids first: new rows go to one end of the index.
    `alter table ${s}.inbox add column source varchar(255) not null default '', drop constraint inbox_pkey`,
    `alter table ${s}.inbox alter column source drop default, add constraint inbox_pkey primary key (consumer, message_id, source)`,
    // Finds what has outlived its time; costs the writer next to nothing.
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
    // What is in flight in a process: found by the next one, it tells what the process died of.
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
    // Who retried or discarded which dead letter.
    `create table ${s}.messaging_audit (
      id bigint generated always as identity primary key,
      at timestamptz not null default clock_timestamp(),
      actor varchar(255) not null,
      action varchar(20) not null,
      box varchar(20) not null,
      letter jsonb not null,
      reason text
    )`,
    // Calls to other systems, made outside of any transaction and tried again until they succeed. While `lease` is set,
    // `run_at` is its end.
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
  ],
  (s) => [
    // `origin` names the log and the sequence that `position` belongs to: after a truncate or a restart of the sequence, the
    // recorded position means nothing. `ahead` is set while messages of some aggregate type cannot be published: how far the
    // relay has published the other types beyond `position`, which stays before the first message that waits. A relay of the
    // previous version ignores it and publishes those messages again.
    `alter table ${s}.relay_lease add column origin text, add column ahead jsonb`,
    // What an operator must know about and acknowledge. One open row for each kind and subject.
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
    // How far a consumer has settled a partition, by this database: Kafka's committed offsets survive a database that goes back.
    `create table ${s}.inbox_offsets (
      consumer varchar(255) not null,
      topic varchar(255) not null,
      partition integer not null,
      next_offset bigint not null,
      updated_at timestamptz not null default clock_timestamp(),
      primary key (consumer, topic, partition)
    )`,
    // A topic that was created again uses its offsets again, so a place on the topic does not identify a message. What has an
    // id is unique through the inbox; what has none, by its place and its timestamp. The order within a key is that of arrival.
    `alter table ${s}.inbox_parked
       drop constraint inbox_parked_consumer_topic_partition_offset_key,
       add column setbacks integer not null default 0`,
    `create unique index inbox_parked_unreadable on ${s}.inbox_parked (consumer, topic, partition, "offset", recorded_at)
       where not holds_key`,
    `create index inbox_parked_place on ${s}.inbox_parked (consumer, topic, partition, "offset")`,
    `create index inbox_parked_arrival on ${s}.inbox_parked (consumer, key, id) where holds_key`,
    `drop index ${s}.inbox_parked_key`,
    // A mark covers the records between both offsets and between both timestamps. Marks of the previous version have no
    // timestamps and cover whatever stands at their offsets.
    `alter table ${s}.inbox_in_flight add column recorded_from timestamptz, add column recorded_to timestamptz`,
    // A BRIN index is useless once pruning has made room in old pages and new rows have filled it.
    `create index inbox_age on ${s}.inbox (consumer, received_at)`,
    `drop index ${s}.inbox_received_at`,
    // Failures that were the environment's: they lengthen the wait and do not count as attempts.
    `alter table ${s}.jobs add column setbacks integer not null default 0`,
    // Finds leases and waits that a clock which was set back has made too long, among any number of scheduled jobs.
    `create index jobs_begun on ${s}.jobs (queue, run_at)
       where dead_at is null and (lease is not null or attempts > 0 or setbacks > 0)`,
  ],
];

/** Quotes a name for SQL. For names from code or config, which no parameter can carry. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
