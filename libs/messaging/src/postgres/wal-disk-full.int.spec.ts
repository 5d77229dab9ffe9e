import { counted, CounterController, inboxHealth, startCounter } from '../../test/counter-process.js';
import { startPostgresWithSmallWal, whyNoDiskFor } from '../../test/full-disks.js';
import { counts, createSandbox } from '../../test/sandbox.js';
import { produce } from '../testing/topic.js';
import { until } from '../testing/until.js';
import { databaseErrorOf } from './database-errors.js';

const whyNot = await whyNoDiskFor('PostgreSQL');
/** A skipped block has the reason as its title. */
const onSmallDisk = whyNot === undefined ? describe : describe.skip;

const undo: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (let step = undo.pop(); step; step = undo.pop()) await step();
});

onSmallDisk(whyNot ?? 'on a disk of its own', () => {
  it('P2 P5 P8 a full disk of the write-ahead log stops PostgreSQL, and nothing is lost when it is back', async () => {
    const { disk, postgres } = await startPostgresWithSmallWal(undo);
    const sandbox = await createSandbox({ databaseUrl: postgres.url });
    undo.push(() => sandbox.close());
    const sql = (text: string) => sandbox.database.sql(text);
    await sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
    CounterController.next = () => undefined;
    const app = await startCounter(sandbox, { maxAttempts: 1, backOff: { firstMs: 50, maxMs: 200 } });
    undo.push(() => app.close());
    const relay = sandbox.newRelay();
    const outbox = sandbox.outboxOf(relay);
    relay.start();
    const send = (n: number) =>
      produce(sandbox.options.brokers, sandbox.consumer.topic.name, [counted(n, { key: 'in' })]);
    await sandbox.add(outbox, 'a', 1);
    await sandbox.drained();

    await disk.fill();
    const failure = await until('the disk is full', async () => {
      // The rest of a segment has space.
      await sql('select pg_switch_wal()').catch(() => undefined);
      return sandbox.add(outbox, 'a', 0).then(
        () => undefined,
        (error: unknown) => error,
      );
    });
    await send(100);
    await until('the consumer and the relay report it', () => !inboxHealth(app).healthy && !relay.health().healthy);
    await disk.free();

    await until('PostgreSQL is back', async () => {
      await postgres.start();
      return (await sql('select 1 as n')).length === 1;
    });
    await until('the next message is written', () => sandbox.add(outbox, 'a', 2).then(() => true));
    await sandbox.drained();
    await until(
      'the message is handled',
      async () => (await sql('select from sandbox.effects where n = 100')).length === 1,
    );
    expect(databaseErrorOf(failure, { anySocket: true })).toBe('unavailable');
    expect(new Set(counts(sandbox.topic, 'a').filter((n) => n > 0))).toEqual(new Set([1, 2]));
    expect(await sql('select from sandbox.outbox_parked')).toEqual([]);
    expect(await sql('select from sandbox.inbox_parked')).toEqual([]);
    await until('both are healthy', () => inboxHealth(app).healthy && relay.health().healthy);
  });
});
