import { Logger } from '@nestjs/common';
import { counts, createSandbox, inversions, type Sandbox } from '../../test/sandbox.js';
import { anOldTransaction, readsOf } from '../../test/tuple-reads.js';
import { until } from '../testing/until.js';

/** The messages of one key that are parked at first, behind a dead letter, and those that are added later. */
const PARKED = 5000;
const LATER = 200;
/** An upper limit of the parked rows that may be read for one message, on average. */
const READS_PER_MESSAGE = 30;

let sandbox: Sandbox;
beforeEach(async () => {
  sandbox = await createSandbox();
  Logger.overrideLogger(['fatal']);
  await givenParked();
});
afterEach(() => sandbox.close());

/** Adds the messages 1 to `PARKED` of the key `hot`, and parks them as the relay does. The first one is a dead letter. */
async function givenParked(): Promise<void> {
  const columns = 'position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at';
  await sandbox.database.sql(
    `insert into sandbox.outbox (id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
     select gen_random_uuid(), 'counter', 'hot', 'Counted', 'urn:event:Counted:1', n, json_build_object('n', n)
       from generate_series(1, $1::int) as n`,
    [PARKED],
  );
  await sandbox.database.sql(
    `insert into sandbox.outbox_parked (${columns}, error, dead_at)
     select ${columns}, case when sequence = 1 then 'no' end, case when sequence = 1 then now() end from sandbox.outbox`,
  );
  await sandbox.database.sql('update sandbox.relay_lease set position = (select max(position) from sandbox.outbox)');
}

/** Reads the whole table, so it must not be polled where reads are counted. */
const parked = async () => (await sandbox.database.sql('select from sandbox.outbox_parked')).length;
const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

it('P3 P5 P6 P7 a key with thousands of parked messages delays no other key, and is published in order at a constant cost per message', async () => {
  const before = await readsOf(sandbox.database, 'sandbox.outbox_parked');
  const old = await anOldTransaction(sandbox.database, 'sandbox.outbox_parked');
  const relay = sandbox.newRelay();
  relay.start();
  const outbox = sandbox.outboxOf(relay);

  for (let n = 1; n <= LATER; n++) {
    await sandbox.add(outbox, 'hot', PARKED + n);
    await sandbox.add(outbox, 'other', n);
  }
  await sandbox.drained();

  expect(counts(sandbox.topic, 'other')).toEqual(upTo(LATER));
  expect(counts(sandbox.topic, 'hot')).toEqual([]);
  expect(await parked()).toBe(PARKED + LATER);
  await sandbox.deadLetters.retry({ box: 'outbox', key: 'hot' }, { actor: 'ann@example.com', reason: 'fixed' });
  await until('all are published', () => new Set(counts(sandbox.topic, 'hot')).size === PARKED + LATER, 60_000);
  expect([...new Set(counts(sandbox.topic, 'hot'))]).toEqual(upTo(PARKED + LATER));
  expect(inversions(sandbox.topic)).toEqual([]);
  await relay.stop();
  await old.end();
  expect(await parked()).toBe(0);
  const reads = (await readsOf(sandbox.database, 'sandbox.outbox_parked')) - before;
  expect(reads).toBeLessThan((PARKED + 2 * LATER) * READS_PER_MESSAGE);
}, 120_000);
