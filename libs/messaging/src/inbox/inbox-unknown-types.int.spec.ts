import { randomUUID } from 'node:crypto';
import { jest } from '@jest/globals';
import { type INestApplication, Logger } from '@nestjs/common';
import { type InboxOptions } from '../messaging-options.js';
import { MessagingMetrics } from '../metrics/metrics.js';
import { counted, CounterController, inboxHealth, startCounter } from '../../test/counter-process.js';
import { createSandbox, type Sandbox } from '../../test/sandbox.js';
import { produce, type RawRecord } from '../testing/topic.js';
import { until } from '../testing/until.js';

let sandbox: Sandbox;
const apps: INestApplication[] = [];

async function start(options: Partial<InboxOptions> = {}): Promise<INestApplication> {
  const app = await startCounter(sandbox, { backOff: { firstMs: 50, maxMs: 200 }, ...options });
  apps.push(app);
  return app;
}

/** Starts a process of the previous version, whose contract does not name `Counted` and which has no handler for it. */
async function startOlder(options: Partial<InboxOptions> = {}): Promise<INestApplication> {
  const app = await startCounter(sandbox, { backOff: { firstMs: 50, maxMs: 200 }, ...options }, { older: true });
  apps.push(app);
  return app;
}

async function stop(): Promise<void> {
  await Promise.all(apps.splice(0).map((app) => app.close()));
}

const send = (...records: RawRecord[]) =>
  produce(
    sandbox.options.brokers,
    sandbox.consumer.topic.name,
    records.map((record) => ({ partition: 0, ...record })),
  );
const later = (type: string, fields: Partial<RawRecord> = {}) =>
  counted(7, { headers: { ce_specversion: '1.0', ce_id: randomUUID(), ce_type: type, ce_source: '/test' }, ...fields });

const effects = async () =>
  (await sandbox.database.sql<{ n: number }>('select n from sandbox.effects order by seq')).map(({ n }) => n);
const parked = () => sandbox.database.sql('select * from sandbox.inbox_parked order by id');

beforeEach(async () => {
  sandbox = await createSandbox();
  await sandbox.database.sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
  CounterController.next = () => undefined;
});

afterEach(async () => {
  await stop();
  await sandbox.close();
  jest.restoreAllMocks();
});

describe('a message of a type that the contract does not name', () => {
  it('P5 is ignored and counted, with one log line per type and nothing recorded', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const app = await start();

    await send(
      later('Later'),
      later('Later'),
      later('toString'),
      later('Later', { key: null, value: null }),
      counted(1),
    );
    await until('the next message is handled', async () => (await effects()).length === 1);

    expect(inboxHealth(app)).toMatchObject({ unknownTypes: 4, passedOver: 0, processed: 1, deadLetters: 0 });
    expect(await parked()).toEqual([]);
    expect(await sandbox.database.sql('select from sandbox.inbox')).toHaveLength(1);
    const lines = warn.mock.calls.map(([line]) => String(line)).filter((line) => line.includes('Ignoring messages'));
    expect(lines).toEqual([expect.stringContaining('type Later'), expect.stringContaining('type toString')]);
    expect(await app.get(MessagingMetrics).registry.metrics()).toContain('outcome="unknown_type"} 4');
  });

  it('P2 is delivered by a replay once the contract names its type', async () => {
    const older = await startOlder();
    const id = randomUUID();
    await send(counted(1, { id }), counted(2));
    await until('both are ignored', () => inboxHealth(older)['unknownTypes'] === 2);
    await stop();

    await start();
    await send(counted(1, { id }));

    await until('it is handled', async () => (await effects()).length === 1);
    expect(await effects()).toEqual([1]);
  });

  it('P5 becomes a dead letter with `dead-letter`, and again when an operator retries it too early', async () => {
    const app = await start({ unknownTypes: 'dead-letter' });
    await send(later('Later'), counted(1));
    await until('the next message is handled', async () => (await effects()).length === 1);
    await until('it is dead', async () => (await parked()).length === 1);

    await sandbox.deadLetters.retry({ box: 'inbox', all: true }, { actor: 'ann' });
    await until('it is dead again', () => inboxHealth(app)['deadLetters'] === 2);

    expect(await parked()).toMatchObject([{ attempts: 0, error: expect.stringContaining('does not define the type') }]);
    expect(inboxHealth(app)).toMatchObject({ unknownTypes: 0, failedAttempts: 0 });
  });

  it('P2 stays a dead letter when an operator retries it before the contract names its type', async () => {
    await start({ unknownTypes: 'dead-letter' });
    await send(later('Later'));
    await until('it is dead', async () => (await parked()).length === 1);
    await stop();
    const app = await start();

    await sandbox.deadLetters.retry({ box: 'inbox', all: true }, { actor: 'ann' });
    await until('it is dead again', () => inboxHealth(app)['deadLetters'] === 1);

    expect(await parked()).toMatchObject([{ attempts: 0, error: expect.stringContaining('does not define the type') }]);
  });

  it('P2 P3 waits with its key if a process of a newer version has parked it', async () => {
    CounterController.next = (n) => {
      if (n === 1) throw new Error('not yet');
    };
    await start();
    await send(counted(1), counted(2));
    await until('both are parked', async () => (await parked()).length === 2);
    await stop();

    await startOlder();
    await until('it was attempted', async () =>
      /does not define the type/.test(String((await parked())[0]?.['error'])),
    );
    const waiting = await parked();
    await stop();
    CounterController.next = () => undefined;
    await start();

    await until('both are handled', async () => (await effects()).length === 2);
    expect(await effects()).toEqual([1, 2]);
    expect(waiting).toMatchObject([{ dead_at: null }, { dead_at: null, attempts: 0 }]);
  });
});
