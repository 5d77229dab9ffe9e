import { randomUUID } from 'node:crypto';
import { type INestApplication } from '@nestjs/common';
import { createTopics } from '../kafka/topics.js';
import { type KafkaRecord } from '../message/message.js';
import { kafkaOptionsOf, type MessagingOptions } from '../messaging-options.js';
import { Outbox } from '../outbox/outbox.js';
import { DueWork } from '../poll/due-work.js';
import { type StepContext } from '../stored-operations/operation-kind.js';
import { Operations } from '../stored-operations/operations.js';
import { type OperationRequest, type StoredOperation } from '../stored-operations/stored-operation.js';
import { configureTopic, readTopic, type TopicReader } from '../testing/topic.js';
import { until } from '../testing/until.js';
import { Child } from '../../test/child.js';
import { CounterController, inboxHealth, startCounter } from '../../test/counter-process.js';
import { counts, createSandbox, inversions, type Sandbox } from '../../test/sandbox.js';
import { ReplayOperation } from './replay-operation.js';

const KEYS = ['a', 'b', 'c'];
const PER_KEY = 20;

let sandbox: Sandbox;
let app: INestApplication;
/** A topic for copies, with another number of partitions. */
let other: TopicReader;
let otherTopic: string;

const operations = () => app.get(Operations);
const request = (filter: object, options: object = {}): OperationRequest => ({
  kind: 'replay',
  filter: filter as OperationRequest['filter'],
  options,
});
const preview = async (filter: object, options: object = {}) => operations().preview(request(filter, options));

async function create(filter: object, options: object = {}): Promise<StoredOperation> {
  const dryRun = await preview(filter, options);
  return sandbox.dataSource.transaction((tx) =>
    operations().create(tx, { ...request(filter, options), dryRun, actor: 'ada', reason: 'a new report' }),
  );
}

async function ended(id: string): Promise<StoredOperation> {
  return until('the operation has ended', async () => {
    const operation = await operations().find(id);
    return operation?.finishedAt ? operation : undefined;
  });
}

async function replay(filter: object, options: object = {}): Promise<StoredOperation> {
  return ended((await create(filter, options)).id);
}

async function effects(): Promise<Record<string, number[]>> {
  const rows = await sandbox.database.sql<{ key: string; all: number[] }>(
    'select key, array_agg(n order by seq) as all from sandbox.effects group by key',
  );
  return Object.fromEntries(rows.map(({ key, all }) => [key, all]));
}

async function rowsOf(key: string): Promise<{ position: string; id: string; created: Date }[]> {
  return sandbox.database.sql(
    'select position::text, id, created_at as created from sandbox.outbox where aggregateid = $1 order by outbox.position',
    [key],
  );
}

const copiesOf = (operation: string, { records }: TopicReader) =>
  records.filter(({ headers }) => headers['twinbox-replay'] === operation);
const idsOf = (records: readonly KafkaRecord[]) => records.map(({ headers }) => headers['ce_id']);

beforeAll(async () => {
  sandbox = await createSandbox();
  await sandbox.database.sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
  otherTopic = `${sandbox.options.service}-other`;
  const contract = sandbox.consumer.topic;
  await createTopics(kafkaOptionsOf(sandbox.options), [{ ...contract, name: otherTopic, partitions: 3 }]);
  other = await readTopic(sandbox.options.brokers, otherTopic);
  CounterController.next = () => undefined;
  app = await startCounter(sandbox);
  for (let n = 0; n < PER_KEY; n++) for (const key of KEYS) await sandbox.add(app.get(Outbox), key, n);
  await sandbox.drained();
  await until('all are handled', async () => Object.values(await effects()).flat().length === KEYS.length * PER_KEY);
});

afterAll(async () => {
  await other?.close();
  await app?.close();
  await sandbox?.close();
});

