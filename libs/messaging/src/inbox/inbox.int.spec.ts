import { randomUUID } from 'node:crypto';
import { Controller, type INestApplication } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import pg from 'pg';
import { DataSource, type EntityManager } from 'typeorm';
import { PermanentError } from '../errors.js';
import { MessagingHealth } from '../operations/health.js';
import { InboxContext } from './inbox-context.js';
import { connectInboxes, MessagingModule } from '../messaging.module.js';
import { counted } from '../../test/counter-process.js';
import { Counted, COUNTER, createSandbox, type Sandbox } from '../../test/sandbox.js';
import { produce, type RawRecord } from '../testing/topic.js';
import { until } from '../testing/until.js';

/** Records each message as an effect. Tests decide what it does with a negative `n`. */
@Controller()
class CounterController {
  static onNegative: (n: number, tx: EntityManager) => void | Promise<void> = () => undefined;

  @EventPattern<string>('Counted', COUNTER)
  async onCounted(@Payload() { n }: Counted, @Ctx() { tx, message }: InboxContext): Promise<void> {
    await tx.query('insert into sandbox.effects (key, n) values ($1, $2)', [message.key, n]);
    if (n < 0) await CounterController.onNegative(n, tx);
  }
}

let sandbox: Sandbox;
const apps: INestApplication[] = [];

/** One process of the consuming service. */
async function startInstance(): Promise<INestApplication> {
  const module = await Test.createTestingModule({
    imports: [MessagingModule.forRoot(sandbox.options)],
    controllers: [CounterController],
    providers: [{ provide: DataSource, useValue: sandbox.dataSource }],
  }).compile();
  const app = module.createNestApplication(new FastifyAdapter());
  apps.push(app);
  connectInboxes(app);
  await app.init();
  await app.startAllMicroservices();
  return app;
}

const send = (...records: RawRecord[]) => produce(sandbox.options.brokers, sandbox.consumer.topic.name, records);

async function effects(): Promise<number[]> {
  const rows = await sandbox.database.sql<{ n: number }>('select n from sandbox.effects order by seq');
  return rows.map(({ n }) => n);
}

const parked = () => sandbox.database.sql('select * from sandbox.inbox_parked order by "offset"');
const deadLetters = () =>
  sandbox.database.sql('select * from sandbox.inbox_parked where dead_at is not null order by "offset"');

beforeEach(async () => {
  sandbox = await createSandbox();
  await sandbox.database.sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
  CounterController.onNegative = () => undefined;
});

afterEach(async () => {
  await Promise.all(apps.splice(0).map((app) => app.close()));
  await sandbox.close();
});

