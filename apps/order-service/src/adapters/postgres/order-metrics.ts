import { Global, Injectable, Module } from '@nestjs/common';
import { addDatabaseGauges, MetricsSource, readForGauges } from '@twinbox/api-kit';
import { Registry } from 'prom-client';
import { DataSource, type EntityManager } from 'typeorm';
import { OrderServiceConfig } from '../../config.js';
import {
  LIVE_STATUSES,
  type LiveStatus,
  ORDER_STATUSES,
  type OrderStatus,
  PAYMENT_GRACE_MS,
} from '../../domain/order.js';

/** Keeps a scrape short, even if payment-service has been down for a day. */
const MAX_LATE = 100_000;
const MAX_COUNTED = 10_000;

interface OrderCounts {
  readonly late: readonly { readonly status: LiveStatus; readonly orders: number }[];
  readonly all: readonly { readonly status: OrderStatus; readonly orders: number }[];
}

/** Reports the orders by status, and those that are late. */
@Injectable()
export class OrderMetrics extends MetricsSource {
  override readonly registry = new Registry();

  constructor(dataSource: DataSource, { PAYMENT_LATE_AFTER: lateAfterMs }: OrderServiceConfig) {
    super();
    const read = () =>
      readForGauges(dataSource, async (tx) => ({ late: await countLate(tx, lateAfterMs), all: await countAll(tx) }));
    const samples = (counts: OrderCounts[keyof OrderCounts]) =>
      counts.map(({ status, orders }) => ({ labels: { status }, value: orders }));
    addDatabaseGauges<OrderCounts>(this.registry, read, [
      {
        name: 'orders_late',
        help: `Orders that have waited too long for their payment request (PLACED) or its result. Counted up to ${MAX_LATE}.`,
        labelNames: ['status'],
        samples: ({ late }) => samples(late),
      },
      {
        name: 'orders',
        help: `Orders by status. Counted up to ${MAX_COUNTED} for each, and estimated beyond.`,
        labelNames: ['status'],
        samples: ({ all }) => samples(all),
      },
    ]);
  }
}

/** Served by orders_due. */
async function countLate(tx: EntityManager, lateAfterMs: number): Promise<OrderCounts['late']> {
  const graceMs: Record<LiveStatus, number> = { PLACED: lateAfterMs, PAYMENT_PENDING: PAYMENT_GRACE_MS };
  return tx.query(
    `select status,
            (select count(*)::int from (select from orders.orders o
                                         where o.status = waits.status
                                           and o.due_at < statement_timestamp() - waits.grace * interval '1 ms'
                                         limit ${MAX_LATE}) as overdue) as orders
       from unnest($1::text[], $2::float8[]) as waits (status, grace)`,
    [LIVE_STATUSES, LIVE_STATUSES.map((status) => graceMs[status])],
  );
}

/** Served by orders_status. The estimate is made from the statistics of PostgreSQL. */
async function countAll(tx: EntityManager): Promise<OrderCounts['all']> {
  return tx.query(
    `with estimated as materialized (
       select common.status, common.share * class.reltuples as orders
         from pg_class as class, pg_stats as stats,
              unnest(stats.most_common_vals::text::text[], stats.most_common_freqs) as common (status, share)
        where class.oid = 'orders.orders'::regclass
          and stats.schemaname = 'orders' and stats.tablename = 'orders' and stats.attname = 'status')
     select status, case when counted.orders < ${MAX_COUNTED} then counted.orders
                         else greatest(counted.orders, estimated.orders) end::float8 as orders
       from unnest($1::text[]) as wanted (status)
      cross join lateral (
        select count(*) as orders
          from (select from orders.orders o where o.status >= wanted.status and o.status <= wanted.status
                 order by o.status, o.id limit ${MAX_COUNTED}) as first) as counted
       left join estimated using (status)`,
    [ORDER_STATUSES],
  );
}

/** Global, because MetricsModule collects sources from modules it does not import. */
@Global()
@Module({ providers: [OrderMetrics], exports: [OrderMetrics] })
export class OrderMetricsModule {}
