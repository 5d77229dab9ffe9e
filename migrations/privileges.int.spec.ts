import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { messagingRetention } from '@twinbox/messaging';
import { SessionClient } from '@twinbox/messaging/session-client';
import { createDatabase, setForRole, type TestDatabase, testServerUrl } from '@twinbox/messaging/testing';
import { blocksFor, PASSWORDS } from '@twinbox/test-support';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { migrateSchemas } from './migrate-schemas.js';
import { SCHEMAS } from './schemas.js';
import { passwordVariable, SERVICES } from './services.js';

const ROLES = SERVICES.map(({ schema }) => schema);

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase(testServerUrl());
  await migrateSchemas(database.url, PASSWORDS);
});

afterAll(async () => {
  await database.drop();
});

/** Runs a statement as a role with the same name and password. */
async function runAs(role: string, statement: string, on = database): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: on.urlFor(role, role) });
  await client.connect();
  try {
    return (await client.query(statement)).rows;
  } finally {
    await client.end();
  }
}

async function excessOf(url = database.url): Promise<string[]> {
  const excess: string[] = [];
  await migrateSchemas(url, PASSWORDS, { onExcess: (text) => excess.push(text) });
  return excess;
}

describe.each(ROLES)('P10 the role %s', (role) => {
  it.each(['select lo_creat(-1)', 'select lo_create(0)', `select lo_from_bytea(0, 'x')`])(
    'creates no large object by %s',
    async (statement) => {
      await expect(runAs(role, statement)).rejects.toThrow('permission denied for function');
    },
  );

  it('owns nothing in its database, and is a member of no other role', async () => {
    const owned = await database.sql(
      `select classid::regclass::text, objid from pg_shdepend
        where refclassid = 'pg_authid'::regclass and refobjid = $1::text::regrole and deptype = 'o'
          and dbid = (select oid from pg_database where datname = current_database())`,
      [role],
    );
    const memberships = await database.sql('select roleid from pg_auth_members where member = $1::text::regrole', [
      role,
    ]);

    expect([owned, memberships]).toEqual([[], []]);
  });
});

describe.each([
  ['orders', ['order_timeline', 'product_history', 'messaging_audit']],
  ['payments', ['payment_timeline', 'messaging_audit']],
])('the history of %s', (schema, tables) => {
  const columnOf = (table: string) => (table === 'messaging_audit' ? 'id' : 'position');
  const entry = (age = '0') => `insert into ${schema}.messaging_audit (actor, action, box, letter, at)
    values ('ada', 'retry', 'inbox', '{}', now() - interval '${age}')`;

  beforeAll(async () => {
    await runAs(schema, entry());
  });

  it.each(tables)('P10 %s cannot be changed, not even by its owner', async (table) => {
    const statements = [`update ${schema}.${table} set ${columnOf(table)} = default`, `delete from ${schema}.${table}`];

    for (const statement of statements) {
      await expect(runAs(schema, statement)).rejects.toThrow(`permission denied for table ${table}`);
      await expect(database.sql(statement)).rejects.toThrow(
        `of ${schema}.${table} is rejected, because its rows show what happened`,
      );
    }
  });

  it('P10 does not lose incidents, which can be acknowledged', async () => {
    await expect(runAs(schema, `delete from ${schema}.messaging_incidents`)).rejects.toThrow('permission denied');
    await expect(runAs(schema, `update ${schema}.messaging_incidents set acknowledged_at = now()`)).resolves.toEqual(
      [],
    );
  });

  it('P10 messages in outbox and inbox can be added, and neither changed nor locked nor deleted', async () => {
    const statements = ['outbox', 'inbox'].flatMap((table) => [
      `update ${schema}.${table} set ${table === 'outbox' ? "payload = '{}'" : "received_at = '-infinity'"}`,
      `select from ${schema}.${table} for update`,
      `delete from ${schema}.${table}`,
    ]);
    await runAs(schema, message(schema));

    for (const statement of statements) await expect(runAs(schema, statement)).rejects.toThrow('permission denied');
    await expect(database.sql(`update ${schema}.outbox set payload = '{}'`)).rejects.toThrow('is rejected');
  });

  it('P10 messages are removed by functions only once they are as old as the retention', async () => {
    await database.sql(message(schema, '7 days 1 hour'));
    await database.sql(message(schema, '6 days 23 hours'));
    await database.sql(`update ${schema}.relay_lease set position = 1000`);
    await database.sql(`
      insert into ${schema}.inbox (consumer, message_id, source, received_at)
      values ('c', 'old', 's', now() - interval '30 days 1 hour'), ('c', 'new', 's', now() - interval '29 days 23 hours')`);

    const removed = await runAs(schema, `select removed from ${schema}.outbox_remove_old(0, 1000, -1e9, 1000)`);
    const forgotten = await runAs(schema, `select forgotten from ${schema}.inbox_forget('c', -1e9, null, 1000)`);

    expect([removed, forgotten]).toEqual([[{ removed: 1 }], [{ forgotten: 1 }]]);
  });

  it('P7 entries of the audit are removed by a function once they are as old as the least retention', async () => {
    await database.sql(`truncate ${schema}.messaging_audit restart identity`);
    for (const age of ['90 days 1 hour', '89 days 23 hours']) await database.sql(entry(age));

    const removed = await runAs(schema, `select forgotten from ${schema}.messaging_audit_forget(0, 0, 1000)`);

    expect(removed).toEqual([{ forgotten: 1 }]);
    expect(await database.sql(`select id::int from ${schema}.messaging_audit`)).toEqual([{ id: 2 }]);
  });

  it('P10 the payload of a message in the outbox is changed only by a function, and only for a dead letter', async () => {
    await database.sql(message(schema));
    const [{ position }] = (await database.sql<{ position: string }>(
      `select max(position)::text as position from ${schema}.outbox`,
    )) as [{ position: string }];
    const edit = () => runAs(schema, `select ${schema}.outbox_edit(${position}, '{"edited":true}')`);
    const payloads = () =>
      database.sql(
        `select log.payload as log, letter.payload as letter
           from ${schema}.outbox as log left join ${schema}.outbox_parked as letter using (position) where position = $1`,
        [position],
      );

    await edit();
    expect(await payloads()).toEqual([{ log: '{}', letter: null }]);
    const columns = 'position, id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at';
    await database.sql(
      `insert into ${schema}.outbox_parked (${columns}, error, dead_at) select ${columns}, 'too large', now()
         from ${schema}.outbox where position = $1`,
      [position],
    );
    await edit();

    expect(await payloads()).toEqual([{ log: '{"edited":true}', letter: '{"edited":true}' }]);
    await expect(
      database.sql(`update ${schema}.outbox set type = 'Other' where position = ${position}`),
    ).rejects.toThrow('is rejected');
  });

  it('P10 no other role may call these functions, nor this one change the retention', async () => {
    const other = ROLES.find((role) => role !== schema)!;
    await database.sql(`grant usage on schema ${schema} to ${other}`);

    for (const call of ['outbox_remove_old(0, 9, 0, 9)', `outbox_discard('{}')`, `inbox_forget('c', 0, null, 9)`])
      await expect(runAs(other, `select ${schema}.${call}`)).rejects.toThrow('permission denied for function');
    await expect(runAs(schema, messagingRetention(schema, { outboxMs: 0 })[0]!)).rejects.toThrow('permission denied');
    await database.sql(`revoke usage on schema ${schema} from ${other}`);
  });
});

