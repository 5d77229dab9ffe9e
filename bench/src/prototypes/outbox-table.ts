import { Kafka, logLevel, type Message, Partitioners } from 'kafkajs';
import pg from 'pg';

/** A row as the relay reads it; bigint arrives as text. */
export interface Row {
  readonly position: string;
  readonly id: string;
  readonly aggregateid: string;
  readonly type: string;
  readonly dataschema: string;
  readonly sequence: string;
  readonly payload: string;
  readonly created_at: Date;
}

export const COLUMNS = 'position, id, aggregateid, type, dataschema, sequence, payload, created_at';

/** 500 bytes of JSON. */
export const PAYLOAD = JSON.stringify({ note: 'x'.repeat(489) });

const DEFINITION = `
  position bigint generated always as identity,
  id uuid not null,
  aggregatetype varchar(255) not null,
  aggregateid varchar(255) not null,
  type varchar(255) not null,
  dataschema varchar(255) not null,
  sequence bigint not null,
  payload text not null,
  created_at timestamptz not null default clock_timestamp()`;

export async function createTables(sql: pg.ClientBase): Promise<void> {
  await sql.query('drop schema if exists proto cascade; create schema proto');
  await sql.query('create table proto.orders (id uuid primary key default uuidv7(), customer text, total bigint)');
  await sql.query(`create table proto.progress (
    singleton boolean primary key default true, position bigint not null default 0, gaps int8multirange not null default '{}')`);
  await sql.query('insert into proto.progress default values');
  await sql.query(`create table proto.outbox (${DEFINITION}, primary key (position))`);
}

/** A row goes to the slot of its minute; the slot that comes next is emptied by TRUNCATE. */
export async function createRing(sql: pg.ClientBase): Promise<void> {
  await sql.query(`create table proto.ring (${DEFINITION},
    slot smallint not null default (extract(epoch from clock_timestamp())::bigint / 60 % 4)::smallint,
    primary key (position, slot)) partition by list (slot)`);
  for (const n of [0, 1, 2, 3])
    await sql.query(`create table proto.ring_${n} partition of proto.ring for values in (${n})`);
}

/** Messages of 20,000 keys, in one statement. */
export async function seed(sql: pg.ClientBase, messages: number, table = 'outbox'): Promise<void> {
  await sql.query(
    `insert into proto.${table} (id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
     select uuidv7(), 'order', 'order-' || n % 20000, 'OrderPlaced', '/schemas/OrderPlaced/1', n, $2
       from generate_series(1, $1::bigint) as n`,
    [messages, PAYLOAD],
  );
  await sql.query(`vacuum analyze proto.${table}`);
}

/** What one order writes, in one transaction: its row and its message. */
export const PLACE_ORDER = `
  with placed as (insert into proto.orders (customer, total) values ('c', 900) returning id)
  insert into proto.outbox (id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
  select uuidv7(), 'order', id, 'OrderPlaced', '/schemas/OrderPlaced/1', 1, $1 from placed`;

export async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
}

export async function one<T>(sql: pg.ClientBase, text: string, values: unknown[] = []): Promise<T> {
  const { rows } = await sql.query<{ value: T }>(text, values);
  if (rows[0] === undefined) throw new Error(`no row: ${text}`);
  return rows[0].value;
}

export const walBytes = (sql: pg.ClientBase) =>
  one<string>(sql, `select pg_current_wal_insert_lsn() - '0/0'::pg_lsn as value`).then(Number);

export async function sizes(sql: pg.ClientBase): Promise<{ deadRows: number; tableMb: number; indexMb: number }> {
  // The counters of a session reach the view up to a second later.
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const { rows } = await sql.query<{ dead: string; t: string; i: string }>(
    `select n_dead_tup as dead, pg_table_size(relid) as t, pg_indexes_size(relid) as i
       from pg_stat_user_tables where relid = 'proto.outbox'::regclass`,
  );
  const mb = (bytes: string | undefined) => Math.round(Number(bytes) / 1e6);
  return { deadRows: Number(rows[0]?.dead), tableMb: mb(rows[0]?.t), indexMb: mb(rows[0]?.i) };
}

export type Send = (rows: readonly Row[]) => Promise<void>;

/** Sends as the relay does: idempotent, acks=all, CloudEvents headers. */
export async function connectKafka(brokers: string): Promise<{ send: Send; close: () => Promise<void> }> {
  const kafka = new Kafka({ brokers: [brokers], clientId: 'prototype', logLevel: logLevel.ERROR });
  const admin = kafka.admin();
  await admin.connect();
  const topic = `prototype-${process.pid}`;
  await admin.createTopics({ waitForLeaders: true, topics: [{ topic, numPartitions: 6 }] });
  await admin.disconnect();
  const producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    createPartitioner: Partitioners.DefaultPartitioner,
  });
  await producer.connect();
  return {
    send: async (rows) => void (await producer.send({ topic, acks: -1, messages: rows.map(toRecord) })),
    close: () => producer.disconnect(),
  };
}

function toRecord(row: Row): Message {
  return {
    key: row.aggregateid,
    value: row.payload,
    timestamp: String(row.created_at.getTime()),
    headers: {
      ce_specversion: '1.0',
      ce_id: row.id,
      ce_source: '/orders',
      ce_type: row.type,
      ce_dataschema: row.dataschema,
      ce_sequence: row.sequence,
      'content-type': 'application/json',
    },
  };
}
