import { readFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { type INestApplication } from '@nestjs/common';
import { Kafka, logLevel } from 'kafkajs';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { PermanentError } from '../errors.js';
import { type InboxOptions, type MessagingOptions } from '../messaging-options.js';
import { MessagingMetrics } from './metrics.js';
import { type Relay } from '../relay/relay.js';
import { counted, CounterController, startCounter } from '../../test/counter-process.js';
import { createSandbox, type Sandbox } from '../../test/sandbox.js';
import { configureTopic, produce } from '../testing/topic.js';
import { until } from '../testing/until.js';

const UNREACHABLE = '127.0.0.1:1';

let sandbox: Sandbox;
let topic: string;
const apps: INestApplication[] = [];

beforeEach(async () => {
  sandbox = await createSandbox();
  topic = sandbox.consumer.topic.name;
  await sandbox.database.sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
  CounterController.next = () => undefined;
});

afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
  await sandbox.close();
});

function metricsOf(relay?: Relay, options: Partial<MessagingOptions> = {}, dataSource = sandbox.dataSource) {
  const metrics = new MessagingMetrics({ ...sandbox.options, ...options }, () => dataSource);
  if (relay) metrics.watchRelay(relay);
  return metrics;
}

/** Returns every sample of a scrape, by its name and labels in Prometheus notation. */
async function scrape({ registry }: MessagingMetrics): Promise<ReadonlyMap<string, number>> {
  const lines = (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]));
}

/** Scrapes until the sample satisfies the predicate, because readings of the database and Kafka are cached for a few seconds. */
async function sample(metrics: MessagingMetrics, name: string, satisfies: (value: number) => boolean): Promise<number> {
  let value: number | undefined;
  await until(`${name} is as expected`, async () => {
    value = (await scrape(metrics)).get(name);
    if (value === undefined || !satisfies(value)) throw new Error(`it is ${value}`);
    return true;
  });
  return value!;
}

const is = (expected: number) => (value: number) => value === expected;
const above = (least: number) => (value: number) => value > least;

async function startConsumer(options: Partial<InboxOptions> = {}) {
  const app = await startCounter(sandbox, options);
  apps.push(app);
  return { app, metrics: app.get(MessagingMetrics) };
}

const limitTopic = (bytes: number) =>
  configureTopic(sandbox.options.brokers, topic, { 'max.message.bytes': String(bytes) });