/** SQL that adds a message of the given age to the outbox. */
function message(schema: string, age = '0'): string {
  return `insert into ${schema}.outbox (id, aggregatetype, aggregateid, type, dataschema, sequence, payload, created_at)
          values (gen_random_uuid(), 'a', 'k', 'T', 'urn', 1, '{}', now() - interval '${age}')`;
}

describe('a database of the previous version', () => {
  let upgraded: TestDatabase;

  beforeEach(async () => {
    upgraded = await createDatabase(testServerUrl());
    for (const { schema, migrations } of SCHEMAS) {
      await upgraded.sql(`create schema ${schema}`);
      const before = migrations.filter(({ name }) => !name.startsWith('RemovalByFunctions'));
      const options = { type: 'postgres', url: upgraded.url, schema, migrationsTransactionMode: 'each' } as const;
      const dataSource = await new DataSource({
        ...options,
        migrationsTableName: 'migrations',
        migrations: before,
      }).initialize();
      await dataSource.runMigrations();
      await dataSource.destroy();
      await upgraded.sql(`grant usage on schema ${schema} to ${schema}`);
      await upgraded.sql(`grant select, insert, update, delete on all tables in schema ${schema} to ${schema}`);
    }
  });

  afterEach(async () => {
    await upgraded.drop();
  });

  it('lets services of that version remove messages until migrate --contract, and asks for that', async () => {
    const asBefore = ROLES.flatMap((role) => [
      [role, `select from ${role}.outbox for update skip locked`],
      [role, `delete from ${role}.outbox`],
      [role, `select from ${role}.inbox for update skip locked`],
      [role, `delete from ${role}.inbox`],
    ]) as [string, string][];
    const ask = (role: string) =>
      `the role ${role} may change and delete rows of ${role}.outbox and ${role}.inbox, as services of the previous ` +
      'version do. Once none of them runs any more, run: npm run migrate -- --contract';

    const excess = [...(await excessOf(upgraded.url)), ...(await excessOf(upgraded.url))];
    for (const [role, statement] of asBefore) await expect(runAs(role, statement, upgraded)).resolves.toEqual([]);
    const reports = [await contract(), await contract()];

    for (const role of ROLES) expect(excess.filter((text) => text === ask(role))).toHaveLength(2);
    for (const report of reports) expect(report).not.toContain('--contract');
    for (const [role, statement] of asBefore)
      await expect(runAs(role, statement, upgraded)).rejects.toThrow('permission denied');
    for (const role of ROLES)
      await expect(runAs(role, `select from ${role}.outbox_remove_old(0, 9, 0, 9)`, upgraded)).resolves.toEqual([{}]);
  });

  /** Runs the documented command without building it first, and returns its output. */
  async function contract(): Promise<string> {
    const passwords = ROLES.map((role) => [passwordVariable(role), PASSWORDS[role]]);
    const env = { ...process.env, ...Object.fromEntries(passwords), DATABASE_URL: upgraded.url };
    const command = fileURLToPath(new URL('dist/migrate.js', import.meta.url));
    const [block] = await blocksFor('the contract step');
    const [, option] = /^npm run migrate -- (\S+)\s*$/.exec(block?.text ?? '') ?? [];
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [command, option ?? ''], { env });
    return stdout + stderr;
  }
});

