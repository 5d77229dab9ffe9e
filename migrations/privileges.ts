import { type EntityManager } from 'typeorm';
import { ddl } from './ddl.js';

/** The functions with which PostgreSQL lets every role create large objects, which belong to no schema and are never cleaned up. */
const LARGE_OBJECTS = `array['lo_creat(integer)', 'lo_create(oid)', 'lo_from_bytea(oid, bytea)']::regprocedure[]`;

/** The tables whose rows only functions remove, because those keep them for as long as the retention demands. */
const LOGS = `('outbox', 'inbox')`;

/**
 * Allows the role to read and write its service's rows, and nothing else: no other schema, no DDL, no temporary tables, no large objects.
 * Services of the previous version delete from the outbox and the inbox themselves. A role that has the privileges for that keeps them
 * until `contract`, and no other role gets them.
 */
export async function grant(tx: EntityManager, schema: string, { contract = false } = {}): Promise<void> {
  const database = await currentDatabase(tx);
  // So that the role can still connect when the privilege of everyone is revoked.
  await ddl(tx, 'grant connect on database %I to %I', database, schema);
  await ddl(tx, 'revoke temporary on database %I from public', database);
  await revokeLargeObjects(tx);
  await ddl(tx, 'grant usage on schema %I to %I', schema, schema);
  await ddl(tx, 'grant select, insert on all tables in schema %I to %I', schema, schema);
  await ddl(tx, `grant update, delete on ${await tablesBeside(tx, schema)} to %I`, schema);
  if (contract) await ddl(tx, 'revoke update, delete on %I.outbox, %I.inbox from %I', schema, schema, schema);
  await revokeHistory(tx, schema);
  await ddl(tx, 'grant execute on all functions in schema %I to %I', schema, schema);
  // The relay compares its position with the sequence of the outbox.
  await ddl(tx, 'grant select on all sequences in schema %I to %I', schema, schema);
  await ddl(tx, 'revoke all on %I.migrations from %I', schema, schema);
}

/** Returns the tables of the schema beside {@link LOGS}, for a statement. */
async function tablesBeside(tx: EntityManager, schema: string): Promise<string> {
  const rows: { tables: string }[] = await tx.query(
    `select string_agg(oid::regclass::text, ', ') as tables
       from pg_class where relnamespace = $1::text::regnamespace and relkind in ('r', 'p') and relname not in ${LOGS}`,
    [schema],
  );
  return rows[0]?.tables ?? '';
}

/** Revokes changes of history. */
async function revokeHistory(tx: EntityManager, schema: string): Promise<void> {
  const tables: { name: string; changes: string }[] = await tx.query(
    `select relname as name, case relname when 'messaging_incidents' then 'delete' else 'update, delete' end as changes
       from pg_class
      where relnamespace = $1::text::regnamespace and relkind = 'r'
        and relname in ('order_timeline', 'product_history', 'payment_timeline', 'messaging_audit', 'messaging_incidents')`,
    [schema],
  );
  for (const { name, changes } of tables) await ddl(tx, `revoke ${changes} on %I.%I from %I`, schema, name, schema);
}

/** Revokes the privilege of everyone to connect to these databases, so that only roles with a privilege of their own can. */
export async function closeDatabases(tx: EntityManager, databases: readonly string[]): Promise<void> {
  for (const database of databases) await ddl(tx, 'revoke connect on database %I from public', database);
}

/** Revokes from everyone what only the owner of the functions may revoke. On other servers, {@link excessOf} reports it. */
async function revokeLargeObjects(tx: EntityManager): Promise<void> {
  const functions: { name: string }[] = await tx.query(
    `select oid::regprocedure::text as name from pg_proc
      where oid = any(${LARGE_OBJECTS}) and pg_has_role(current_user, proowner, 'usage')`,
  );
  for (const { name } of functions) await tx.query(`revoke execute on function ${name} from public`);
}

/** Returns what the role may do beyond its task and the migrating role could not change, each with the statement that changes it. */
export async function excessOf(tx: EntityManager, role: string): Promise<string[]> {
  const excess: { text: string }[] = await tx.query(
    `with role as (select * from pg_roles where rolname = $1)
     select format('the role %s has privileges of an administrator. Run: alter role %I nosuperuser nocreaterole nocreatedb noreplication nobypassrls',
                   rolname, rolname) as text
       from role where rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls
      union all
     select format('the role %s is a member of %s. Run: revoke %I from %I', role.rolname, other.rolname, other.rolname, role.rolname)
       from role join pg_auth_members on member = role.oid join pg_roles as other on other.oid = roleid
      union all
     select format('the role %s owns objects in %s. Run there: reassign owned by %I to %I', rolname,
                   coalesce('the database ' || datname, 'the server'), rolname, current_user)
       from role join pg_shdepend on refclassid = 'pg_authid'::regclass and refobjid = role.oid and deptype = 'o'
            left join pg_database on pg_database.oid = dbid
      group by rolname, datname
      union all
     select format('the role %s may create objects in the schema %s. Run: revoke create on schema %I from public, %I',
                   rolname, nspname, nspname, rolname)
       from role, pg_namespace where has_schema_privilege(role.oid, pg_namespace.oid, 'create')
      union all
     select format('every role may create temporary tables. Run as its owner: revoke temporary on database %I from public', datname)
       from role, pg_database
      where datname = current_database() and has_database_privilege(role.oid, pg_database.oid, 'temporary')
      union all
     select format('the role %s may change and delete rows of %s, as services of the previous version do. '
                   || 'Once none of them runs any more, run: npm run migrate -- --contract',
                   rolname, string_agg(format('%I.%I', rolname, relname), ' and ' order by relname desc))
       from role, pg_class
      where relnamespace = to_regnamespace(quote_ident(rolname)) and relname in ${LOGS} and not rolsuper
        and has_table_privilege(role.oid, pg_class.oid, 'update, delete')
      group by rolname
      union all
     select format('every role may create large objects. Run as a superuser: revoke execute on function %s from public',
                   string_agg(name::text, ', '))
       from role, unnest(${LARGE_OBJECTS}) as name
      where has_function_privilege(role.oid, name, 'execute') having count(*) > 0
      union all
     select format('every role may connect to the database %s. If nothing else relies on that, add it to CLOSED_DATABASES, or run: '
                   || 'revoke connect on database %I from public', datname, datname)
       from role, pg_database
      where datname <> current_database() and datallowconn and has_database_privilege(role.oid, pg_database.oid, 'connect')`,
    [role],
  );
  return excess.map(({ text }) => text);
}

export async function currentDatabase(tx: EntityManager): Promise<string> {
  const rows: { database: string }[] = await tx.query('select current_database() as database');
  return rows[0]?.database ?? '';
}
