import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { OrderList, type OrderListing } from '../../application/order-list.js';
import { type Order } from '../../domain/order.js';
import { orderListStatement } from './order-list-sql.js';

@Injectable()
export class PostgresOrderList extends OrderList {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  override async list(listing: OrderListing): Promise<Order[]> {
    const statement = orderListStatement(listing);
    if (!statement) return [];
    return this.dataSource.query(statement.text, [...statement.values]);
  }
}
