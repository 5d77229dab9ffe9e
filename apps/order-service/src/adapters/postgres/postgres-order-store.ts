import { Injectable } from '@nestjs/common';
import { LockGate } from '@twinbox/api-kit';
import { AfterCommit, BatchedStatement, prepared } from '@twinbox/messaging/transactions';
import { DataSource, type EntityManager } from 'typeorm';
import { OrderStore, type Step, StepListener } from '../../application/order-store.js';
import { type Order, type OrderHead, type OrderItem } from '../../domain/order.js';
import { insertSteps, itemColumns, itemRowColumns, orderColumns, SELECT_ITEMS, stepRows } from './order-table.js';

interface Saved {
  readonly order: OrderHead;
  readonly steps: readonly Step[];
}

interface Added extends Saved {
  readonly order: Order;
}

/** Writes an order, its items and its steps in one statement, because round trips dominate the cost of an order. */
@Injectable()
export class PostgresOrderStore extends OrderStore {
  private readonly additions = new BatchedStatement<Added, undefined>(addAll);
  private readonly heads = new BatchedStatement<string, OrderHead | undefined>(lockHeads);
  private readonly saves = new BatchedStatement<Saved, undefined>(saveAll);
  private readonly gate: LockGate;
  private readonly committed = () => this.listener.committed();

  constructor(
    private readonly dataSource: DataSource,
    private readonly afterCommit: AfterCommit,
    private readonly listener: StepListener,
  ) {
    super();
    this.gate = new LockGate(dataSource);
  }

  override async add(tx: EntityManager, order: Order, steps: readonly Step[]): Promise<void> {
    await this.additions.run(tx, { order, steps });
    this.notifyAfterCommit(tx);
  }

  override async lock(tx: EntityManager, orderId: string): Promise<Order | undefined> {
    const head = await this.gate.run(tx, [orderId], () => this.lockHead(tx, orderId));
    if (!head) return undefined;
    // A statement of its own, because the locking one may have waited and would show the items as of before the wait.
    const items: OrderItem[] = await tx.query(
      prepared(`select ${itemColumns.select} from orders.order_items where order_id = $1 order by product_id`),
      [orderId],
    );
    return { ...head, items };
  }

  override async lockHead(tx: EntityManager, orderId: string): Promise<OrderHead | undefined> {
    return this.heads.run(tx, orderId);
  }

  override async save(tx: EntityManager, order: OrderHead, steps: readonly Step[]): Promise<void> {
    await this.saves.run(tx, { order, steps });
    this.notifyAfterCommit(tx);
  }

  override async saveItems(tx: EntityManager, orderId: string, items: readonly OrderItem[]): Promise<void> {
    await tx.query(
      `with wanted as (
         select * from json_to_recordset($2::json) as i (${itemColumns.recordset})
       ), gone as (
         delete from orders.order_items where order_id = $1 and product_id not in (select "productId" from wanted)
       )
       insert into orders.order_items (order_id, ${itemColumns.names})
       select $1, ${itemColumns.properties} from wanted
           on conflict (order_id, product_id) do update set ${itemColumns.without('productId').assignments('excluded')}`,
      [orderId, JSON.stringify(items)],
    );
  }

  override async note(tx: EntityManager, order: OrderHead, step: Step): Promise<void> {
    await tx.query(insertSteps('$1'), [JSON.stringify(stepRows(order, [step]))]);
    this.notifyAfterCommit(tx);
  }

  override async find(orderId: string): Promise<Order | undefined> {
    const [order]: Order[] = await this.dataSource.query(
      prepared(`select ${orderColumns.select}, ${SELECT_ITEMS} from orders.orders o where id = $1`),
      [orderId],
    );
    return order;
  }

  private notifyAfterCommit({ queryRunner }: EntityManager): void {
    if (queryRunner) this.afterCommit.run(queryRunner, this.committed);
  }
}

const ADD = prepared(`with added as (
    insert into orders.orders (${orderColumns.names})
    select ${orderColumns.names} from unnest(${orderColumns.arrayPlaceholders(3)}) as o (${orderColumns.names})
  ), contents as (
    insert into orders.order_items (${itemRowColumns.names})
    select ${itemRowColumns.properties} from json_to_recordset($1::json) as i (${itemRowColumns.recordset})
  )
  ${insertSteps('$2')}`);

async function addAll(tx: EntityManager, added: readonly Added[]): Promise<undefined[]> {
  const orders = added.map(({ order }) => order);
  const items = orders.flatMap(({ id: orderId, items: all }) => all.map((item) => ({ orderId, ...item })));
  const steps = added.flatMap((one) => stepRows(one.order, one.steps));
  await tx.query(ADD, [JSON.stringify(items), JSON.stringify(steps), ...orderColumns.arrays(orders)]);
  return added.map(() => undefined);
}

/** Locks one by one in the order of ids, so that transactions which lock several orders never deadlock. */
async function lockHeads(tx: EntityManager, ids: readonly string[]): Promise<(OrderHead | undefined)[]> {
  const heads: OrderHead[] = await tx.query(
    prepared(`select ${orderColumns.select}
       from (select wanted_id from unnest($1::uuid[]) as wanted (wanted_id) order by wanted_id) as wanted
      cross join lateral (select * from orders.orders where id = wanted_id for no key update) as o`),
    [ids],
  );
  const found = new Map(heads.map((head) => [head.id, head]));
  return ids.map((id) => found.get(id));
}

/** Leaves out the columns that only the insert writes. Add a new column that never changes to them. */
const savedColumns = orderColumns.without('customerId', 'description', 'createdAt');

// The ids are repeated, because the planner overestimates the join alone and would scan the whole table.
const SAVE = prepared(`with saved as (
    update orders.orders as o
       set ${savedColumns.without('id').assignments('s')}
      from unnest(${savedColumns.arrayPlaceholders(3)}) as s (${savedColumns.names})
     where o.id = any($1::uuid[]) and o.id = s.id
  )
  ${insertSteps('$2')}`);

async function saveAll(tx: EntityManager, saved: readonly Saved[]): Promise<undefined[]> {
  const orders = saved.map(({ order }) => order);
  const steps = saved.flatMap((one) => stepRows(one.order, one.steps));
  await tx.query(SAVE, [orders.map(({ id }) => id), JSON.stringify(steps), ...savedColumns.arrays(orders)]);
  return saved.map(() => undefined);
}
