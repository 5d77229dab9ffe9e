import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { type OrderOwner } from '../../application/order-journal.js';
import { OrderTimeline, type StoredStep } from '../../application/order-timeline.js';
import { stepColumns } from './order-table.js';

const SELECT_STEPS = `select ${stepColumns.without('orderId', 'customerId').selectFrom('t')} from orders.order_timeline t`;

@Injectable()
export class PostgresOrderTimeline extends OrderTimeline {
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
  override async read(orderId: string, after: number, limit: number): Promise<StoredStep[]> {
    return this.dataSource.query(
      `${SELECT_STEPS} where t.order_id = $1 and t.position > $2 order by t.position limit $3`,
      [orderId, after, limit],
    );
  }
}