describe('P9 the metrics of the outbox', () => {
  it('show how many messages are unpublished and how old they are while Kafka is unavailable, and none afterwards', async () => {
    const cutOff = sandbox.newRelay(undefined, undefined, { brokers: [UNREACHABLE] });
    const outbox = sandbox.outboxOf(cutOff);
    const metrics = metricsOf(cutOff);
    for (let n = 1; n <= 3; n++) await sandbox.add(outbox, 'a', n);

    await sample(metrics, 'messaging_outbox_unpublished_messages{state="ready"}', is(3));
    const age = await sample(metrics, 'messaging_outbox_oldest_unpublished_age_seconds{state="ready"}', above(0));
    await sample(metrics, 'messaging_outbox_oldest_unpublished_age_seconds{state="ready"}', above(age + 0.5));
    cutOff.start();
    await sample(metrics, `messaging_outbox_send_failures_total{topic="${topic}"}`, above(1));
    expect((await scrape(metrics)).get(`messaging_outbox_published_total{topic="${topic}"}`)).toBe(0);
    await cutOff.stop();

    const relay = sandbox.newRelay();
    metrics.watchRelay(relay);
    relay.start();
    await sandbox.drained();
    await sample(metrics, 'messaging_outbox_unpublished_messages{state="ready"}', is(0));
    await sample(metrics, 'messaging_outbox_oldest_unpublished_age_seconds{state="ready"}', is(0));
    const after = await scrape(metrics);
    expect(after.get(`messaging_outbox_published_total{topic="${topic}"}`)).toBe(3);
    expect(after.get(`messaging_outbox_send_failures_total{topic="${topic}"}`)).toBe(0);
    const latency = (suffix: string, le = '') =>
      after.get(`messaging_outbox_publish_latency_seconds_${suffix}{topic="${topic}"${le && `,le="${le}"`}}`);
    expect(latency('count')).toBe(3);
    expect(latency('bucket', '+Inf')).toBe(3);
    expect(latency('bucket', '0.5')).toBe(0);
    expect(latency('bucket', '600')).toBe(3);
    expect(latency('sum')).toBeGreaterThan(3 * 0.5);
  });

  it('count a message that is committed late, into a gap of the log', async () => {
    const relay = sandbox.newRelay();
    const outbox = sandbox.outboxOf(relay);
    const metrics = metricsOf(relay);
    await sandbox.dataSource.transaction(async (slow) => {
      await sandbox.add(outbox, 'slow', 1, slow);
      await sandbox.add(outbox, 'quick', 1);
      relay.start();
      await until('the gap is recorded', async () => {
        const [row] = await sandbox.database.sql<{ gaps: string }>('select gaps::text from sandbox.relay_lease');
        return row?.gaps === '{[1,2)}';
      });
      await sample(metrics, 'messaging_outbox_unpublished_messages{state="ready"}', is(0));
      await relay.stop();
    });

    await sample(metrics, 'messaging_outbox_unpublished_messages{state="ready"}', is(1));
    await sample(metrics, 'messaging_outbox_oldest_unpublished_age_seconds{state="ready"}', above(0));
  });

  it('count a dead letter, and the messages it holds separately from those that are ready', async () => {
    await limitTopic(20_000);
    const relay = sandbox.newRelay();
    const outbox = sandbox.outboxOf(relay);
    const metrics = metricsOf(relay);
    relay.start();
    await sandbox.dataSource.transaction(async (tx) => {
      const data = { n: 1, filler: 'x'.repeat(30_000) };
      const aggregate = { aggregateType: 'counter', aggregateId: 'a', version: 1 };
      await outbox.add(tx, aggregate, [{ type: 'Counted', data }]);
      await sandbox.add(outbox, 'a', 2, tx);
      await sandbox.add(outbox, 'b', 1, tx);
    });
    await sandbox.drained();

    await sample(metrics, `messaging_outbox_dead_letters{topic="${topic}"}`, is(1));
    await sample(metrics, 'messaging_outbox_unpublished_messages{state="held"}', is(1));
    const scraped = await scrape(metrics);
    expect(scraped.get('messaging_outbox_oldest_unpublished_age_seconds{state="held"}')).toBeGreaterThan(0);
    expect(scraped.get('messaging_outbox_unpublished_messages{state="ready"}')).toBe(0);
    expect(scraped.get(`messaging_outbox_dead_lettered_total{topic="${topic}"}`)).toBe(1);
    expect(scraped.get(`messaging_outbox_published_total{topic="${topic}"}`)).toBe(1);
    await relay.stop();
    await sandbox.deadLetters.retry({ box: 'outbox', all: true }, { actor: 'test' });

    await sample(metrics, 'messaging_outbox_unpublished_messages{state="ready"}', is(2));
    await sample(metrics, `messaging_outbox_dead_letters{topic="${topic}"}`, is(0));
  });

  it('show which relay leads', async () => {
    const [leader, standby] = [sandbox.newRelay(), sandbox.newRelay()];
    const [first, second] = [metricsOf(leader), metricsOf(standby)];
    leader.start();
    await sample(first, 'messaging_relay_leader', is(1));
    standby.start();
    await until('it stands by', () => standby.health()['role'] === 'standby');
    expect((await scrape(second)).get('messaging_relay_leader')).toBe(0);

    await leader.stop();

    await sample(second, 'messaging_relay_leader', is(1));
    expect((await scrape(first)).get('messaging_relay_leader')).toBe(0);
  });
});

