import { Global, Injectable, Module } from '@nestjs/common';
import { MetricsSource } from '@twinbox/api-kit';
import { Gauge, Registry } from 'prom-client';
import { DataSource } from 'typeorm';
import { OrderServiceConfig } from '../../config.js';
import { PAYMENT_GRACE_MS } from '../../domain/lateness.js';
import { type OrderStatus } from '../../domain/order.js';

/** More are not counted: a scrape has to come to an end although payment-service has been away for a day. */
const MOST = 100_000;

/** `orders_late`: how many orders wait for too long, as `isLate` says. While the database does not tell, it is left out. */
@Injectable()
export class OrderMetrics extends MetricsSource {
  override readonly registry = new Registry();

  constructor(dataSource: DataSource, { PAYMENT_LATE_AFTER: lateAfterMs }: OrderServiceConfig) {
    super();
    this.registry.registerMetric(
      new Gauge({
        name: 'orders_late',
        help: `Orders that wait for too long for their payment request (PLACED) or its result. ${MOST} are so many or more.`,
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
): Promise<{ readonly status: OrderStatus; readonly late: number }[]> {
  const now = Date.now();
  return dataSource.query(
    `select status,
            (select count(*)::int from (select from orders.orders o
                                         where o.status = waits.status and o.due_at < waits.due
                                         limit ${MOST}) as overdue) as late
       from (values ('PLACED', $1::timestamptz), ('PAYMENT_PENDING', $2::timestamptz)) as waits (status, due)`,
    [new Date(now - lateAfterMs), new Date(now - PAYMENT_GRACE_MS)],
  );
}

/** Global, for the metrics of the service are put together where its parts are not known. */
@Global()
@Module({ providers: [OrderMetrics], exports: [OrderMetrics] })
export class OrderMetricsModule {}