describe('a replay', () => {
  const numbers = Array.from({ length: PER_KEY }, (_, n) => n);

  it('P3 P4 publishes the originals again in order, and the consumer that handled them drops the copies', async () => {
    const before = await effects();
    const originals = sandbox.topic.records.slice();

    const operation = await replay({ all: true });

    await sandbox.topic.caughtUp();
    const copies = copiesOf(operation.id, sandbox.topic);
    expect(operation).toMatchObject({ state: 'done', total: 60, done: 60, failed: 0 });
    for (const key of KEYS) {
      const ofKey = (records: readonly KafkaRecord[]) => records.filter((record) => record.key?.toString() === key);
      expect(idsOf(ofKey(copies))).toEqual(idsOf(ofKey(originals)));
    }
    await until('the consumer has read them', () => inboxHealth(app)['duplicates'] === 60);
    expect(await effects()).toEqual(before);
  });

  it('copies keep id, key, data, headers and time; they carry the id of the operation, and Kafka keeps them like new messages', async () => {
    const [row] = await rowsOf('a');
    const startedAt = Date.now();

    const operation = await replay({ fromPosition: row!.position, toPosition: row!.position });

    await sandbox.topic.caughtUp();
    const [copy] = copiesOf(operation.id, sandbox.topic);
    const original = sandbox.topic.records.find(({ headers }) => headers['ce_id'] === row!.id)!;
    const { ce_time: time, ['twinbox-replay']: mark, ...headers } = copy!.headers;
    expect(headers).toEqual(original.headers);
    expect([mark, time]).toEqual([operation.id, original.timestamp.toISOString()]);
    expect([copy!.key, copy!.value, copy!.partition]).toEqual([original.key, original.value, original.partition]);
    expect(copy!.timestamp.getTime()).toBeGreaterThanOrEqual(startedAt);
  });

  it('P4 a new consumer group handles each message once, in the order of its key', async () => {
    const before = await effects();
    const groupId = `${sandbox.consumer.groupId}-new`;

    const second = await startCounter(sandbox, { groupId });

    await until('it has handled them', async () => Object.values(await effects()).flat().length === 120);
    const after = await effects();
    for (const key of KEYS) expect(after[key]).toEqual([...before[key]!, ...numbers]);
    await until('it has read the copies', () => Number(inboxHealth(second)['duplicates']) >= 61);
    await second.close();
    await sandbox.database.sql('delete from sandbox.effects where seq > 60');
  });

  it('P3 goes to another topic, over the partitions of that', async () => {
    const operation = await replay({ aggregateId: 'b' }, { topic: otherTopic });

    await other.caughtUp();
    expect(operation).toMatchObject({ state: 'done', total: PER_KEY, done: PER_KEY });
    expect(counts(other, 'b')).toEqual(numbers);
    expect(new Set(other.ofKey('b').map(({ partition }) => partition)).size).toBe(1);
    expect(idsOf(copiesOf(operation.id, other))).toEqual((await rowsOf('b')).map(({ id }) => id));
  });

  it('P2 P3 resumes after kill -9 where it stopped, and never changes the order of a key', async () => {
    await app.close();
    const relay = sandbox.newRelay();
    relay.start();
    await sandbox.dataSource.transaction(async (tx) => {
      for (let n = 0; n < 150; n++) await sandbox.add(sandbox.outboxOf(relay), 'k', n, tx);
    });
    await sandbox.drained();
    const first = startRunner();
    await first.says('started');
    const { id, total } = await create({ aggregateId: 'k' }, { topic: otherTopic, ratePerSecond: 40 });
    const done = async () => (await operations().find(id))!.done;
    await until('it has begun', async () => (await done()) >= 40);

    await first.kill();
    const killedAt = await done();
    await sandbox.database.sql(
      `update sandbox.messaging_operations set runner_until = '-infinity', options = options - 'ratePerSecond'`,
    );
    const second = startRunner();
    const operation = await ended(id);

    await second.kill();
    await other.caughtUp();
    expect(killedAt).toBeLessThan(total);
    expect(operation).toMatchObject({ state: 'done', total: 150, done: 150 });
    expect(new Set(counts(other, 'k')).size).toBe(150);
    expect(inversions(other)).toEqual([]);
    expect(counts(other, 'k').length).toBeLessThanOrEqual(150 + 40);
    await relay.stop();
    app = await startCounter(sandbox);
  });
});

