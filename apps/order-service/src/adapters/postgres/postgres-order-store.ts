import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { OrderStore } from '../../application/order-store.js';
import { type Step } from '../../application/order-timeline.js';
import { type Order, type OrderHead, type OrderItem } from '../../domain/order.js';
import { insertSteps, ORDER_COLUMNS, stepRows } from './order-sql.js';
import { PostgresOrderTimeline } from './postgres-order-timeline.js';

/** An order, its items and the steps of its history are written in one statement: round trips are what an order costs. */
@Injectable()
export class PostgresOrderStore extends OrderStore {
  constructor(
    private readonly dataSource: DataSource,
    private readonly timeline: PostgresOrderTimeline,
  ) {
    super();
  }

  override async add(tx: EntityManager, order: Order, steps: readonly Step[]): Promise<void> {
    await tx.query(
      `/* prepared */ with added as (
         insert into orders.orders
           (id, customer_id, status, description, total, currency, due_at, version, created_at, updated_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
       ), contents as (
         insert into orders.order_items (order_id, product_id, name, quantity, unit_price)
         select $1, "productId", name, quantity, "unitPrice"
           from json_to_recordset($11::json) as i ("productId" text, name text, quantity int, "unitPrice" bigint)
       )
       ${insertSteps('$1', '$2', '$12')}`,
      [
        order.id,
        order.customerId,
        order.status,
        order.description,
        order.total,
        order.currency,
        order.dueAt,
        order.version,
        order.createdAt,
        order.updatedAt,
        JSON.stringify(order.items),
        stepRows(steps),
      ],
    );
    this.timeline.tellAfterCommit(tx);
  }

  override async lock(tx: EntityManager, orderId: string): Promise<Order | undefined> {
    const head = await this.lockHead(tx, orderId);
    if (!head) return undefined;
    // In a statement of its own: the locking one may have waited, and would show the items as they were before that.
    const items: OrderItem[] = await tx.query(
      `/* prepared */ select product_id as "productId", name, quantity, unit_price::float8 as "unitPrice"
         from orders.order_items
        where order_id = $1
        order by product_id`,
      [orderId],
    );
    return { ...head, items };
  }

  override async lockHead(tx: EntityManager, orderId: string): Promise<OrderHead | undefined> {
    const [head]: OrderHead[] = await tx.query(
      `/* prepared */ select ${ORDER_COLUMNS} from orders.orders where id = $1 for no key update`,
      [orderId],
    );
    return head;
  }

  override async save(tx: EntityManager, order: OrderHead, steps: readonly Step[]): Promise<void> {
    await tx.query(
      `/* prepared */ with saved as (
         update orders.orders
            set status = $3, total = $4, currency = $5, payment = $6, cancel_reason = $7, due_at = $8, version = $9,
                updated_at = $10
          where id = $1
       )
       ${insertSteps('$1', '$2', '$11')}`,
      [
        order.id,
        order.customerId,
        order.status,
        order.total,
        order.currency,
        order.payment,
        order.cancelReason,
        order.dueAt,
        order.version,
        order.updatedAt,
        stepRows(steps),
      ],
    );
    this.timeline.tellAfterCommit(tx);
  }

  override async saveItems(tx: EntityManager, orderId: string, items: readonly OrderItem[]): Promise<void> {
    await tx.query(
      `with wanted as (
         select * from json_to_recordset($2::json) as i ("productId" text, name text, quantity int, "unitPrice" bigint)
       ), gone as (
         delete from orders.order_items where order_id = $1 and product_id not in (select "productId" from wanted)
       )
       insert into orders.order_items (order_id, product_id, name, quantity, unit_price)
       select $1, "productId", name, quantity, "unitPrice" from wanted
           on conflict (order_id, product_id)
           do update set name = excluded.name, quantity = excluded.quantity, unit_price = excluded.unit_price`,
      [orderId, JSON.stringify(items)],
    );
  }

  override async find(orderId: string): Promise<Order | undefined> {
    const [order]: Order[] = await this.dataSource.query(
      `/* prepared */ select ${ORDER_COLUMNS},
              (select coalesce(json_agg(json_build_object('productId', product_id, 'name', name, 'quantity', quantity,
                                                          'unitPrice', unit_price) order by product_id), '[]')
                 from orders.order_items where order_id = o.id) as items
         from orders.orders o
        where id = $1`,
      [orderId],
    );
    return order;
  }
}
