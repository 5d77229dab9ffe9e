import { Global, Injectable, Module } from '@nestjs/common';
import { addDatabaseGauges, MetricsSource, readForGauges } from '@twinbox/api-kit';
import { Registry } from 'prom-client';
import { DataSource, type EntityManager } from 'typeorm';
import { PaymentServiceConfig } from '../../config.js';
import { PAYMENT_STATUSES, type PaymentStatus } from '../../domain/payment-request.js';

const MAX_COUNTED = 10_000;

interface PaymentCounts {
  readonly requests: readonly { readonly status: PaymentStatus; readonly gateway: string; readonly count: number }[];
  readonly refunds: readonly { readonly gateway: string; readonly oldestSeconds: number }[];
}

/** Reports the payment requests by status and gateway, and how long refunds have been pending. */
@Injectable()
export class PaymentMetrics extends MetricsSource {
  override readonly registry = new Registry();

  constructor(dataSource: DataSource, { PAYMENT_GATEWAY: current }: PaymentServiceConfig) {
    super();
    const read = () =>
      readForGauges(dataSource, async (tx) => ({
        requests: await countRequests(tx),
        refunds: await oldestRefunds(tx),
      }));
    addDatabaseGauges<PaymentCounts>(this.registry, read, [
      {
        name: 'payment_requests',
        help: `Payment requests by status and gateway. Counted up to ${MAX_COUNTED} for each status, and estimated beyond.`,
        labelNames: ['status', 'gateway'],
        samples: ({ requests }) => [
          ...PAYMENT_STATUSES.map((status) => ({ labels: { status, gateway: current }, value: 0 })),
          ...requests.map(({ status, gateway, count }) => ({ labels: { status, gateway }, value: count })),
        ],
      },
      {
        name: 'payment_refunds_oldest_pending_age_seconds',
        help: 'How long the oldest pending refund of the gateway has been pending; 0 if there is none.',
        labelNames: ['gateway'],
        samples: ({ refunds }) => [
          { labels: { gateway: current }, value: 0 },
          ...refunds.map(({ gateway, oldestSeconds }) => ({ labels: { gateway }, value: oldestSeconds })),
        ],
      },
    ]);
  }
}

/**
 * Served by payment_requests_status. Beyond what is counted, the number for a status is estimated from the statistics of PostgreSQL, and
 * the share of each gateway from the newest requests.
 */
async function countRequests(tx: EntityManager): Promise<PaymentCounts['requests']> {
  return tx.query(
    `with estimated as materialized (
       select common.status, common.share * class.reltuples as requests
         from pg_class as class, pg_stats as stats,
              unnest(stats.most_common_vals::text::text[], stats.most_common_freqs) as common (status, share)
        where class.oid = 'payments.payment_requests'::regclass
          and stats.schemaname = 'payments' and stats.tablename = 'payment_requests' and stats.attname = 'status'),
     counted as materialized (
       select wanted.status, newest.gateway, count(*) as requests, sum(count(*)) over (partition by wanted.status) as of_status
         from unnest($1::text[]) as wanted (status)
        cross join lateral (
          select gateway from payments.payment_requests r
           where r.status >= wanted.status and r.status <= wanted.status
           order by r.status desc, r.id desc limit ${MAX_COUNTED}) as newest
        group by wanted.status, newest.gateway)
     select status, gateway,
            round(case when counted.of_status < ${MAX_COUNTED} then counted.requests
                       else counted.requests * greatest(1, estimated.requests / counted.of_status) end)::float8 as count
       from counted left join estimated using (status)`,
    [PAYMENT_STATUSES],
  );
}

/** Served by payment_requests_status. A refund is pending since the last change of its request. */
async function oldestRefunds(tx: EntityManager): Promise<PaymentCounts['refunds']> {
  return tx.query(
    `select gateway, greatest(0, extract(epoch from clock_timestamp() - min(updated_at)))::float8 as "oldestSeconds"
       from (select gateway, updated_at from payments.payment_requests
              where status >= 'REFUND_PENDING' and status <= 'REFUND_PENDING'
              order by status, id limit ${MAX_COUNTED}) as pending
      group by gateway`,
  );
}

/** Global, because the metrics module collects its sources without importing their modules. */
@Global()
@Module({ providers: [PaymentMetrics], exports: [PaymentMetrics] })
export class PaymentMetricsModule {}
