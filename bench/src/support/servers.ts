import { randomBytes } from 'node:crypto';
import { createTopics, messagingTables } from '@twinbox/messaging';
import { createDatabase, type TestDatabase } from '@twinbox/messaging/testing';
import { logLevel } from 'kafkajs';
import { messagingOptions, type Place } from './place.js';
import { type Brokers, kafkaJs, securityOf } from './secured.js';

/** Real PostgreSQL and Kafka servers with their default settings, including fsync. */
export interface Servers extends Brokers {
  readonly databaseUrl: string;
  /** Sends less and repeats less, to check that everything runs, not how fast. */
  readonly quick: boolean;
  /** Aborted when the run is interrupted. */
  readonly signal: AbortSignal;
  /** Sets the number of rounds of the part. The returned function is called at the beginning of each, optionally with what it does. */
  readonly rounds: (count: number) => (doing?: string) => void;
}

/** A database and a topic that nothing else uses. */
export interface World extends Place {
  readonly database: TestDatabase;
  /** The number of records on the topic. */
  published(): Promise<number>;
  close(): Promise<void>;
}

const PAYLOAD_BYTES = 500;
const KEYS = 20_000;

export async function createWorld({ databaseUrl, brokers, secured }: Servers): Promise<World> {
  const database = await createDatabase(databaseUrl);
  const place: Place = { databaseUrl: database.url, brokers, secured, name: `bench-${randomBytes(6).toString('hex')}` };
  await createTopics({ brokers, clientId: 'bench', ...securityOf(place) }, messagingOptions(place).publishes);
  await database.sql('create schema bench');
  for (const statement of messagingTables('bench')) await database.sql(statement);
  const admin = kafkaJs(place, 'bench', logLevel.ERROR).admin();
  await admin.connect();
  return {
    ...place,
    database,
    async published() {
      const offsets = await admin.fetchTopicOffsets(place.name);
      return offsets.reduce((sum, { high }) => sum + Number(high), 0);
    },
    async close() {
      await admin.deleteTopics({ topics: [place.name] });
      await admin.disconnect();
      await database.drop();
    },
  };
}

/** Adds messages of 500 bytes with 20,000 keys in one statement, as if services had written them. */
export async function seed(world: World, messages: number): Promise<void> {
  const payload = JSON.stringify({ note: '' });
  await world.database.sql(
    `insert into bench.outbox (id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
     select uuidv7(), 'bench', 'key-' || n % ${KEYS}, 'Noted', 'urn:event:Noted:1', n, $2
       from generate_series(1, $1::bigint) as n`,
    [messages, JSON.stringify({ note: 'x'.repeat(PAYLOAD_BYTES - payload.length) })],
  );
  // Autovacuum would do this soon. Done here, it cannot run during the measurement in some rounds only.
  await world.database.sql('vacuum analyze bench.outbox');
  await world.database.sql('checkpoint');
}
