/**
 * The tables of outbox, relay and inbox in one schema, as SQL statements for the service's first migration.
 * The service's role needs select, insert, update and delete on them and owns none.
 */
export function messagingTables(schema: string): readonly string[] {
  const s = quoteIdentifier(schema);
  return [
    // The column names are the defaults of Debezium's Outbox Event Router. `payload` is text, so that what was written is
    // what is published, byte for byte. The one index is the primary key: the relay reads from its left edge.
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
  ];
}

/** Quotes a name for SQL. For names from code or config, which no parameter can carry. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
