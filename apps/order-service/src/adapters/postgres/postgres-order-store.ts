import { Injectable } from '@nestjs/common';
import { LockGate } from '@twinbox/api-kit';
import { BatchedStatement } from '@twinbox/messaging';
import { DataSource, type EntityManager } from 'typeorm';
import { OrderStore } from '../../application/order-store.js';
import { type Step } from '../../application/order-timeline.js';
import { type Order, type OrderHead, type OrderItem } from '../../domain/order.js';
import { insertSteps, ORDER_COLUMNS, stepRows } from './order-sql.js';
import { PostgresOrderTimeline } from './postgres-order-timeline.js';

interface Saved {
  readonly order: OrderHead;
  readonly steps: readonly Step[];
}

/** Writes an order, its items and its steps in one statement, because round trips dominate the cost of an order. */
@Injectable()
export class PostgresOrderStore extends OrderStore {
  private readonly heads = new BatchedStatement<string, OrderHead | undefined>(lockHeads);
  private readonly saves = new BatchedStatement<Saved, undefined>(saveAll);
  private readonly gate: LockGate;

  constructor(
    private readonly dataSource: DataSource,
    private readonly timeline: PostgresOrderTimeline,
  ) {
    super();
    this.gate = new LockGate(dataSource);
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
       ${insertSteps('$12')}`,
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
        JSON.stringify(stepRows(order, steps)),
      ],
    );
    this.timeline.notifyAfterCommit(tx);
  }

  override async lock(tx: EntityManager, orderId: string): Promise<Order | undefined> {
    const head = await this.gate.run(tx, [orderId], () => this.lockHead(tx, orderId));
    if (!head) return undefined;
    // A statement of its own, because the locking one may have waited and would show the items as of before the wait.
    const items: OrderItem[] = await tx.query(
      `/* prepared */ select product_id as "productId", name, quantity::float8 as quantity, unit_price::float8 as "unitPrice"
         from orders.order_items
        where order_id = $1
        order by product_id`,
      [orderId],
    );
    return { ...head, items };
  }

  override async lockHead(tx: EntityManager, orderId: string): Promise<OrderHead | undefined> {
    return this.heads.run(tx, orderId);
  }

  override async save(tx: EntityManager, order: OrderHead, steps: readonly Step[]): Promise<void> {
    await this.saves.run(tx, { order, steps });
    this.timeline.notifyAfterCommit(tx);
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

/** Locks one by one in the order of ids, so that transactions which lock several orders never deadlock. */
async function lockHeads(tx: EntityManager, ids: readonly string[]): Promise<(OrderHead | undefined)[]> {
  const heads: OrderHead[] = await tx.query(
    `/* prepared */ select ${ORDER_COLUMNS}
       from (select wanted_id from unnest($1::uuid[]) as wanted (wanted_id) order by wanted_id) as wanted
      cross join lateral (select * from orders.orders where id = wanted_id for no key update) as o`,
    [ids],
  );
  const found = new Map(heads.map((head) => [head.id, head]));
  return ids.map((id) => found.get(id));
}

async function saveAll(tx: EntityManager, saved: readonly Saved[]): Promise<undefined[]> {
  const orders = saved.map(({ order }) => order);
  await tx.query(
    // The ids are repeated, because the planner overestimates the join alone and would scan the whole table.
    `/* prepared */ with saved as (
       update orders.orders as o
          set status = s.status, total = s.total, currency = s.currency, payment = s.payment,
              cancel_reason = s.cancel_reason, due_at = s.due_at, version = s.version, updated_at = s.updated_at
         from unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::jsonb[], $6::text[], $7::timestamptz[],
                     $8::int[], $9::timestamptz[])
           as s (id, status, total, currency, payment, cancel_reason, due_at, version, updated_at)
        where o.id = any($1::uuid[]) and o.id = s.id
     )
     ${insertSteps('$10')}`,
    [
      orders.map(({ id }) => id),
      orders.map(({ status }) => status),
      orders.map(({ total }) => total),
      orders.map(({ currency }) => currency),
      orders.map(({ payment }) => payment && JSON.stringify(payment)),
      orders.map(({ cancelReason }) => cancelReason),
      orders.map(({ dueAt }) => dueAt?.toISOString() ?? null),
      orders.map(({ version }) => version),
      orders.map(({ updatedAt }) => updatedAt.toISOString()),
      JSON.stringify(saved.flatMap(({ order, steps }) => stepRows(order, steps))),
    ],
  );
  return saved.map(() => undefined);
}
