import { prepared } from '@twinbox/messaging/transactions';
import { type FeedBatch, type FeedStep } from '../../../application/live/ports.js';
import { type ResumePoint, Snapshot } from '../../../application/live/resume-point.js';
import { stepColumns } from '../order-table.js';
import { LANDMARKS, type Landmarks, type Query } from './landmarks.js';

export interface StepRow extends Omit<FeedStep, 'position' | 'xid'> {
  /** Null in a row of an outer join that has no step. */
  readonly position: number | null;
  readonly xid: string;
}

/** Steps per statement, at most half a megabyte. With a whole transaction it might reach its time limit, each time it is tried. */
export const MAX_STEPS = 200;

export const STEP = `${stepColumns.selectFrom('t')}, t.xid::text`;

/** Picks the step from a row that may have other columns; undefined if the row has none. */
export function stepIn(row: StepRow): FeedStep | undefined {
  if (row.position === null) return undefined;
  const { position, orderId, customerId, type, status, version, at, actor, cause, messageId, detail } = row;
  const xid = Number(row.xid);
  return { position, xid, orderId, customerId, type, status, version, at, actor, cause, messageId, detail };
}

export function stepsIn(rows: readonly StepRow[]): FeedStep[] {
  return rows.map(stepIn).filter((step) => step !== undefined);
}

/** Whether the transaction has steps. The `order by` forces an index scan: a sequential scan reads the whole table if there are none. */
const hasSteps = (xid: string) => `
  coalesce((select t.xid = ${xid} from orders.order_timeline t where t.xid >= ${xid} order by t.xid limit 1), false)`;

interface SinceRow extends StepRow, Landmarks {
  readonly snapshot: string;
  readonly knowsLast: boolean;
  readonly looked: number;
  readonly last: string | null;
}

/**
 * Selects what was committed since `seen`. Transactions that were open then are looked up one by one, so the cost depends on what is
 * new, not on what was written since the oldest open transaction began. Served by order_timeline_xid. Steps restored from a dump may
 * have transaction ids that the new server has not reached. They are ignored until it does.
 */
const SINCE = prepared(`with looked as materialized (
    select * from (
      (select * from orders.order_timeline where xid = any ($1::xid8[]) order by xid fetch first ($3) rows with ties)
      union all
      (select * from orders.order_timeline where xid >= $2::xid8 and xid < pg_snapshot_xmax(pg_current_snapshot())
        order by xid fetch first ($3) rows with ties)
    ) as found order by xid fetch first ($3) rows with ties)
  select pg_current_snapshot()::text as snapshot, ${LANDMARKS},
         ${hasSteps('$5::xid8')} as "knowsLast",
         (select count(*) from looked)::int as looked,
         (select xid::text from looked order by looked.xid desc limit 1) as last,
         ${STEP}
    from (values (1)) as one left join looked as t on $4::text is null or t.customer_id = $4
   order by t.position limit ${MAX_STEPS}`);

/** A batch, with what shows whether it continues the previous one. */
interface CheckedBatch extends FeedBatch {
  readonly landmarks: Landmarks;
  /** False if the last transaction that `seen` sees no longer has steps. */
  readonly knowsLast: boolean;
}

/** Reads whole transactions: `limit` steps, or more if the last transaction has them. */
export async function readSince(
  query: Query,
  seen: Snapshot,
  limit: number,
  customerId?: string,
): Promise<CheckedBatch> {
  const rows = await query<SinceRow>(SINCE, [
    seen.open,
    seen.end,
    limit,
    customerId ?? null,
    Math.max(0, seen.end - 1),
  ]);
  const [first] = rows;
  if (!first) throw new Error('PostgreSQL answered the feed without a row');
  const last = first.last === null ? undefined : Number(first.last);
  const isWhole = first.looked < limit;
  const steps = stepsIn(rows);
  if (last !== undefined) await readRest(query, steps, [seen.open, seen.end, last, first.snapshot, customerId ?? null]);
  const before = isWhole || last === undefined ? [] : await readOvertaken(query, steps, last);
  return {
    steps: [...before, ...steps],
    seen: seen.after(openIn(first.snapshot), last, isWhole),
    isWhole,
    landmarks: { wal: first.wal, drawn: first.drawn },
    knowsLast: seen.end === 0 || first.knowsLast,
  };
}

