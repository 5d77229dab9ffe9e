import { Logger } from '@nestjs/common';
import { readMessage } from '../message/read-message.js';
import { counts, createSandbox, inversions, type RelayProcess, type Sandbox } from '../../test/sandbox.js';
import { until } from '../testing/until.js';

let sandbox: Sandbox;

beforeEach(async () => {
  sandbox = await createSandbox();
  Logger.overrideLogger(['fatal']);
});

afterEach(async () => {
  await sandbox.close();
});

/** Writes messages of ten keys as a database would whose clock is ahead by that many hours, or behind. */
async function write(from: number, to: number, hoursAhead: number): Promise<void> {
  await sandbox.database.sql(
    `insert into sandbox.outbox (id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at)
     select gen_random_uuid(), 'counter', 'key-' || n % 10, 'Counted', 'urn:event:Counted:1', n, '{"n":' || n || '}',
            clock_timestamp() + $3::int * interval '1 hour'
       from generate_series($1::int, $2::int) as n order by n`,
    [from, to, hoursAhead],
  );
}

const parked = () => sandbox.database.sql('select from sandbox.outbox_parked');

function started(): RelayProcess {
  const relay = sandbox.newRelay();
  relay.start();
  return relay;
}

it('P2 P3 does not make messages dead letters because the clocks of database and broker differ', async () => {
  await write(1, 100, 0);
  await write(101, 200, 2);
  await write(201, 400, 0);

  const relay = started();
  await until('all are published', () => sandbox.topic.records.length >= 400);

  expect(await parked()).toEqual([]);
  expect(inversions(sandbox.topic)).toEqual([]);
  expect(relay.health()).toMatchObject({
    healthy: true,
    problem: expect.stringContaining('clock'),
    batchesWithoutTimestamps: expect.any(Number),
  });
  await sandbox.drained();
});

it('P4 a consumer reads the time at which such a message was written', async () => {
  await write(1, 1, 2);
  started();
  const record = await until('it is published', () => sandbox.topic.records[0]);

  const reading = readMessage(record, sandbox.consumer.topic);

  expect(record.timestamp.getTime()).toBe(-1);
  const aheadMs = reading.readable ? reading.message.time.getTime() - Date.now() : undefined;
  expect(aheadMs).toBeGreaterThan(7_000_000);
  expect(aheadMs).toBeLessThan(7_300_000);
});

it('P5 publishes dead letters that such clocks caused once they are retried', async () => {
  await write(1, 3, 2);
  await sandbox.database.sql(`
    insert into sandbox.outbox_parked
      (position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at, error, dead_at)
    select position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at, 'INVALID_TIMESTAMP', now()
      from sandbox.outbox`);
  await sandbox.database.sql('delete from sandbox.outbox');
  started();

  await sandbox.deadLetters.retry({ box: 'outbox', all: true }, { actor: 'test', reason: 'the clock is right again' });

  await until('all are published', () => sandbox.topic.records.length === 3);
  await until('none is parked', async () => (await parked()).length === 0);
  expect([1, 2, 3].flatMap((n) => counts(sandbox.topic, `key-${n}`))).toEqual([1, 2, 3]);
});
