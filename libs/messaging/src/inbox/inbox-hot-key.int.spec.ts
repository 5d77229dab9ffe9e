import { type INestApplication, Logger } from '@nestjs/common';
import { PermanentError } from '../errors.js';
import { counted, CounterController, startCounter } from '../../test/counter-process.js';
import { createSandbox, type Sandbox } from '../../test/sandbox.js';
import { anOldTransaction, readsOf } from '../../test/tuple-reads.js';
import { produce } from '../testing/topic.js';
import { until } from '../testing/until.js';

/** The messages of one key that are parked at first, behind a dead letter, and those that arrive later. */
const PARKED = 2000;
const LATER = 200;
/** An upper limit of the rows that may be read for one message. With several statements each, a scan of the whole key reads thousands. */
const READS_PER_MESSAGE = 60;

let sandbox: Sandbox;
let app: INestApplication;

beforeEach(async () => {
  sandbox = await createSandbox();
  Logger.overrideLogger(['fatal']);
  await sandbox.database.sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
  CounterController.next = () => undefined;
  await givenParked();
  app = await startCounter(sandbox, { groupCommit: true });
});
afterEach(async () => {
  await app.close();
  await sandbox.close();
});

/** Parks the messages 1 to `PARKED` of the key `hot` as a consumer does. The first one is a dead letter. */
async function givenParked(): Promise<void> {
  await sandbox.database.sql(
    `with recorded as (
       insert into sandbox.inbox (consumer, message_id, source)
       select $1, 'hot-' || n, '/test' from generate_series(1, $3::int) as n)
     insert into sandbox.inbox_parked (consumer, topic, partition, "offset", recorded_at, source, message_id, type, key,
       headers, value, holds_key, attempts, error, dead_at)
     select $1, $2, 0, n, now(), '/test', 'hot-' || n, 'Counted', convert_to('hot', 'UTF8'),
            jsonb_build_object('ce_specversion', '1.0', 'ce_id', 'hot-' || n, 'ce_type', 'Counted', 'ce_source', '/test'),
            convert_to(json_build_object('n', n)::text, 'UTF8'), true, (n = 1)::int, case when n = 1 then 'no' end,
            case when n = 1 then now() end
       from generate_series(1, $3::int) as n`,
    [sandbox.consumer.groupId, sandbox.consumer.topic.name, PARKED],
  );
}

const send = (key: string, from: number, to: number) =>
  produce(
    sandbox.options.brokers,
    sandbox.consumer.topic.name,
    Array.from({ length: to - from + 1 }, (_, index) => counted(from + index, { key })),
  );

async function effects(key: string): Promise<number[]> {
  const rows = await sandbox.database.sql<{ n: number }>('select n from sandbox.effects where key = $1 order by seq', [
    key,
  ]);
  return rows.map(({ n }) => n);
}

/** Reads the whole table, so it must not be polled where reads are counted. */
const parked = async () => (await sandbox.database.sql('select from sandbox.inbox_parked')).length;
const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

it('P5 P7 a key with thousands of parked messages delays no other key, and its own are parked at a constant cost', async () => {
  const before = await readsOf(sandbox.database, 'sandbox.inbox_parked');

  await send('hot', PARKED + 1, PARKED + LATER);
  await send('other', 1, LATER);
  await until('the other key is handled', async () => (await effects('other')).length === LATER);
  await until('the rest is parked', async () => {
    const recorded = await sandbox.database.sql('select from sandbox.inbox where consumer = $1', [
      sandbox.consumer.groupId,
    ]);
    return recorded.length === PARKED + 2 * LATER;
  });

  expect(await parked()).toBe(PARKED + LATER);
  expect(await effects('other')).toEqual(upTo(LATER));
  expect(await effects('hot')).toEqual([]);
  const reads = (await readsOf(sandbox.database, 'sandbox.inbox_parked')) - before;
  expect(reads).toBeLessThan(2 * LATER * READS_PER_MESSAGE);
});

it('P3 P5 P6 P7 a key with thousands of parked messages is handled in order at a constant cost per message, and can die again', async () => {
  const dying = Math.floor(PARKED / 2);
  let poisonous = true;
  CounterController.next = (n) => {
    if (n === dying && poisonous) throw new PermanentError('poison');
  };
  const retry = () =>
    sandbox.deadLetters.retry({ box: 'inbox', key: 'hot' }, { actor: 'ann@example.com', reason: 'fixed' });
  // Statistics from a time when nothing was due, as they are after a night without dead letters.
  await sandbox.database.sql('analyze sandbox.inbox_parked');
  const before = await readsOf(sandbox.database, 'sandbox.inbox_parked');
  const old = await anOldTransaction(sandbox.database, 'sandbox.inbox_parked');

  await retry();
  await until('the first half is handled', async () => (await effects('hot')).length === dying - 1, 120_000);
  await send('other', 1, 1);
  await until('the other key is handled', async () => (await effects('other')).length === 1);
  expect(await parked()).toBe(PARKED - dying + 1);
  poisonous = false;
  await retry();
  await until('all are handled', async () => (await effects('hot')).length === PARKED, 120_000);

  expect(await effects('hot')).toEqual(upTo(PARKED));
  expect(await parked()).toBe(0);
  await old.end();
  const reads = (await readsOf(sandbox.database, 'sandbox.inbox_parked')) - before;
  expect(reads).toBeLessThan(PARKED * READS_PER_MESSAGE);
}, 300_000);