/** Starts a process that runs operations, and neither publishes nor consumes. */
function startRunner(): Child {
  const { options, consumer } = sandbox;
  const topic = { ...consumer.topic, events: {} };
  return Child.start(
    `
      import { NestFactory } from '@nestjs/core';
      import { DataSource } from 'typeorm';
      import { MessagingModule } from './messaging.module.js';

      const options = JSON.parse(process.env.OPTIONS);
      const dataSource = await new DataSource({ type: 'postgres', url: options.databaseUrl }).initialize();
      class App {}
      const module = { module: App, imports: [MessagingModule.forRoot(options)], providers: [{ provide: DataSource, useValue: dataSource }] };
      await NestFactory.createApplicationContext(module, { logger: false });
      console.log('started');`,
    { OPTIONS: JSON.stringify({ ...options, relay: false, publishes: [topic], consumes: [] }) },
  );
}

describe('the filter of a replay', () => {
  const sql = async <T extends object>(text: string) => sandbox.database.sql<T>(text);
  const total = async (filter: object) => (await preview(filter)).total;

  it('selects by position, aggregate, aggregate type and type, and shows the first 20', async () => {
    const [, second, third] = await rowsOf('c');
    const dryRun = await preview({ aggregateId: 'c' });

    expect(dryRun).toMatchObject({ total: PER_KEY, asOf: expect.any(String) as string });
    expect(dryRun.first).toHaveLength(20);
    expect(dryRun.first[1]).toMatchObject({
      position: second!.position,
      id: second!.id,
      type: 'Counted',
      aggregateType: 'counter',
      aggregateId: 'c',
      topic: sandbox.consumer.topic.name,
    });
    expect(dryRun.first[1]).not.toHaveProperty('payload');
    const range = { fromPosition: second!.position, toPosition: third!.position };
    expect(await total({ ...range, aggregateId: 'c' })).toBe(2);
    expect(await total({ ...range, type: 'Counted' })).toBe(4);
    expect(await total({ ...range, type: 'Other' })).toBe(0);
    expect(await total({ ...range, aggregateType: 'other' })).toBe(0);
  });

  it('selects by time, although positions and times differ by a few minutes', async () => {
    await sql(
      `update sandbox.outbox set created_at = now() - interval '10 h' + position * interval '1 min'
         - case when position % 7 = 0 then interval '3 min' else interval '0' end`,
    );
    const rows = await sql<{ created: Date }>('select created_at as created from sandbox.outbox');
    const from = new Date(Date.now() - 9.4 * 3_600_000);
    const to = new Date(Date.now() - 8.8 * 3_600_000);
    const expected = rows.filter(({ created }) => created >= from && created < to).length;

    expect(expected).toBeGreaterThan(10);
    expect(await total({ createdAfter: from.toISOString(), createdBefore: to.toISOString() })).toBe(expected);
    expect(await total({ createdAfter: new Date().toISOString() })).toBe(0);
    expect(await total({ createdBefore: '2026-01-01T00:00:00Z' })).toBe(0);
    expect(await total({ createdBefore: '2026-01-01T00:00:00+23:59' })).toBe(0);
  });

  it('leaves out what is not published, dead letters and messages that wait behind them', async () => {
    const all = await total({ all: true });
    await sql(
      `insert into sandbox.messaging_pauses (kind, name, actor) values ('relay', 'relay', 'ada'); notify sandbox_outbox, 'pauses-changed'`,
    );
    await until('the relay is paused', async () => (await sql('select from sandbox.messaging_pauses')).length === 1);
    await until('the process knows', () => app.get(DueWork).pauses.stops('relay', 'relay'));
    await sandbox.add(app.get(Outbox), 'u', 1);
    await sql(
      `insert into sandbox.outbox_parked (position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at, error, dead_at)
       select position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at, 'no', now()
         from sandbox.outbox where aggregateid = 'c'`,
    );

    expect(await total({ all: true })).toBe(all - PER_KEY);
    expect(await total({ aggregateId: 'u' })).toBe(0);
    await sql('delete from sandbox.outbox_parked');
  });

  it('waits while the relay is paused, and goes on when it is resumed', async () => {
    const { id } = await create({ aggregateId: 'a' });
    await until('it says so', async () => (await operations().find(id))!.problem?.includes('The relay is paused'));

    await sandbox.database.sql(
      `delete from sandbox.messaging_pauses; update sandbox.messaging_operations set runner_until = '-infinity'`,
    );
    expect(await ended(id)).toMatchObject({ state: 'done', done: PER_KEY });
  });

  it.each<[string, object, object, string]>([
    ['no filter', {}, {}, 'No filter given'],
    ['an unknown filter', { consumer: 'x' }, {}, 'A replay has no filter consumer. It has createdAfter'],
    ['all with a filter', { all: true, type: 'Counted' }, {}, 'Give either a filter or all: true, not both'],
    ['an invalid time', { createdAfter: 'yesterday' }, {}, 'createdAfter must be a time such as'],
    [
      'a day that does not exist',
      { createdBefore: '2026-02-30T00:00:00Z' },
      {},
      'createdBefore must be a time such as',
    ],
    ['half of a surrogate pair', { aggregateId: '\uD800' }, {}, 'aggregateId contains half of a surrogate pair'],
    ['an invalid position', { fromPosition: '1e3' }, {}, 'fromPosition must be a position as text'],
    [
      'times in the wrong order',
      { createdAfter: '2026-02-01T00:00:00Z', createdBefore: '2026-01-01T00:00:00Z' },
      {},
      'must not be after',
    ],
    ['a zero byte', { aggregateId: 'a\0' }, {}, 'aggregateId'],
    ['a canary', { all: true }, { canary: true }, 'has no option canary'],
    ['a topic that does not exist', { all: true }, { topic: 'nowhere' }, 'Topic nowhere does not exist. Create it'],
    ["a topic of Kafka's own", { all: true }, { topic: '__consumer_offsets' }, "a topic of Kafka's own"],
  ])('refuses %s', async (_, filter, options, text) => {
    await expect(preview(filter, options)).rejects.toThrow(text);
    await expect(create(filter, options)).rejects.toThrow(text);
  });
});

