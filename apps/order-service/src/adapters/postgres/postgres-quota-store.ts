import { Injectable } from '@nestjs/common';
import { allDone, prepared } from '@twinbox/messaging/transactions';
import { type EntityManager } from 'typeorm';
import { type HoldingsQuery, QuotaStore } from '../../application/quota-store.js';
import { LIVE_STATUSES } from '../../domain/order.js';
import { type Holdings } from '../../domain/quotas.js';

/** The seed of the advisory locks on customers. Messaging uses 0. */
const SEED = 1;

const LOCK = prepared(`select pg_advisory_xact_lock(hashtextextended($1, ${SEED}))`);

const LOCK_AVAILABLE = prepared(`
  select id from unnest($1::text[]) as c (id) where pg_try_advisory_xact_lock(hashtextextended(id, ${SEED}))`);

interface HoldingsRow {
  readonly customerId: string;
  readonly unpaidOrders: number;
  readonly pieces: number;
  readonly lines: readonly (readonly [productId: string, quantity: number])[];
}

/** Served by orders_open and order_items_pkey. */
export const HOLDINGS = `
  select c.id as "customerId", count(distinct o.id)::int as "unpaidOrders", coalesce(sum(i.quantity), 0)::float8 as pieces,
         coalesce(json_agg(json_build_array(i.product_id, i.quantity)) filter (where i.product_id = any($2::text[])), '[]')
           as lines
    from unnest($1::text[]) as c (id)
    left join lateral (
      select id from orders.orders
       where customer_id = c.id and status in (${LIVE_STATUSES.map((status) => `'${status}'`).join(', ')})
       limit $3
    ) as o on true
    left join lateral (
      select product_id, quantity from orders.order_items where order_id = o.id offset 0
    ) as i on true
   group by c.id`;
const READ_HOLDINGS = prepared(HOLDINGS);

/** Served by orders_open. */
export const DRAFTS = `
  select count(*)::int as drafts
    from (select from orders.orders where customer_id = $1 and status = 'DRAFT' limit $2) as d`;
const COUNT_DRAFTS = prepared(DRAFTS);

/** Counts in a statement after the one that locks, whose snapshot may be older than what the previous holder of the lock wrote. */
@Injectable()
export class PostgresQuotaStore extends QuotaStore {
  override async lockHoldings(tx: EntityManager, customerId: string, query: HoldingsQuery): Promise<Holdings> {
    const [, held] = await allDone([tx.query(LOCK, [customerId]), holdingsOf(tx, [customerId], query)]);
    return held.get(customerId) ?? NOTHING;
  }

  override async lockAvailable(
    tx: EntityManager,
    customerIds: readonly string[],
    query: HoldingsQuery,
  ): Promise<ReadonlyMap<string, Holdings>> {
    const ids = [...new Set(customerIds)];
    const locking: Promise<{ readonly id: string }[]> = tx.query(LOCK_AVAILABLE, [ids]);
    const [locked, held] = await allDone([locking, holdingsOf(tx, ids, query)]);
    return new Map(locked.map(({ id }) => [id, held.get(id) ?? NOTHING]));
  }

  override async lockDrafts(tx: EntityManager, customerId: string, most: number): Promise<number> {
    const locking = tx.query(LOCK, [customerId]);
    const counting: Promise<{ readonly drafts: number }[]> = tx.query(COUNT_DRAFTS, [customerId, most]);
    const [, [counted]] = await allDone([locking, counting]);
    return counted?.drafts ?? 0;
  }
}

const NOTHING: Holdings = { unpaidOrders: 0, pieces: 0, ofProduct: new Map() };

async function holdingsOf(
  tx: EntityManager,
  customerIds: readonly string[],
  { productIds, maxOrders }: HoldingsQuery,
): Promise<Map<string, Holdings>> {
  const rows: HoldingsRow[] = await tx.query(READ_HOLDINGS, [customerIds, productIds, maxOrders]);
  return new Map(
    rows.map(({ customerId, unpaidOrders, pieces, lines }) => {
      const ofProduct = new Map<string, number>();
      for (const [productId, quantity] of lines) ofProduct.set(productId, (ofProduct.get(productId) ?? 0) + quantity);
      return [customerId, { unpaidOrders, pieces, ofProduct }];
    }),
  );
}