describe('the inbox', () => {
  it('P4 handles a message once, however often it is delivered', async () => {
    await startInstance();
    const id = randomUUID();

    await send(counted(1, { id }), counted(1, { id }), counted(1, { id }), counted(1, { id }), counted(1, { id }));
    await send(counted(2));

    await until('the last is handled', async () => (await effects()).includes(2));
    expect(await effects()).toEqual([1, 2]);
  });

  it('P4 handles a message once when two instances receive it at the same time', async () => {
    await Promise.all([startInstance(), startInstance()]);
    const ids = Array.from({ length: 20 }, () => randomUUID());

    // The same messages on every partition: however the partitions are assigned, both instances receive them.
    for (const partition of [0, 1, 2, 3]) await send(...ids.map((id, n) => counted(n, { id, partition })));
    await send(...[0, 1, 2, 3].map((partition) => counted(100 + partition, { partition })));

    await until(
      'the last of each partition are handled',
      async () => (await effects()).filter((n) => n >= 100).length === 4,
    );
    expect((await effects()).filter((n) => n < 100).toSorted((a, b) => a - b)).toEqual(ids.map((_, n) => n));
  });

  it('P4 rolls back the effects of a failing handler, and retries the message', async () => {
    await startInstance();
    let attempts = 0;
    CounterController.onNegative = () => {
      attempts++;
      if (attempts < 3) throw new Error('not yet');
    };

    await send(counted(-1), counted(2));

    await until('both are handled', async () => (await effects()).length === 2);
    expect(await effects()).toEqual([-1, 2]);
    expect(attempts).toBe(3);
  });

  it('P4 hands an unhandled message, and those behind it, to the next process', async () => {
    let failing = true;
    CounterController.onNegative = () => {
      if (failing) throw new Error('not in this process');
    };
    const first = await startInstance();
    await send(counted(1), counted(-2), counted(3));
    await until('the second is parked', async () => (await parked()).length === 2);

    await first.close();
    failing = false;
    await startInstance();

    await until('all are handled', async () => (await effects()).length === 3);
    expect(await effects()).toEqual([1, -2, 3]);
  });

  it('P6 keeps processing while a transaction stays open elsewhere in the database', async () => {
    const other = new pg.Client({ connectionString: sandbox.database.directUrl });
    await other.connect();
    try {
      await other.query('begin isolation level repeatable read');
      await other.query('create table sandbox.others as select pg_current_xact_id(), count(*) from sandbox.effects');
      let failures = 0;
      CounterController.onNegative = () => {
        if (failures++ === 0) throw new Error('the first time');
      };
      await startInstance();

      await send(counted(1), counted(-2), counted(3), counted(4, { key: 'b' }));

      await until('all are handled, parked ones too', async () => (await effects()).length === 4);
      await until('nothing is parked', async () => (await parked()).length === 0);
    } finally {
      // Otherwise its lock keeps the sandbox from closing, and a failure would be reported as a timeout.
      await other.end();
    }
  });

  it('P4 loses no message whose handler swallowed a database error', async () => {
    await startInstance();
    let attempts = 0;
    CounterController.onNegative = async (_, tx) => {
      attempts++;
      if (attempts < 3) await tx.query('select 1 / 0').catch(() => undefined);
    };

    await send(counted(-1), counted(2));

    await until('both are handled', async () => (await effects()).length === 2);
    expect(await effects()).toEqual([-1, 2]);
  });

  it('P5 makes a message a dead letter when its handler throws a PermanentError, and moves on', async () => {
    await startInstance();
    CounterController.onNegative = (n) => {
      throw new PermanentError(`${n} is below zero`);
    };

    await send(counted(-1, { id: 'poison' }), counted(2, { key: 'b' }));

    await until('the next is handled', async () => (await effects()).length === 1);
    expect(await effects()).toEqual([2]);
    await until('the letter is kept', async () => (await deadLetters()).length > 0);
    expect(await deadLetters()).toMatchObject([
      {
        message_id: 'poison',
        type: 'Counted',
        error: '-1 is below zero',
        value: Buffer.from('{"n":-1}'),
        key: Buffer.from('a'),
      },
    ]);
  });

  const envelope = { ce_specversion: '1.0', ce_id: 'bad', ce_type: 'Counted', ce_source: '/test' };
  const bad: [string, Partial<RawRecord>, string][] = [
    ['is not JSON', { value: Buffer.from([0xff, 0x00, 0x7b]) }, 'the value is not a JSON object in UTF-8'],
    ['is a JSON array', { value: '[]' }, 'the value is not a JSON object in UTF-8'],
    ['is a tombstone', { value: null }, 'the record has no value (a tombstone)'],
    ['has no key', { key: null }, 'the record has no key'],
    ['has a long key', { key: 'k'.repeat(256) }, 'the key is longer than 255 characters'],
    ['has a long source', { headers: { ...envelope, ce_source: '/'.repeat(256) } }, 'ce_source is longer than 255'],
    ['has no headers', { headers: {} }, 'header missing: ce_id, ce_type, ce_source, ce_specversion'],
    ['has another specversion', { headers: { ...envelope, ce_specversion: '0.3' } }, 'ce_specversion is not 1.0'],
    ['breaks its contract', { value: '{"n":"seven"}' }, 'the data violates its contract: n must be an integer number'],
    [
      'has zero bytes in its headers',
      { headers: { ...envelope, ce_type: 'a\0b', 'x\\u0000\0': '\\u0000\0' } },
      'control character',
    ],
  ];

  it.each(bad)('P5 makes a message that %s a dead letter, unchanged, and moves on', async (_, record, error) => {
    await startInstance();

    await send(counted(1, { headers: envelope, partition: 0, ...record }), counted(2, { key: 'b', partition: 0 }));

    await until('the next is handled', async () => (await effects()).length === 1);
    const letter = await until('it is kept', async () => (await deadLetters())[0]);
    expect(letter['error']).toContain(error);
    expect(letter['value']).toEqual(record.value === null ? null : Buffer.from(record.value ?? '{"n":1}'));
  });

  it('ignores a type of the contract that has no handler', async () => {
    const app = await startInstance();

    await send(
      counted(1, { headers: { ce_specversion: '1.0', ce_id: 'other', ce_type: 'Ignored', ce_source: '/test' } }),
      counted(2),
    );

    await until('the next is handled', async () => (await effects()).length === 1);
    expect(await deadLetters()).toEqual([]);
    expect(connectedInboxes(app)[0]).toMatchObject({ passedOver: 1, processed: 1 });
  });

  it('rejects two handlers for one type', async () => {
    @Controller()
    class Second {
      @EventPattern<string>('Counted', COUNTER)
      onCounted(): void {}
    }
    const module = await Test.createTestingModule({
      imports: [MessagingModule.forRoot(sandbox.options)],
      controllers: [CounterController, Second],
      providers: [{ provide: DataSource, useValue: sandbox.dataSource }],
    }).compile();
    const app = module.createNestApplication(new FastifyAdapter());
    apps.push(app);

    connectInboxes(app);

    await expect(app.startAllMicroservices()).rejects.toThrow('two handlers for Counted');
  });
});

function connectedInboxes(app: INestApplication): object[] {
  return Object.values(app.get(MessagingHealth).check().components).filter((component) => 'consuming' in component);
}
