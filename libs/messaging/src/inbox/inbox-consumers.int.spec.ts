import { randomUUID } from 'node:crypto';
import { Controller, type INestApplication, Logger } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { IsInt, IsString } from 'class-validator';
import { DataSource } from 'typeorm';
import { CrashMarks } from './crash-marks.js';
import { InboxContext } from './inbox-context.js';
import { InboxHousekeeping } from './inbox-housekeeping.js';
import { InboxStore } from './inbox-store.js';
import { type InboxWork } from './inbox-work.js';
import { type MessagingOptions } from '../messaging-options.js';
import { PermanentError } from '../errors.js';
import { upcaster } from '../message/topic.js';
import { connectInboxes, MessagingModule } from '../messaging.module.js';
import { counted } from '../../test/counter-process.js';
import { Counted, COUNTER, createSandbox, type Sandbox } from '../../test/sandbox.js';
import { produce, type RawRecord } from '../testing/topic.js';
import { until } from '../testing/until.js';

const OTHER = Symbol('other');

/** The second version of the test event, which adds a unit to `n`. */
class CountedWithUnit {
  static readonly version = 2;
  static readonly upcasters = {
    1: upcaster(Counted, ({ n }): CountedWithUnit => ({ n, unit: 'pieces' })),
  };

  @IsInt() readonly n!: number;
  @IsString() readonly unit!: string;
}

const received: string[] = [];

/** Handles each message for two consumers. The second handler fails at first. */
@Controller()
class Listeners {
  static failures = 0;

  @EventPattern<string>('Counted', COUNTER)
  async onCounted(@Payload() { n }: Counted, @Ctx() { tx }: InboxContext): Promise<void> {
    await tx.query('insert into sandbox.effects (who, n) values ($1, $2)', ['counter', n]);
  }

  @EventPattern<string>('Counted', OTHER)
  async onCountedToo(@Payload() { n }: Counted, @Ctx() { tx }: InboxContext): Promise<void> {
    await tx.query('insert into sandbox.effects (who, n) values ($1, $2)', ['other', n]);
    if (Listeners.failures++ < 2) throw new Error('not yet');
  }
}

/** Knows version 1 alone. It fails to handle 1 and 2. */
@Controller()
class OldListener {
  @EventPattern<string>('Counted', COUNTER)
  onCounted(@Payload() { n }: Counted): void {
    received.push(`old: ${n}`);
    if (n === 1) throw new PermanentError('a bug that the next version fixes');
    if (n === 2) throw new Error('an outage');
  }
}

@Controller()
class UnitListener {
  @EventPattern<string>('Counted', COUNTER)
  onCounted(@Payload() data: CountedWithUnit): void {
    received.push(`${data.constructor.name}: ${data.n} ${data.unit}`);
  }
}

let sandbox: Sandbox;
const apps: INestApplication[] = [];

async function start(controller: new () => object, consumes: MessagingOptions['consumes']): Promise<void> {
  const module = await Test.createTestingModule({
    imports: [MessagingModule.forRoot({ ...sandbox.options, consumes })],
    controllers: [controller],
    providers: [{ provide: DataSource, useValue: sandbox.dataSource }],
  }).compile();
  const app = module.createNestApplication(new FastifyAdapter());
  apps.push(app);
  connectInboxes(app);
  await app.init();
  await app.startAllMicroservices();
}

const send = (...records: RawRecord[]) => produce(sandbox.options.brokers, sandbox.consumer.topic.name, records);
const effects = (who: string) => sandbox.database.sql(`select n from sandbox.effects where who = '${who}' order by n`);

beforeEach(async () => {
  sandbox = await createSandbox();
  await sandbox.database.sql('create table sandbox.effects (who text not null, n integer not null)');
});

afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
  await sandbox.close();
});

it('P4 a message has its effect once for each of several consumers, independently of the others', async () => {
  const other = { ...sandbox.consumer, consumer: OTHER, groupId: `${sandbox.consumer.groupId}-other` };
  await start(Listeners, [sandbox.consumer, { ...other, backOff: { firstMs: 50, maxMs: 100 } }]);
  const records = Array.from({ length: 20 }, (_, n) => counted(n, { key: `k${n % 3}` }));

  await send(...records);
  await send(...records.slice(0, 7), counted(20), counted(20, { key: 'b' }));

  await until(
    'both have handled all',
    async () => (await effects('counter')).length + (await effects('other')).length === 44,
  );
  const each = [...Array.from({ length: 21 }, (_, n) => ({ n })), { n: 20 }];
  expect(await effects('counter')).toEqual(each);
  expect(await effects('other')).toEqual(each);
});

