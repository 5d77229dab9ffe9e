import { FeedSnapshot } from '../../application/order-feed-snapshot.js';
import { type FeedReading, type FeedStep } from '../../application/order-feed-store.js';

/** How a statement is run: on the pool, or on the feed's own connection. */
export type Query = <Row extends object>(text: string, values: readonly unknown[]) => Promise<Row[]>;

/** A step as pg gives it: what is beyond 32 bits, as text. */
export interface StepRow extends Omit<FeedStep, 'position' | 'xid'> {
  /** Null in a row without a step, of an outer join. */
  readonly position: string | null;
  readonly xid: string;
}

export const STEP = `t.position, t.order_id as "orderId", t.customer_id as "customerId", t.type, t.status, t.version, t.at,
       t.actor, t.cause, t.message_id as "messageId", t.detail, t.xid::text`;

/** Of a row that may have other columns too; undefined when it has no step. */
export function stepIn(row: StepRow): FeedStep | undefined {
  if (row.position === null) return undefined;
  const { orderId, customerId, type, status, version, at, actor, cause, messageId, detail } = row;
  const numbers = { position: Number(row.position), xid: Number(row.xid) };
  return { ...numbers, orderId, customerId, type, status, version, at, actor, cause, messageId, detail };
}

export function stepsIn(rows: readonly StepRow[]): FeedStep[] {
  return rows.map(stepIn).filter((step) => step !== undefined);
}

interface SinceRow extends StepRow {
  readonly snapshot: string;
  readonly looked: number;
  readonly last: string | null;
}

/**
 * What was committed since `seen`: the transactions that were open then, one by one, and all after it. So it costs what is new,
 * and not what was written since the oldest open transaction began. Served by order_timeline_xid.
 *
 * The numbers of a database that was restored from a dump may be beyond those of its new server. They are passed over, until the
 * server gets there.
 */
const SINCE = `
  with looked as materialized (
    select * from (
      (select * from orders.order_timeline where xid = any ($1::xid8[]) order by xid fetch first ($3) rows with ties)
      union all
      (select * from orders.order_timeline where xid >= $2::xid8 and xid < pg_snapshot_xmax(pg_current_snapshot())
        order by xid fetch first ($3) rows with ties)
    ) as found order by xid fetch first ($3) rows with ties)
  select pg_current_snapshot()::text as snapshot,
         (select count(*) from looked)::int as looked,
         (select xid::text from looked order by looked.xid desc limit 1) as last,
         ${STEP}
    from (values (1)) as one left join looked as t on $4::text is null or t.customer_id = $4
   order by t.position`;

/** Looks at `limit` steps, or a few more: whole transactions. */
export async function readSince(
  query: Query,
  seen: FeedSnapshot,
  limit: number,
  customerId?: string,
): Promise<FeedReading> {
  const rows = await query<SinceRow>(SINCE, [seen.open, seen.end, limit, customerId ?? null]);
  const [first] = rows;
  if (!first) throw new Error('PostgreSQL answered the feed without a row');
  const last = first.last === null ? undefined : Number(first.last);
  const isWhole = first.looked < limit;
  const steps = stepsIn(rows);
  const before = isWhole || last === undefined ? [] : await readOvertaken(query, steps, last);
  return { steps: [...before, ...steps], seen: seen.after(openIn(first.snapshot), last, isWhole), isWhole };
}

/**
 * What stands before these steps in the same orders, although its transaction has a later number: it got its number before it got
 * the order. Where a reading ends between the two, it would be told after what follows on it; so it is told with it, and once more
 * in its turn. Served by the primary key.
 */
async function readOvertaken(query: Query, steps: readonly FeedStep[], last: number): Promise<FeedStep[]> {
  const furthest = new Map(steps.map(({ orderId, position }) => [orderId, position]));
  const rows = await query<StepRow>(
    `select ${STEP}
       from unnest($1::uuid[], $2::bigint[]) as told (order_id, position)
            join orders.order_timeline t on t.order_id = told.order_id and t.position < told.position
      where t.xid > $3::xid8
      order by t.position`,
    [[...furthest.keys()], [...furthest.values()], last],
  );
  return stepsIn(rows);
}

/** All that is committed now. Served by order_timeline_xid. */
export async function readNow(query: Query): Promise<FeedSnapshot> {
  const [row] = await query<{ snapshot: string; last: string | null }>(
    `select pg_current_snapshot()::text as snapshot,
            (select xid::text from orders.order_timeline
              where xid < pg_snapshot_xmax(pg_current_snapshot()) order by order_timeline.xid desc limit 1) as last`,
    [],
  );
  if (!row) throw new Error('PostgreSQL answered the feed without a row');
  return FeedSnapshot.NOTHING.after(openIn(row.snapshot), row.last === null ? undefined : Number(row.last), true);
}

/** The transactions in progress, of PostgreSQL's `xmin:xmax:xip_list`. */
function openIn(snapshot: string): number[] {
  const [, , open = ''] = snapshot.split(':');
  return open === '' ? [] : open.split(',').map(Number);
}
