import { Test, type TestingModule } from '@nestjs/testing';
import { DataSource } from 'typeorm';
import { MessagingHealth } from './health.js';
import { MessagingModule } from '../messaging.module.js';
import { type MessagingOptions } from '../messaging-options.js';
import { createSandbox, type Sandbox } from '../../test/sandbox.js';
import { until } from '../testing/until.js';

let sandbox: Sandbox;
let app: TestingModule | undefined;
beforeEach(async () => {
  sandbox = await createSandbox();
});
afterEach(async () => {
  await app?.close();
  app = undefined;
  await sandbox.close();
});

/** Starts a process of the service and returns its health. */
async function aProcess(options: Partial<MessagingOptions> = {}): Promise<MessagingHealth> {
  app = await Test.createTestingModule({
    imports: [
      { module: class Database {}, global: true, providers: [dataSource()], exports: [DataSource] },
      MessagingModule.forRoot({ ...sandbox.options, ...options }),
    ],
  }).compile();
  await app.init();
  return app.get(MessagingHealth);
}

const dataSource = () => ({ provide: DataSource, useValue: sandbox.dataSource });
const reported = (health: MessagingHealth) =>
  until('a poll has reported', () => {
    const { healthy, deadLetters, deadJobs, heldKeys } = health.check();
    return deadLetters && deadJobs && heldKeys && { healthy, deadLetters, deadJobs, heldKeys };
  });

/** Inserts rows that have been dead for some minutes, or that wait behind one. */
async function fill(): Promise<void> {
  await sandbox.database.sql(`
    insert into sandbox.outbox_parked
      (position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at, error, dead_at)
    select -n, gen_random_uuid(), 'counter', key, 'Counted', 'urn', 1, '{}', now(), error, now() - minutes * interval '1 minute'
      from (values (1, 'a', 'no', 10), (2, 'a', 'no', 9), (3, 'a', null, null), (4, 'b', 'no', 8)) as p (n, key, error, minutes)`);
  await sandbox.database.sql(
    `insert into sandbox.inbox_parked
       (consumer, topic, partition, "offset", recorded_at, key, headers, value, holds_key, error, dead_at)
     select consumer, 't', 0, n, now(), key::bytea, '{}', '', holds, 'no', now() - minutes * interval '1 minute'
       from (values (1, $1, 'a', true, 20), (2, $1, 'c', false, 30), (3, $1, null, true, 5), (4, 'other', 'a', true, 6))
         as p (n, consumer, key, holds, minutes)`,
    [sandbox.consumer.groupId],
  );
  await sandbox.database.sql(`
    insert into sandbox.jobs (id, queue, data, run_at, error, dead_at)
    select gen_random_uuid(), 'call', '{}', now(), 'no', now() - minutes * interval '1 minute'
      from (values (40), (50), (null)) as j (minutes)`);
}

const minutes = (oldestSeconds: number) => Math.floor(oldestSeconds / 60);

it('P9 health shows the count and oldest age of dead letters, dead jobs and held keys, and stays healthy', async () => {
  await fill();

  const { healthy, deadLetters, deadJobs, heldKeys } = await reported(await aProcess());

  expect(healthy).toBe(true);
  expect([deadLetters, deadJobs, heldKeys].map(({ count }) => count)).toEqual([7, 2, 4]);
  expect([deadLetters, deadJobs, heldKeys].map((tally) => minutes(tally.oldestSeconds))).toEqual([30, 50, 20]);
});

it('P9 a process that does not publish shows them too, as zeros if there are none', async () => {
  const { deadLetters, deadJobs, heldKeys } = await reported(await aProcess({ relay: false }));

  for (const tally of [deadLetters, deadJobs, heldKeys]) expect(tally).toEqual({ count: 0, oldestSeconds: 0 });
});

it('P9 with `go-on`, the keys of dead letters do not count as held', async () => {
  await fill();
  const consumes = [{ ...sandbox.consumer, afterDeadLetter: 'go-on' as const }];

  const { heldKeys } = await reported(await aProcess({ afterDeadLetter: 'go-on', consumes }));

  // The key of a consumer that this process does not know.
  expect(heldKeys.count).toBe(1);
});

it('P7 reads a bounded number of rows per table, however many there are', async () => {
  await sandbox.database.sql(`
    insert into sandbox.jobs (id, queue, data, run_at, error, dead_at)
    select gen_random_uuid(), 'call', '{}', now(), 'no', now() from generate_series(1, 3000)`);

  expect((await reported(await aProcess())).deadJobs.count).toBe(1000);
});