describe('P4 a replay whose copies could outlive the ids of a consumer', () => {
  const previewOf = async (options: Partial<MessagingOptions>, more = {}) =>
    replayOf(options).preview(sandbox.dataSource, { all: true }, asOf(), more);

  it.each<[string, (topic: Sandbox['consumer']['topic']) => Partial<MessagingOptions>, string]>([
    [
      'of this service',
      (topic) => ({ consumes: [{ ...sandbox.consumer, topic, inboxRetentionMs: 3_600_000 }] }),
      'forget a message 3600 s after handling it',
    ],
    [
      'of another service, by the contract',
      (topic) => ({ consumes: [], publishes: [{ ...topic, inboxRetentionMs: 86_400_000 }] }),
      'consumers according to the contract forget a message 1 days after handling it',
    ],
  ])('is refused for a consumer %s, and says what to do, unless it is forced', async (_, optionsOf, text) => {
    const options = optionsOf(sandbox.consumer.topic);

    await expect(previewOf(options)).rejects.toThrow(text);
    await expect(previewOf(options)).rejects.toThrow(
      /Replay only messages from after 20.*shorten retention.ms.*Pass force only if/,
    );
    expect((await previewOf(options, { force: true })).total).toBeGreaterThan(200);
  });

  it('is refused for a topic that keeps messages for ever, and accepted for consumers that remember them for ever', async () => {
    await configureTopic(sandbox.options.brokers, otherTopic, { 'retention.ms': '-1' });
    const forever = { publishes: [{ ...sandbox.consumer.topic, inboxRetentionMs: 0 }], consumes: [] };

    await expect(previewOf({}, { topic: otherTopic })).rejects.toThrow('may keep a copy for ever');
    expect((await previewOf(forever, { topic: otherTopic })).total).toBeGreaterThan(200);
  });

  it('fails when that becomes true while it runs, before it sends anything', async () => {
    const options = { consumes: [{ ...sandbox.consumer, inboxRetentionMs: 3_600_000 }] };
    const step = replayOf(options).step(anOperation(), 10, aContext());

    await expect(step).rejects.toThrow('Effects may be repeated');
    await expect(step).rejects.toMatchObject({ name: 'PermanentError' });
  });

  it('sends nothing once another process may run the operation', async () => {
    const saved: unknown[] = [];
    const operation = anOperation();

    const step = await replayOf({}).step(
      operation,
      10,
      aContext({ mayGoOn: () => false, save: async (__, of) => void saved.push(of) }),
    );

    await sandbox.topic.caughtUp();
    expect(step).toMatchObject({ done: 0, more: true });
    expect(saved).toEqual([step]);
    expect(copiesOf(operation.id, sandbox.topic)).toEqual([]);
  });

  it('is refused before the relay has published anything', async () => {
    const fresh = await createSandbox();
    const kind = new ReplayOperation(fresh.options, new DueWork());

    const refused = kind.preview(fresh.dataSource, { all: true }, asOf(), {});

    await expect(refused).rejects.toThrow('The relay has not published anything');
    await fresh.close();
  });
});