describe('P9 the metrics of a consumer', () => {
  const outcome = (name: string) => `messaging_inbox_messages_total{consumer="${topic}",outcome="${name}"}`;
  const ofConsumer = (name: string) => `${name}{consumer="${topic}"}`;

  it('count processed, duplicate and ignored messages', async () => {
    const { metrics } = await startConsumer();
    const { headers, ...rest } = counted(2);

    await produce(sandbox.options.brokers, topic, [
      counted(1, { id: 'same' }),
      counted(1, { id: 'same' }),
      { ...rest, headers: { ...headers, ce_type: 'Ignored' } },
    ]);

    await sample(metrics, outcome('passed_over'), is(1));
    await sample(metrics, outcome('processed'), is(1));
    await sample(metrics, outcome('duplicate'), is(1));
    expect((await scrape(metrics)).get(outcome('parked'))).toBe(0);
  });

  it('count failed attempts, parked messages, their age, and dead letters', async () => {
    let failing = true;
    CounterController.next = (n) => {
      if (n === 1 && failing) throw new Error('not yet');
      if (n === 3) throw new PermanentError('never');
    };
    const { metrics } = await startConsumer({ backOff: { firstMs: 50, maxMs: 200 }, maxAttempts: 1000 });

    await produce(sandbox.options.brokers, topic, [counted(1), counted(2), counted(3, { key: 'b' })]);

    await sample(metrics, ofConsumer('messaging_inbox_parked_messages'), is(2));
    await sample(metrics, ofConsumer('messaging_inbox_dead_letters'), is(1));
    await sample(metrics, ofConsumer('messaging_inbox_oldest_parked_age_seconds'), above(1));
    await sample(metrics, ofConsumer('messaging_inbox_failed_attempts_total'), above(2));
    const scraped = await scrape(metrics);
    expect(scraped.get(outcome('parked'))).toBe(2);
    expect(scraped.get(outcome('dead'))).toBe(1);
    failing = false;

    await sample(metrics, outcome('processed'), is(2));
    await sample(metrics, ofConsumer('messaging_inbox_parked_messages'), is(0));
    await sample(metrics, ofConsumer('messaging_inbox_oldest_parked_age_seconds'), is(0));
  });

  it('show its lag, from the start of the topic before it first runs, and again while it is stopped', async () => {
    const metrics = metricsOf();
    const lag = (partition: number) =>
      `messaging_consumer_lag_messages{consumer="${topic}",topic="${topic}",partition="${partition}"}`;
    const send = (count: number) =>
      produce(
        sandbox.options.brokers,
        topic,
        Array.from({ length: count }, (_, n) => counted(n, { partition: 2 })),
      );
    await send(3);
    await sample(metrics, lag(2), is(3));
    expect((await scrape(metrics)).get(lag(0))).toBe(0);

    const { app } = await startConsumer();
    await sample(metrics, lag(2), is(0));
    apps.splice(0);
    await app.close();
    await send(5);

    await sample(metrics, lag(2), is(5));
    const offset = (partition: number) => lag(partition).replace('lag_messages', 'offset');
    expect((await scrape(metrics)).get(offset(2))).toBe(3);
    expect((await scrape(metrics)).get(offset(0))).toBe(0);
  });

  it('show no lag once everything is consumed, although the topic ends with an aborted transaction and transaction markers', async () => {
    const lag = `messaging_consumer_lag_messages{consumer="${topic}",topic="${topic}",partition="1"}`;
    const client = { brokers: [...sandbox.options.brokers], clientId: 'test', logLevel: logLevel.NOTHING };
    const producer = new Kafka(client).producer({ transactionalId: topic, maxInFlightRequests: 1, idempotent: true });
    await producer.connect();
    const { metrics } = await startConsumer();
    const transaction = async (n: number, end: 'commit' | 'abort') => {
      const running = await producer.transaction();
      const { key, value, headers } = counted(n);
      await running.send({
        topic,
        messages: [{ key: key ?? null, value: value ?? null, headers: headers ?? {}, partition: 1 }],
      });
      await running[end]();
    };

    await transaction(1, 'commit');
    await sample(metrics, outcome('processed'), is(1));
    await transaction(2, 'commit');
    await transaction(3, 'abort');
    await sample(metrics, outcome('processed'), is(2));
    await producer.disconnect();

    // Three messages, and a marker of each transaction.
    await until('its offset is behind the last marker', async () => {
      const [row] = await sandbox.database.sql(
        'select next_offset::int as next from sandbox.inbox_offsets where partition = 1',
      );
      return row?.['next'] === 6;
    });
    await sample(metrics, lag, is(0));
    expect((await scrape(metrics)).get(outcome('processed'))).toBe(2);
  });
});

it('P9 the documentation lists every metric, and no other', async () => {
  const page = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8');
  const metrics = metricsOf(sandbox.newRelay());

  const listed = [...page.matchAll(/^\| `(messaging_\w+)`/gm)].map(([, name = '']) => name);

  expect(listed.toSorted()).toEqual(
    metrics.registry
      .getMetricsAsArray()
      .map(({ name }) => name)
      .toSorted(),
  );
});

