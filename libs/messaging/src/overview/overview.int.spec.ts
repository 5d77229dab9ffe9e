import { Test, type TestingModule } from '@nestjs/testing';
import { Kafka, logLevel } from 'kafkajs';
import { DataSource } from 'typeorm';
import { MessagingModule } from '../messaging.module.js';
import { type MessagingOptions } from '../messaging-options.js';
import { counted } from '../../test/counter-process.js';
import { createSandbox, type Sandbox } from '../../test/sandbox.js';
import { produce } from '../testing/topic.js';
import { until } from '../testing/until.js';
import { Overview } from './overview.js';

let sandbox: Sandbox;
const apps: TestingModule[] = [];
beforeEach(async () => {
  sandbox = await createSandbox();
});
afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
  await sandbox.close();
});

/** Starts a process of the service that consumes nothing, and returns its overview. */
async function aProcess(options: Partial<MessagingOptions> = {}): Promise<Overview> {
  const dataSource = { provide: DataSource, useValue: sandbox.dataSource };
  const app = await Test.createTestingModule({
    imports: [
      { module: class Database {}, global: true, providers: [dataSource], exports: [DataSource] },
      MessagingModule.forRoot({ ...sandbox.options, ...options }),
    ],
  }).compile();
  apps.push(await app.init());
  return app.get(Overview);
}

/** Inserts what waits and fails, with ages in minutes. */
async function fill(groupId: string): Promise<void> {
  const { database } = sandbox;
  await database.sql(`
    insert into sandbox.outbox_parked
      (position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at, error, dead_at)
    values (-1, gen_random_uuid(), 'counter', 'a', 'Counted', 'urn', 1, '{}', now(), 'no', now() - interval '10 minutes')`);
  await database.sql(
    `insert into sandbox.inbox_parked
       (consumer, topic, partition, "offset", recorded_at, key, headers, value, holds_key, error, dead_at)
     values ($1, 't', 0, 1, now(), 'a', '{}', '', true, 'no', now() - interval '20 minutes'),
            ($1, 't', 0, 2, now(), 'a', '{}', '', true, null, null)`,
    [groupId],
  );
  await database.sql(
    `insert into sandbox.inbox_parked
       (consumer, topic, partition, "offset", recorded_at, parked_at, key, headers, value, holds_key, error, history, next_attempt_at)
     select $1, 't', 0, 2 + n, now(), now() - interval '40 minutes', n::text::bytea, '{}', '', true, 'Error: try ' || n,
            jsonb_build_array(jsonb_build_object('at', now() - n * interval '1 minute', 'error', 'Error: try ' || n)),
            now() + n * interval '1 minute' - interval '3 minutes'
       from generate_series(1, 5) as n`,
    [groupId],
  );
  await database.sql(
    `insert into sandbox.messaging_operations (id, kind, filter, as_of, total, actor, problem, updated_at, runner, runner_until)
     values ('01939d3c-2f4a-7c3e-9d55-8a0f6a1b2c3d', 'of-a-newer-version', '{}', now(), 1, 'ada', 'no leader', now() - interval '25 minutes',
             gen_random_uuid(), 'infinity')`,
  );
  await database.sql(
    `insert into sandbox.inbox_in_flight (id, consumer, topic, partition, first_offset, last_offset, started_at)
     values (gen_random_uuid(), $1, 't', 0, 10, 19, now() - interval '1 minute'), (gen_random_uuid(), $1, 't', 1, 1, 5, now())`,
    [groupId],
  );
  await database.sql(
    `insert into sandbox.inbox_offsets (consumer, topic, partition, next_offset) values ($1, 't', 0, 17), ($1, 't', 1, 6)`,
    [groupId],
  );
  await database.sql(
    `insert into sandbox.inbox (consumer, message_id, source, received_at)
     select $1, n::text, '/s', now() - n * interval '1 second' from generate_series(1, 120) as n`,
    [groupId],
  );
  await database.sql(`
    insert into sandbox.jobs (id, queue, data, run_at, attempts, lease, error, dead_at)
    select gen_random_uuid(), queue, '{}', now() + seconds * interval '1 second', attempts,
           case when leased then gen_random_uuid() end, 'no', case when dead then now() - interval '30 minutes' end
      from (values ('call', -90, 0, false, false), ('call', -1, 1, false, false), ('call', 60, 1, false, false),
                   ('call', 60, 0, true, false), ('call', 600, 0, false, false), ('call', 0, 3, false, true),
                   ('mail', 5, 0, false, true)) as j (queue, seconds, attempts, leased, dead)`);
  await database.sql(
    `insert into sandbox.messaging_pauses (kind, name, actor, reason) values ('queue', 'mail', 'ada', 'upgrade')`,
  );
}

/** Removes what differs from reading to reading, because time goes on. */
function withoutTimes(overview: unknown): unknown {
  const changing = new Set(['at', 'leasedUntil', 'oldestParkedSeconds', 'processedPerSecond']);
  return JSON.parse(JSON.stringify(overview, (key, value: unknown) => (changing.has(key) ? undefined : value)));
}

