import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { PaymentTimeline, type StoredStep } from '../../application/payment-timeline.js';
import { STEP_COLUMNS } from './payment-request-table.js';

/** Uses payment_timeline_pkey. */
export const READ_STEPS = `
  select ${STEP_COLUMNS}
    from payments.payment_timeline
   where order_id = $1 and position > $2
   order by payment_timeline.position
   limit $3`;

/** Uses payment_timeline_cancelled, which holds only these steps. The cause is not a parameter, so that every plan can use the index. */
export const HAS_CANCELLATION = `
  select from payments.payment_timeline where order_id = $1 and cause = 'OrderCancelled' limit 1`;

@Injectable()
export class PostgresPaymentTimeline extends PaymentTimeline {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  override async hasCancellation(tx: EntityManager, orderId: string): Promise<boolean> {
    const rows: unknown[] = await tx.query(HAS_CANCELLATION, [orderId]);
    return rows.length > 0;
  }

  override async read(orderId: string, after: number, limit: number): Promise<StoredStep[]> {
    return this.dataSource.query(READ_STEPS, [orderId, after, limit]);
  }
}