it('P2 P5 a deployment handles messages of both versions, and upcasts what the old version failed to handle', async () => {
  const backOff = { firstMs: 1000, maxMs: 1000 };
  await start(OldListener, [{ ...sandbox.consumer, backOff }]);
  const { headers } = counted(0);
  const version = (n: number) => ({ ...headers, ce_id: randomUUID(), ce_dataschema: `urn:event:Counted:${n}` });
  const sent = (n: number) => counted(n, { key: `k${n}`, headers: version(1) });
  const newer = (n: number) => ({ ...sent(n), headers: version(2), value: `{"n":${n},"unit":"boxes"}` });

  await send(sent(1), sent(2), newer(3));
  await until('the old version has received all', () => received.length >= 3);
  await until(
    'two have failed',
    async () => (await sandbox.database.sql('select from sandbox.inbox_parked')).length === 2,
  );
  await Promise.all(apps.splice(0).map((app) => app.close()));
  received.length = 0;
  const topic = { ...sandbox.consumer.topic, events: { Counted: CountedWithUnit } };
  await start(UnitListener, [{ ...sandbox.consumer, topic, backOff }]);
  await send(sent(4), newer(5));
  await sandbox.deadLetters.retry({ box: 'inbox', all: true }, { actor: 'ann' });

  await until('the new version has received all', () => received.length >= 4);
  expect(received.toSorted()).toEqual([
    'CountedWithUnit: 1 pieces',
    'CountedWithUnit: 2 pieces',
    'CountedWithUnit: 4 pieces',
    'CountedWithUnit: 5 boxes',
  ]);
  expect(await sandbox.database.sql('select from sandbox.inbox_parked')).toEqual([]);
});

it('P7 the inbox deletes rows older than its retention in chunks, and does not wait for locked rows', async () => {
  const { groupId } = sandbox.consumer;
  const { dataSource } = sandbox;
  const owner = await new DataSource({ type: 'postgres', url: sandbox.database.url }).initialize();
  const chunks: number[] = [];
  dataSource.subscribers.push({
    afterQuery: ({ query, rawResults }) => {
      if (query.includes('inbox_forget'))
        chunks.push((rawResults as { rows: { forgotten: number }[] }).rows[0]!.forgotten);
    },
  });
  const remember = (count: number, consumer: string, age: string) =>
    sandbox.database.sql(
      `insert into sandbox.inbox (consumer, source, message_id, received_at)
       select $1, '/test', 'of ' || $2 || n, now() - $2::interval from generate_series(1, $3::int) as n`,
      [consumer, age, count],
    );
  await remember(12_000, groupId, '25 hours');
  await remember(10, groupId, '23 hours');
  await remember(10, 'another', '25 hours');
  const holder = owner.createQueryRunner();
  await holder.startTransaction();
  await holder.query(`select from sandbox.inbox where message_id = 'of 25 hours7' for update`);
  const stopping = new AbortController();
  const housekeeping = new InboxHousekeeping({
    store: new InboxStore('sandbox', groupId, true),
    crashMarks: new CrashMarks('sandbox', groupId),
    dataSource,
    settings: { retentionMs: 24 * 3600 * 1000 },
    logger: new Logger(),
    stopping: stopping.signal,
  } as unknown as InboxWork);

  await housekeeping.forget();

  const left = () =>
    sandbox.database.sql(
      `select consumer = $1 as own, now() - received_at > interval '1 day' as old, count(*)::int
                            from sandbox.inbox group by 1, 2 order by 1, 2`,
      [groupId],
    );
  expect(await left()).toEqual([
    { own: false, old: true, count: 10 },
    { own: true, old: false, count: 10 },
    { own: true, old: true, count: 1 },
  ]);
  expect(chunks).toEqual([5000, 5000, 1999]);
  await holder.rollbackTransaction();
  await holder.release();
  await housekeeping.forget();
  expect(await left()).toHaveLength(2);
  await owner.destroy();
});