describe('P9 a scrape', () => {
  let silent: Server;
  let silentPort: number;
  const sockets: Socket[] = [];

  beforeEach(async () => {
    silent = createServer((socket) => sockets.push(socket.on('error', () => undefined)));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    silentPort = (silent.address() as { port: number }).port;
  });

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await new Promise((resolve) => silent.close(resolve));
  });

  /** Returns a DataSource whose database has become unavailable since it connected. */
  async function withoutDatabase(): Promise<DataSource> {
    const source = await new DataSource({ type: 'postgres', url: sandbox.database.url }).initialize();
    await source.destroy();
    return source;
  }

  it('leaves out what it cannot read while the database and Kafka are unavailable, and counts the errors', async () => {
    const metrics = metricsOf(sandbox.newRelay(), { brokers: [UNREACHABLE] }, await withoutDatabase());

    const scraped = await scrape(metrics);

    const names = [...scraped.keys()];
    expect(names.filter((name) => /unpublished|dead_letters|parked_|lag|offset/.test(name))).toEqual([]);
    expect(scraped.get(`messaging_outbox_published_total{topic="${topic}"}`)).toBe(0);
    expect(scraped.get('messaging_scrape_errors_total{source="database"}')).toBe(1);
    expect(scraped.get('messaging_scrape_errors_total{source="kafka"}')).toBe(1);
  });

  it('takes no longer than two seconds although neither answers, and asks each of them only once', async () => {
    // The only connection is taken, and the wait for a connection has no limit of its own.
    const source = new DataSource({ type: 'postgres', url: sandbox.database.url, poolSize: 1 });
    await source.initialize();
    const held = source.createQueryRunner();
    await held.connect();
    const metrics = metricsOf(sandbox.newRelay(), { brokers: [`127.0.0.1:${silentPort}`] }, source);

    const begun = performance.now();
    const [scraped] = await Promise.all(Array.from({ length: 5 }, () => scrape(metrics)));
    const tookMs = performance.now() - begun;

    expect(tookMs).toBeLessThan(2500);
    expect(scraped!.get('messaging_scrape_errors_total{source="database"}')).toBe(1);
    expect(scraped!.get('messaging_scrape_errors_total{source="kafka"}')).toBe(1);
    expect(sockets).toHaveLength(1);
    await held.release();
    await sample(metrics, 'messaging_outbox_unpublished_messages{state="ready"}', is(0));
    await source.destroy();
  });

  it('times out on the server when the database takes too long, so no session is left waiting', async () => {
    const metrics = metricsOf(sandbox.newRelay());
    const blocker = new pg.Client({ connectionString: sandbox.database.directUrl });
    await blocker.connect();
    await blocker.query('begin');
    await blocker.query('lock table sandbox.outbox in access exclusive mode');

    const scraped = await scrape(metrics);

    expect(scraped.get('messaging_scrape_errors_total{source="database"}')).toBe(1);
    await until('no session waits', async () => {
      const waiting = await sandbox.database.sql(
        `select from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`,
      );
      return waiting.length === 0;
    });
    await blocker.end();
  });
});

it('P9 published rows add no cost to a scrape, which reads the log along its primary key from the progress on', async () => {
  const ready = 'messaging_outbox_unpublished_messages{state="ready"}';
  // Uses its own connections and no pooler, because the server is sure to have their statistics once they have ended.
  const scrapeOnce = async () => {
    const applicationName = 'scraper';
    const url = sandbox.database.directUrl;
    const source = await new DataSource({ type: 'postgres', url, applicationName }).initialize();
    const value = (await scrape(metricsOf(undefined, {}, source))).get(ready);
    await source.destroy();
    await until('its connections are closed', async () => {
      const left = await sandbox.database.sql('select from pg_stat_activity where application_name = $1', [
        applicationName,
      ]);
      return left.length === 0;
    });
    return value;
  };
  const read = async () => {
    const [row] = await sandbox.database.sql<{ scans: number; rows: number; used: number }>(
      `select seq_scan::int as scans, idx_scan::int as used, (idx_tup_fetch + seq_tup_read)::int as rows
         from pg_stat_user_tables where relname = 'outbox'`,
    );
    return row!;
  };
  await sandbox.database.sql(
    `insert into sandbox.outbox (id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
     select gen_random_uuid(), 'counter', 'a', 'Counted', 'urn:event:Counted:1', 1, '{}' from generate_series(1, 120000)`,
  );
  expect(await scrapeOnce()).toBe(120_000);
  const before = await until('the statistics include the first scrape', async () => {
    const first = await read();
    return first.used > 0 && first;
  });
  await sandbox.database.sql('update sandbox.relay_lease set position = 119990');

  expect(await scrapeOnce()).toBe(10);

  const after = await until('the statistics include the second scrape', async () => {
    const second = await read();
    return second.used > before.used && second;
  });
  expect(after.scans).toBe(before.scans);
  expect(after.rows - before.rows).toBeLessThan(100);
});