describe('a replay of a large outbox', () => {
  it('needs only the topics of the messages that it finds', async () => {
    const { topic } = sandbox.consumer;
    const unused = { ...topic, aggregateType: 'unused', name: 'nowhere' };

    const step = await replayOf({ publishes: [unused, topic] }).step(anOperation(), 10, aContext());

    expect(step).toMatchObject({ done: 10, more: true });
  });

  it('P7 looks at a bounded number of messages in its dry run', async () => {
    const large = await createSandbox();
    await large.database.sql(
      `insert into sandbox.outbox (id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
       select gen_random_uuid(), 'counter', n::text, case when n > 500000 then 'Rare' else 'Counted' end, '', n, '{}'
         from generate_series(1, 500001) as n`,
    );
    await large.database.sql('update sandbox.relay_lease set position = 500001');
    const kind = new ReplayOperation(large.options, new DueWork());
    const dryRun = (filter: object) => kind.preview(large.dataSource, filter as OperationRequest['filter'], asOf(), {});

    expect(await dryRun({ all: true })).toMatchObject({ total: 100_000, totalIsExact: false });
    expect(await dryRun({ type: 'Rare' })).toMatchObject({ total: 0, totalIsExact: false });
    expect(await dryRun({ type: 'Rare', fromPosition: '400000' })).toMatchObject({ total: 1, totalIsExact: true });
    await large.close();
  });
});

const asOf = () => new Date(Date.now() + 1000).toISOString();
const replayOf = (options: Partial<MessagingOptions>) =>
  new ReplayOperation({ ...sandbox.options, ...options }, new DueWork());

function anOperation() {
  return {
    id: randomUUID(),
    filter: { all: true },
    asOf: asOf(),
    options: {},
    actor: 'ada',
    reason: null,
    progress: null,
  };
}

function aContext(more: Partial<StepContext> = {}): StepContext {
  const { dataSource } = sandbox;
  return {
    dataSource,
    signal: new AbortController().signal,
    mayGoOn: () => true,
    save: () => Promise.resolve(),
    ...more,
  };
}
