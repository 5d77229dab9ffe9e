import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { PaymentTimeline, type PlacedStep, type TimelineStep } from '../../application/payment-timeline.js';
import { selectSteps, STEP_COLUMNS, stepRows } from './timeline-rows.js';

/** All of it is served by payment_timeline_pkey. */
@Injectable()
export class PostgresPaymentTimeline extends PaymentTimeline {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  override async note(tx: EntityManager, orderId: string, step: TimelineStep): Promise<void> {
    await tx.query(`insert into payments.payment_timeline (${STEP_COLUMNS}) ${selectSteps('$1')}`, [
      JSON.stringify(stepRows(orderId, [step])),
    ]);
  }

  override async hasHeard(tx: EntityManager, orderId: string, type: string): Promise<boolean> {
    const rows: unknown[] = await tx.query(
      'select from payments.payment_timeline where order_id = $1 and cause = $2 limit 1',
      [orderId, type],
    );
    return rows.length > 0;
  }

  override async read(orderId: string, after: number, limit: number): Promise<PlacedStep[]> {
    return this.dataSource.query(
      `select position::float8 as position, type, status, version, at, actor, cause, message_id as "messageId", detail
         from payments.payment_timeline
        where order_id = $1 and position > $2
        order by payment_timeline.position
        limit $3`,
      [orderId, after, limit],
    );
  }
}