describe('a closed database', () => {
  it.each(ROLES)('P10 does not let the role %s connect, but its own does', async (role) => {
    const other = await createDatabase(testServerUrl());
    const name = new URL(other.directUrl).pathname.slice(1);
    const own = new URL(database.directUrl).pathname.slice(1);
    await expect(runAs(role, 'select 1 as one', other)).resolves.toEqual([{ one: 1 }]);

    await migrateSchemas(database.url, PASSWORDS, { closedDatabases: [name, own] });

    await expect(runAs(role, 'select', other)).rejects.toThrow(`permission denied for database "${name}"`);
    await expect(runAs(role, 'select 1 as one')).resolves.toEqual([{ one: 1 }]);
    await other.drop();
  });

  it('is refused if it does not exist', async () => {
    const result = migrateSchemas(database.url, PASSWORDS, { closedDatabases: ['no such database'] });

    await expect(result).rejects.toThrow('database "no such database" does not exist');
  });
});

describe('migrate', () => {
  it('reports what a role may do beyond its task, with the statement that revokes it', async () => {
    const group = `group_of_${new URL(database.directUrl).pathname.slice(1)}`;
    await database.sql(`create role ${group}`);
    await database.sql(`grant ${group} to orders`);
    await database.sql('create schema stray authorization orders');
    await database.sql('grant create on schema public to orders');

    const excess = await excessOf();

    expect(excess).toEqual(
      expect.arrayContaining([
        `the role orders is a member of ${group}. Run: revoke ${group} from orders`,
        expect.stringMatching(
          /^the role orders owns objects in the database \S+ Run there: reassign owned by orders to /,
        ),
        'the role orders may create objects in the schema public. Run: revoke create on schema public from public, orders',
      ]),
    );
    await database.sql(`drop role ${group}`);
    await database.sql('drop schema stray');
    await database.sql('revoke create on schema public from orders');
  });

  it('reports databases that are not closed, and nothing else, after an ordinary migration', async () => {
    const excess = await excessOf();

    expect(excess.filter((text) => !text.startsWith('every role may connect to the database '))).toEqual([]);
    expect(excess).toContainEqual(
      expect.stringMatching(
        /^every role may connect to the database \S+\. .* revoke connect on database \S+ from public$/,
      ),
    );
  });

  it('of a role that may not revoke the privileges of everyone still migrates, and reports them', async () => {
    const fresh = await createDatabase(testServerUrl());
    const owner = new URL(fresh.directUrl).pathname.slice(1);
    await fresh.sql(`create role ${owner} login createrole password '${owner}'`);
    await fresh.sql(`grant create on database ${owner} to ${owner}`);
    for (const role of ROLES) await fresh.sql(`grant ${role} to ${owner} with admin option`);

    const excess = await excessOf(fresh.urlFor(owner, owner));

    expect(excess).toEqual(
      expect.arrayContaining([
        expect.stringMatching(
          /^every role may create temporary tables\. Run as its owner: revoke temporary on database /,
        ),
        'every role may create large objects. Run as a superuser: revoke execute on function ' +
          'lo_creat(integer), lo_create(oid), lo_from_bytea(oid,bytea) from public',
      ]),
    );
    await fresh.drop();
    await database.sql(`drop role ${owner}`);
  });

  it('resets what a role has set for itself', async () => {
    const own = new URL(database.directUrl).pathname.slice(1);
    await runAs('orders', `alter role orders in database ${own} set enable_indexscan = off`);
    await setForRole(database, 'orders', { work_mem: '64kB' });

    await migrateSchemas(database.url, PASSWORDS);

    const rows = await runAs(
      'orders',
      `select name, source from pg_settings where name in ('enable_indexscan', 'work_mem')`,
    );
    expect(rows).toEqual([
      { name: 'enable_indexscan', source: 'default' },
      { name: 'work_mem', source: 'default' },
    ]);
  });

  it('lets a role connect again that has set a library which does not exist, and services connect before that', async () => {
    const own = new URL(database.directUrl).pathname.slice(1);
    await runAs('orders', `alter role orders in database ${own} set local_preload_libraries = 'nonexistent'`);
    await expect(runAs('orders', 'select')).rejects.toThrow('could not access file');
    const service = new SessionClient({ connectionString: database.urlFor('orders', 'orders') });

    await service.connect();
    const { rows } = await service.query('select 1 as one');
    await service.end();
    await migrateSchemas(database.url, PASSWORDS);

    expect(rows).toEqual([{ one: 1 }]);
    await expect(runAs('orders', 'select 1 as one')).resolves.toEqual([{ one: 1 }]);
  });
});
