import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { type OrderOwner } from '../../application/order-journal.js';
import { OrderTimelineReader, type TimelineStep } from '../../application/order-timeline-reader.js';

@Injectable()
export class PostgresOrderTimelineReader extends OrderTimelineReader {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  override async ownerOf(orderId: string): Promise<OrderOwner | undefined> {
    const rows: OrderOwner[] = await this.dataSource.query(
      'select customer_id as "customerId" from orders.orders where id = $1',
      [orderId],
    );
    return rows[0];
  }

  /** Served by the primary key. */
  override async stepsOf(orderId: string, after: number, limit: number): Promise<TimelineStep[]> {
    const rows: (Omit<TimelineStep, 'position'> & { position: string })[] = await this.dataSource.query(
      `select position, type, status, version, at, actor, cause, message_id as "messageId", detail
         from orders.order_timeline
        where order_id = $1 and position > $2
        order by position
        limit $3`,
      [orderId, after, limit],
    );
    return rows.map((row) => ({ ...row, position: Number(row.position) }));
  }
}
