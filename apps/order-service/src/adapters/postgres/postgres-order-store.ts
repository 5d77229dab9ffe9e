import { Injectable } from '@nestjs/common';
import { type Page, pageOf, type PageRequest } from '@twinbox/kernel';
import { DataSource, type EntityManager, In, LessThan } from 'typeorm';
import { OrderStore } from '../../application/order-store.js';
import { type Order } from '../../domain/order.js';
import { orderItemSchema, type OrderRow, orderSchema } from './order-schema.js';

@Injectable()
export class PostgresOrderStore extends OrderStore {
  constructor(private readonly dataSource: DataSource) {
    super();
  }

  override async add(tx: EntityManager, { items, ...row }: Order): Promise<void> {
    await tx.insert(orderSchema, row);
    await tx.insert(
      orderItemSchema,
      items.map((item) => ({ ...item, orderId: row.id })),
    );
  }

  override async lock(tx: EntityManager, orderId: string): Promise<Order | undefined> {
    const row = await tx.findOne(orderSchema, { where: { id: orderId }, lock: { mode: 'pessimistic_write' } });
    return row ? (await withItems(tx, [row]))[0] : undefined;
  }

  override async save(tx: EntityManager, { items: _, id, ...row }: Order): Promise<void> {
    await tx.update(orderSchema, { id }, row);
  }

  override async find(orderId: string): Promise<Order | undefined> {
    const row = await this.dataSource.manager.findOneBy(orderSchema, { id: orderId });
    return row ? (await withItems(this.dataSource.manager, [row]))[0] : undefined;
  }

  /** Served by the index orders_customer (customer_id, id), read backwards. */
  override async listOf(customerId: string, { limit, cursor }: PageRequest): Promise<Page<Order>> {
    const rows = await this.dataSource.manager.find(orderSchema, {
      where: { customerId, ...(cursor !== undefined && { id: LessThan(cursor) }) },
      order: { id: 'desc' },
      take: limit + 1,
    });
    const page = pageOf(rows, limit, ({ id }) => id);
    return { ...page, items: await withItems(this.dataSource.manager, page.items) };
  }
}

/** One query for the items of all orders, served by their primary key. */
async function withItems(manager: EntityManager, rows: readonly OrderRow[]): Promise<Order[]> {
  if (rows.length === 0) return [];
  const items = await manager.find(orderItemSchema, {
    where: { orderId: In(rows.map(({ id }) => id)) },
    order: { orderId: 'asc', productId: 'asc' },
  });
  const byOrder = Map.groupBy(items, ({ orderId }) => orderId);
  return rows.map((row) => ({ ...row, items: (byOrder.get(row.id) ?? []).map(({ orderId: _, ...item }) => item) }));
}
