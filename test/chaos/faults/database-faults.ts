import { type Pool } from 'pg';
import { type ParkingFact, type RecordingFact, type TakeOverFact } from '../judge/facts.js';
import { type Random } from '../random.js';
import { type ServiceName } from './schedule.js';

/** The share of failing statements among those that only message handlers execute. */
const HANDLERS_FAIL = 0.05;

/** A varchar column becomes longer each time, unless another type is given. */
type Column = readonly [schema: string, table: string, column: string, type?: 'bigint'];

/** Columns that the services read and write constantly. Widening one invalidates all cached plans that use it. */
const COLUMNS: readonly [Column, ...Column[]] = [
  ['orders', 'orders', 'description'],
  ['orders', 'orders', 'cancel_reason'],
  ['orders', 'order_timeline', 'actor'],
  ['orders', 'products', 'name'],
  ['orders', 'jobs', 'queue'],
  ['orders', 'inbox', 'source'],
  ['payments', 'payment_requests', 'reason'],
  ['payments', 'payment_timeline', 'actor'],
  ['orders', 'orders', 'version', 'bigint'],
  ['payments', 'payment_requests', 'version', 'bigint'],
  ['payments', 'jobs', 'queue'],
];

const SCHEMAS: readonly { readonly schema: string; readonly service: ServiceName }[] = [
  { schema: 'orders', service: 'order-service' },
  { schema: 'payments', service: 'payment-service' },
];

/** The functions that the triggers call, the tables in which they record, and the triggers that let handlers fail. */
const FAULTS = `
  create table chaos.pace (delay_ms int not null);
  insert into chaos.pace values (0);
  create function chaos.slow() returns trigger language plpgsql security definer as $$ begin
    perform pg_sleep(random() * delay_ms / 1000.0) from chaos.pace where delay_ms > 0;
    return null;
  end $$;
  create function chaos.fail() returns trigger language plpgsql as $$ begin
    if random() < ${HANDLERS_FAIL} then raise exception 'chaos lets this handler fail'; end if;
    return new;
  end $$;
  -- Only handlers write these: requests change neither an order's payment nor the jobs that notify its customer.
  create trigger failing before update on orders.orders
    for each row when (old.payment is distinct from new.payment) execute function chaos.fail();
  create trigger failing before insert on orders.jobs for each row execute function chaos.fail();
  create trigger failing before insert on payments.payment_requests for each row execute function chaos.fail();

  create sequence chaos.moments;
  create table chaos.parkings (
    schema text not null, id bigint not null, consumer text not null, key text not null, message_id text, holds_key boolean not null,
    error text, came bigint not null default nextval('chaos.moments'), went bigint, primary key (schema, id));
  create table chaos.recordings (
    schema text not null, consumer text not null, message_id text not null, source text not null,
    at bigint not null default nextval('chaos.moments'), primary key (schema, consumer, message_id, source));
  create function chaos.note_recording() returns trigger language plpgsql security definer as $$ begin
    if tg_op = 'INSERT' then
      insert into chaos.recordings values (tg_table_schema, new.consumer, new.message_id, new.source);
    else
      delete from chaos.recordings
       where schema = tg_table_schema and consumer = old.consumer and message_id = old.message_id and source = old.source;
    end if;
    return null;
  end $$;
  create function chaos.note_parking() returns trigger language plpgsql security definer as $$ begin
    if tg_op = 'INSERT' then
      insert into chaos.parkings (schema, id, consumer, key, message_id, holds_key, error)
      values (tg_table_schema, new.id, new.consumer, coalesce(encode(new.key, 'escape'), ''), new.message_id, new.holds_key, new.error);
    else
      update chaos.parkings set went = nextval('chaos.moments') where schema = tg_table_schema and id = old.id;
    end if;
    return null;
  end $$;

  create table chaos.take_overs (
    schema text not null, since timestamptz not null, released boolean not null, at timestamptz not null);
  create table chaos.releases (schema text primary key, at timestamptz not null);
  create function chaos.note_lease() returns trigger language plpgsql security definer as $$ begin
    if new.expires_at = '-infinity' then
      insert into chaos.releases values (tg_table_schema, clock_timestamp())
          on conflict (schema) do update set at = excluded.at;
    elsif new.token <> old.token and old.holder is not null then
      insert into chaos.take_overs
      select tg_table_schema,
             -- Released, or renewed for the last time: a lease lasts for 4 s.
             case when old.expires_at = '-infinity' then r.at else old.expires_at - interval '4 s' end,
             old.expires_at = '-infinity', clock_timestamp()
        from (values (1)) as one left join chaos.releases r on r.schema = tg_table_schema;
    end if;
    return null;
  end $$`;