/**
 * Adds the steps beyond MAX_STEPS of the same transactions, except those that committed after the snapshot, which the next reading returns.
 * Served by order_timeline_xid, and for each step by the primary key.
 */
async function readRest(query: Query, steps: FeedStep[], batch: readonly unknown[]): Promise<void> {
  if (steps.length < MAX_STEPS) return;
  const rest = await query<Pick<FeedStep, 'orderId' | 'position'>>(
    `select order_id as "orderId", position::float8 as position
       from (select * from orders.order_timeline where xid = any ($1::xid8[]) union all
             select * from orders.order_timeline where xid >= $2::xid8) as t
      where xid <= $3::xid8 and pg_visible_in_snapshot(xid, $4::pg_snapshot)
        and ($5::text is null or customer_id = $5) and t.position > $6
      order by t.position`,
    [...batch, steps.at(-1)?.position],
  );
  for (let from = 0; from < rest.length; from += MAX_STEPS) {
    const part = rest.slice(from, from + MAX_STEPS);
    const rows = await query<StepRow>(
      `select ${STEP}
         from unnest($1::uuid[], $2::bigint[]) as part (order_id, position)
              join orders.order_timeline t on t.order_id = part.order_id and t.position = part.position
        order by t.position`,
      [part.map(({ orderId }) => orderId), part.map(({ position }) => position)],
    );
    steps.push(...stepsIn(rows));
  }
}

/** Counts the steps of {@link readSince}, up to `limit`. Served by order_timeline_xid. */
export async function countSince(query: Query, seen: Snapshot, limit: number, customerId?: string): Promise<number> {
  const counted = (condition: string) => `
    (select 1 from orders.order_timeline where ${condition} and ($3::text is null or customer_id = $3)
      order by xid limit $4)`;
  const [row] = await query<{ steps: number }>(
    `select count(*)::int as steps from (
       ${counted('xid = any ($1::xid8[])')} union all
       ${counted('xid >= $2::xid8 and xid < pg_snapshot_xmax(pg_current_snapshot())')} limit $4) as missed`,
    [seen.open, seen.end, customerId ?? null, limit],
  );
  return row?.steps ?? 0;
}

/**
 * Reads earlier steps of the same orders whose transactions have a higher id, which happens if a transaction gets its id and only then
 * waits for the order's lock. A reading that ends between the two would send the steps out of order, so the earlier ones are included
 * here and sent again in their turn. Served by the primary key.
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

/** Returns a snapshot of all that is committed now. Served by order_timeline_xid. */
export async function readNow(query: Query): Promise<Snapshot> {
  const [row] = await query<{ snapshot: string; last: string | null }>(
    `select pg_current_snapshot()::text as snapshot,
            (select xid::text from orders.order_timeline
              where xid < pg_snapshot_xmax(pg_current_snapshot()) order by order_timeline.xid desc limit 1) as last`,
    [],
  );
  if (!row) throw new Error('PostgreSQL answered the feed without a row');
  return Snapshot.NOTHING.after(openIn(row.snapshot), row.last === null ? undefined : Number(row.last), true);
}

/** Whether the steps exist that a client received last before this resume point. Served by order_timeline_xid. */
export async function readKnows(query: Query, { seen, scan, position = 0 }: ResumePoint): Promise<boolean> {
  const xids = [seen.last, scan?.upTo.last].filter((xid) => xid !== undefined);
  const [row] = await query<Landmarks & { knowsAll: boolean }>(
    `select ${LANDMARKS},
            not exists (select from unnest($1::xid8[]) as told (xid) where not ${hasSteps('told.xid')}) as "knowsAll"`,
    [xids],
  );
  if (!row) throw new Error('PostgreSQL answered the feed without a row');
  return row.knowsAll && (row.drawn === null || position <= Number(row.drawn));
}

/** Parses the transactions in progress from PostgreSQL's `xmin:xmax:xip_list`. */
function openIn(snapshot: string): number[] {
  const [, , open = ''] = snapshot.split(':');
  return open === '' ? [] : open.split(',').map(Number);
}