it('P9 each process shows what waits and fails, and since when, from the tables and Kafka', async () => {
  const { groupId } = sandbox.consumer;
  await fill(groupId);
  const overviews = [await aProcess(), await aProcess({ relay: false })];
  await until('a process leads', async () => (await overviews[0]!.read()).relay.state === 'leading');

  const [first, second] = await Promise.all(overviews.map((overview) => overview.read()));

  const { problems, ...overview } = first!;
  expect(overview).toMatchObject({
    kafkaProblem: null,
    relay: { state: 'leading', deadLetters: 1, gaps: 0, paused: null, unpublished: { ready: { messages: 0 } } },
    consumers: [
      {
        consumer: groupId,
        topic: sandbox.consumer.topic.name,
        group: { lag: 0, state: 'Dead', members: 0 },
        inFlight: 3,
        parked: 6,
        latestFailure: { at: expect.any(Date), error: 'Error: try 1' },
        deadLetters: 1,
        processedPerSecond: expect.closeTo(1, 0),
      },
    ],
    queues: [
      {
        queue: 'call',
        due: 2,
        running: 1,
        retrying: 1,
        scheduled: 1,
        dead: 1,
        paused: null,
        latestFailure: { at: null, error: 'no' },
      },
      {
        queue: 'mail',
        due: 0,
        running: 0,
        retrying: 0,
        scheduled: 0,
        dead: 1,
        latestFailure: null,
        paused: { actor: 'ada', reason: 'upgrade' },
      },
    ],
  });
  expect(problems.map(({ severity, component }) => `${severity} ${component}`)).toEqual([
    `failing inbox ${groupId}`,
    `failing inbox ${groupId}`,
    'failing queue call',
    'failing operations',
    'attention outbox',
    `attention inbox ${groupId}`,
    'attention queue call',
    'attention queue mail',
    'paused queue mail',
  ]);
  const minutesAgo = problems.map(({ since }) => Math.round((Date.now() - since!.getTime()) / 60_000));
  expect(minutesAgo.slice(0, 8)).toEqual([1, 2, 2, 25, 10, 20, 30, 30]);
  expect(withoutTimes(second)).toEqual(withoutTimes(first));
});

it('P9 counts what is unpublished and published, and reports that no process publishes', async () => {
  const outbox = sandbox.outboxOf(sandbox.newRelay());
  for (let n = 1; n <= 12; n++) await sandbox.add(outbox, 'a', n);
  await sandbox.database.sql(`update sandbox.outbox set created_at = now() - interval '40 seconds' where sequence > 6`);
  await sandbox.database.sql(`update sandbox.relay_lease set position = 6, expires_at = now() - interval '5 seconds'`);

  const { relay, problems } = await (await aProcess({ relay: false })).read();

  expect(relay).toMatchObject({ state: 'none', publishedPerSecond: 0.1, unpublished: { ready: { messages: 6 } } });
  expect(problems).toMatchObject([
    { severity: 'failing', component: 'relay' },
    { severity: 'failing', component: 'outbox', problem: 'The oldest unpublished message has waited for 40 s' },
  ]);
  expect(problems[0]?.since).toEqual(relay.leasedUntil);
});

it('P9 without Kafka, the overview says so within seconds, and the tables are still shown', async () => {
  const overview = await aProcess({ relay: false, brokers: ['127.0.0.1:1'] });

  const { kafkaProblem, consumers, problems } = await overview.read();

  expect(kafkaProblem).toMatch(/\w/);
  expect(consumers[0]).toMatchObject({ group: null, inFlight: 0 });
  expect(problems[0]).toMatchObject({ severity: 'failing', component: 'kafka' });
});

it('P9 reports a consumer whose members handle nothing, once the messages of its topic are overdue', async () => {
  const { groupId, topic } = sandbox.consumer;
  const { brokers } = sandbox.options;
  const client = new Kafka({ brokers: [...brokers], logLevel: logLevel.NOTHING });
  const consumer = client.consumer({ groupId });
  await consumer.connect();
  await consumer.subscribe({ topic: topic.name });
  consumer.on(consumer.events.GROUP_JOIN, () => consumer.pause([{ topic: topic.name }]));
  await consumer.run({ eachMessage: () => Promise.reject(new Error('it is paused')) });
  const overview = await aProcess({ relay: false, overdueAfterMs: false });
  await produce(brokers, topic.name, [counted(1)]);
  const ofConsumer = async () => (await overview.read()).consumers[0]!.group!;
  await until('it has members, and a message waits', async () => {
    const { members, lag } = await ofConsumer();
    return members === 1 && lag === 1;
  });
  const early = await overview.read();

  const timestamp = String(Date.now() - 60_000);
  await produce(
    brokers,
    topic.name,
    [1, 2].map((n) => counted(n, { timestamp, partition: 1, key: 'old' })),
  );
  const late = await until('two more wait', async () => {
    const read = await overview.read();
    return read.consumers[0]!.group!.lag === 3 && read;
  });
  await consumer.disconnect();

  expect(early.problems).toEqual([]);
  expect(early.consumers[0]!.group).toMatchObject({ lag: 1, overdue: 0 });
  expect(late.problems).toMatchObject([
    {
      severity: 'failing',
      component: `inbox ${groupId}`,
      problem: expect.stringContaining('2 messages of'),
      since: null,
    },
  ]);
});
