import { Global, Injectable, Module } from '@nestjs/common';
import { MetricsSource } from '@twinbox/api-kit';
import { Gauge, Registry } from 'prom-client';
import { DataSource } from 'typeorm';
import { OrderServiceConfig } from '../../config.js';
import { LIVE_STATUSES, type LiveStatus, PAYMENT_GRACE_MS } from '../../domain/order.js';

/** Keeps a scrape short, even if payment-service has been down for a day. */
const MAX_COUNTED = 100_000;

/** Reports `orders_late`, the number of late orders. The metric is absent while the database cannot be read. */
@Injectable()
export class OrderMetrics extends MetricsSource {
  override readonly registry = new Registry();

  constructor(dataSource: DataSource, { PAYMENT_LATE_AFTER: lateAfterMs }: OrderServiceConfig) {
    super();
    this.registry.registerMetric(
      new Gauge({
        name: 'orders_late',
        help: `Orders that have waited too long for their payment request (PLACED) or its result. Counted up to ${MAX_COUNTED}.`,
        labelNames: ['status'],
        registers: [],
        async collect() {
          const counts = await countLate(dataSource, lateAfterMs).catch(() => []);
          this.reset();
          for (const { status, late } of counts) this.set({ status }, late);
        },
      }),
    );
  }
}

/** Served by orders_due. */
async function countLate(
  dataSource: DataSource,
  lateAfterMs: number,
): Promise<{ readonly status: LiveStatus; readonly late: number }[]> {
  const graceMs: Record<LiveStatus, number> = { PLACED: lateAfterMs, PAYMENT_PENDING: PAYMENT_GRACE_MS };
  return dataSource.query(
    `select status,
            (select count(*)::int from (select from orders.orders o
                                         where o.status = waits.status
                                           and o.due_at < statement_timestamp() - waits.grace * interval '1 ms'
                                         limit ${MAX_COUNTED}) as overdue) as late
       from unnest($1::text[], $2::float8[]) as waits (status, grace)`,
    [LIVE_STATUSES, LIVE_STATUSES.map((status) => graceMs[status])],
  );
}

/** Global, because MetricsModule collects sources from modules it does not import. */
@Global()
@Module({ providers: [OrderMetrics], exports: [OrderMetrics] })
export class OrderMetricsModule {}
