import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { type Step } from '../../application/order-timeline.js';
import { OrderTimelineReader } from '../../application/order-timeline-reader.js';

@Injectable()
export class PostgresOrderTimelineReader extends OrderTimelineReader {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  override async customerOf(orderId: string): Promise<string | undefined> {
    const rows: { customerId: string }[] = await this.dataSource.query(
      'select customer_id as "customerId" from orders.orders where id = $1',
      [orderId],
    );
    return rows[0]?.customerId;
  }

  /** Served by the primary key. */
  override async stepsOf(orderId: string): Promise<Step[]> {
    return this.dataSource.query(
      `select type, status, version, at, actor, cause, message_id as "messageId", detail
         from orders.order_timeline
        where order_id = $1
        order by position`,
      [orderId],
    );
  }
}
