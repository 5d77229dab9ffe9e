import { Logger } from '@nestjs/common';
import { counts, createSandbox, inversions, type Sandbox } from '../../test/sandbox.js';
import { until } from '../testing/until.js';

let sandbox: Sandbox;

beforeEach(async () => {
  sandbox = await createSandbox();
  Logger.overrideLogger(['fatal']);
});

afterEach(async () => {
  await sandbox.close();
});

/** Parks `each` messages of `keys` keys as dead letters that an operator has retried. */
async function release(keys: number, each: number): Promise<void> {
  await sandbox.database.sql(
    `insert into sandbox.outbox_parked
       (position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at)
     select nextval('sandbox.outbox_position_seq'), gen_random_uuid(), 'counter', 'released-' || key, 'Counted',
            'urn:event:Counted:1', n, '{"n":' || n || '}', now()
       from generate_series(1, $1::int) as key, generate_series(1, $2::int) as n order by n, key`,
    [keys, each],
  );
}

const released = () => sandbox.topic.records.filter(({ key }) => String(key).startsWith('released')).length;

it.each([
  ['of many keys', 400, 1],
  ['of one key', 1, 5000],
])('P5 releasing many dead letters %s does not delay other messages', async (_, keys, each) => {
  await release(keys, each);
  const relay = sandbox.newRelay();
  const outbox = sandbox.outboxOf(relay);

  relay.start();
  await until('the first ones are published', () => released() > 0);
  await sandbox.add(outbox, 'live', 1);
  await until('the live one is published', () => counts(sandbox.topic, 'live').length > 0);

  expect(released()).toBeLessThan(keys * each);
  await until('the others follow', () => released() >= keys * each);
  expect(inversions(sandbox.topic)).toEqual([]);
  await until(
    'none is parked',
    async () => (await sandbox.database.sql('select from sandbox.outbox_parked')).length === 0,
  );
});

it('P3 newer messages of a key wait behind its released ones', async () => {
  await release(50, 3);
  const relay = sandbox.newRelay();
  const outbox = sandbox.outboxOf(relay);

  relay.start();
  await until('the first ones are published', () => released() > 0);
  for (let n = 4; n <= 6; n++)
    await Promise.all(Array.from({ length: 50 }, (_, key) => sandbox.add(outbox, `released-${key + 1}`, n)));

  await until('all are published', () => released() >= 300);
  expect(inversions(sandbox.topic)).toEqual([]);
  await sandbox.drained();
});
