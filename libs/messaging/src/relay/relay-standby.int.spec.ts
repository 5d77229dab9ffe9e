import { type INestApplication } from '@nestjs/common';
import { type Outbox } from '../outbox/outbox.js';
import { startCounter } from '../../test/counter-process.js';
import { type ReplicatedPostgres, startReplicatedPostgres } from '../../test/replicated-postgres.js';
import { counts, createSandbox, inversions, type RelayProcess, type Sandbox } from '../../test/sandbox.js';
import { until } from '../testing/until.js';

const KEYS = ['a', 'b', 'c', 'd'];
const LAST = 60;

let servers: ReplicatedPostgres;
let sandbox: Sandbox;
let app: INestApplication;
/** The number of times that the standby refused a writer. */
let refusals = 0;

// Everything reaches PostgreSQL through the link, which leads to the standby after the fail-over.
beforeAll(async () => {
  servers = await startReplicatedPostgres(async (databaseUrl) => {
    sandbox = await createSandbox({ databaseUrl });
    await sandbox.database.sql('create table sandbox.effects (seq serial, key text not null, n integer not null)');
  });
  app = await startCounter(sandbox);
});
afterAll(async () => {
  await app.close();
  await sandbox.close();
  await servers.remove();
});

/** Adds the message, and adds it again unless it was committed when its outcome is unknown. */
async function addOnce(outbox: Outbox, key: string, n: number): Promise<void> {
  await until(
    `message ${n} of ${key} is committed`,
    async () => {
      const committed = 'select from sandbox.outbox where aggregateid = $1 and sequence = $2';
      if ((await sandbox.database.sql(committed, [key, n]).catch(counted)).length > 0) return true;
      await sandbox.add(outbox, key, n);
      return true;
    },
    30_000,
  );
}

function counted(error: { code?: string }): never {
  if (error.code === '25006') refusals++;
  throw error;
}

it('P2 P3 P4 relays and an inbox survive a fail-over to a synchronous standby: nothing lost, inverted or handled twice', async () => {
  const relays: RelayProcess[] = [sandbox.newRelay(), sandbox.newRelay()];
  for (const relay of relays) relay.start();
  const outbox = sandbox.outboxOf(relays[0]!);
  let written = 0;
  const writing = Promise.all(
    KEYS.map(async (key) => {
      for (let n = 1; n <= LAST; n++) {
        await addOnce(outbox, key, n);
        written++;
      }
    }),
  );
  await until('a third is written', () => written > (KEYS.length * LAST) / 3);

  await servers.primary.kill();
  // Clients meet the standby first while it still refuses them, and then as the primary.
  servers.leadTo(servers.standby);
  await until('the standby refuses them', () => refusals > KEYS.length);
  await servers.standby.promote();
  await writing;

  await sandbox.drained();
  const effects = () =>
    sandbox.database.sql<{ key: string; n: number }>('select key, n from sandbox.effects order by seq');
  await until('all are handled', async () => (await effects()).length >= KEYS.length * LAST, 30_000);
  const all = Array.from({ length: LAST }, (_, index) => index + 1);
  expect(inversions(sandbox.topic)).toEqual([]);
  for (const key of KEYS) {
    expect([...new Set(counts(sandbox.topic, key))]).toEqual(all);
    expect((await effects()).filter((effect) => effect.key === key).map(({ n }) => n)).toEqual(all);
  }
  expect(await sandbox.database.sql('select kind from sandbox.messaging_incidents')).toEqual([]);
}, 90_000);