/**
 * Installs triggers that make message handlers fail occasionally, delay statements as set by {@link slowDown}, and record what leaves no
 * trace otherwise: when messages were recorded and parked, and changes of the relay's lease. Because triggers do it, the services run
 * exactly as shipped.
 */
export async function installDatabaseFaults(database: Pool): Promise<void> {
  await database.query(FAULTS);
  for (const { schema } of SCHEMAS)
    await database.query(`
      create trigger recording after insert or delete on ${schema}.inbox for each row execute function chaos.note_recording();
      create trigger parking after insert or delete on ${schema}.inbox_parked for each row execute function chaos.note_parking();
      create trigger lease after update on ${schema}.relay_lease for each row execute function chaos.note_lease();
      create trigger slow before insert on ${schema}.inbox for each statement execute function chaos.slow()`);
  for (const table of ['orders.orders', 'payments.payment_requests'])
    await database.query(
      `create trigger slow before insert or update on ${table} for each statement execute function chaos.slow()`,
    );
}

/** Delays every writing statement by a random time of up to `delayMs` from now on; 0 ends this. */
export async function slowDown(database: Pool, delayMs: number): Promise<void> {
  await database.query('update chaos.pace set delay_ms = $1', [delayMs]);
}

/** Widens a column that is in use, as a migration does. @throws if the table stays locked for a second or the database is unavailable */
export async function widenColumn(database: Pool, random: Random): Promise<void> {
  const [schema, table, column, type] = random.oneOf(COLUMNS);
  const { rows } = await database.query<{ length: number | null }>(
    `select character_maximum_length as length from information_schema.columns
      where table_schema = $1 and table_name = $2 and column_name = $3`,
    [schema, table, column],
  );
  const [found] = rows;
  if (!found) throw new Error(`Column ${schema}.${table}.${column} does not exist`);
  // In a separate block, so that the timeout ends with it.
  await database.query(`do $$ begin
    perform set_config('lock_timeout', '1s', true);
    alter table ${schema}.${table} alter column ${column} type ${type ?? `varchar(${(found.length ?? 0) + 1})`};
  end $$`);
}

/** Reads all messages that were ever parked, in the order in which they were parked. */
export async function parkingsOf(database: Pool): Promise<ParkingFact[]> {
  const { rows } = await database.query<Omit<ParkingFact, 'service'> & { schema: string }>(
    `select schema, consumer, key, message_id as "messageId", holds_key as "holdsKey", error is not null as failed,
            went::float8 as went
       from chaos.parkings order by came`,
  );
  return rows.map(({ schema, ...row }) => ({ ...row, service: serviceOf(schema) }));
}

/** Reads when each consumer recorded each message, that is, handled or parked it. */
export async function recordingsOf(database: Pool): Promise<RecordingFact[]> {
  const { rows } = await database.query<RecordingFact>(
    `select consumer, message_id as "messageId", at::float8 as at from chaos.recordings order by at`,
  );
  return rows;
}

/** Reads all changes of the holder of a relay lease. */
export async function takeOversOf(database: Pool): Promise<TakeOverFact[]> {
  const { rows } = await database.query<Omit<TakeOverFact, 'service'> & { schema: string }>(
    `select schema, (extract(epoch from since) * 1000)::float8 as since, released, (extract(epoch from at) * 1000)::float8 as at
       from chaos.take_overs order by at`,
  );
  return rows.map(({ schema, ...takeOver }) => ({ service: serviceOf(schema), ...takeOver }));
}

function serviceOf(schema: string): ServiceName {
  const service = SCHEMAS.find((known) => known.schema === schema)?.service;
  if (!service) throw new Error(`No service has the schema ${schema}`);
  return service;
}
