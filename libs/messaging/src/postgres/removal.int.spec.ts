import pg from 'pg';
import { type TestDatabase } from '../testing/database.js';
import { createSandboxDatabase, roleUrl } from '../../test/sandbox-database.js';

let database: TestDatabase;
let service: pg.Client;

beforeEach(async () => {
  database = await createSandboxDatabase();
  service = new pg.Client({ connectionString: roleUrl(database) });
  await service.connect();
});

afterEach(async () => {
  await service.end();
  await database.drop();
});

const record = (id: string, source = 's') =>
  service.query(`insert into sandbox.inbox (consumer, message_id, source) values ('c', $1, $2)`, [id, source]);

it('P4 withdraws from the inbox only what the running transaction has recorded', async () => {
  await record('before');
  await service.query('begin');
  await database.sql(`insert into sandbox.inbox (consumer, message_id, source) values ('c', 'elsewhere', 's')`);
  for (const source of ['s', 'other']) await record('own', source);
  await record('kept');

  await service.query(`select sandbox.inbox_withdraw('c', '{before,elsewhere,own,none}', '{s,s,s,s}')`);
  await service.query(`select sandbox.inbox_withdraw('another', '{kept}', '{s}')`);
  await service.query('commit');

  expect(await database.sql(`select concat(message_id, ' ', source) as left from sandbox.inbox order by 1`)).toEqual([
    { left: 'before s' },
    { left: 'elsewhere s' },
    { left: 'kept s' },
    { left: 'own other' },
  ]);
});

it('discards dead letters of the outbox, and nothing that is not dead', async () => {
  await database.sql(`
    insert into sandbox.outbox (id, aggregatetype, aggregateid, type, dataschema, sequence, payload)
    select gen_random_uuid(), 'counter', 'a', 'Counted', 'urn:event:Counted:1', n, '{}' from generate_series(1, 4) as n`);
  const columns = 'position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at';
  await database.sql(`
    insert into sandbox.outbox_parked (${columns}, error, dead_at)
    select ${columns}, 'too large', case when position <> 2 then now() end from sandbox.outbox where position < 4`);
  // The position of a message that was written after a reset of the sequence.
  await database.sql('update sandbox.outbox_parked set id = gen_random_uuid() where position = 3');

  await service.query(`select sandbox.outbox_discard('{1,2,3,4}')`);

  expect(await database.sql('select position::int from sandbox.outbox_parked')).toEqual([{ position: 2 }]);
  expect(await database.sql('select position::int from sandbox.outbox order by 1')).toEqual(
    [2, 3, 4].map((position) => ({ position })),
  );
});
