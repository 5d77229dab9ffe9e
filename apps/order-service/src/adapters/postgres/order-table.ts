import { Columns } from '@twinbox/api-kit';
import { EntitySchema, type ValueTransformer } from 'typeorm';
import { type Step } from '../../application/order-store.js';
import { type StoredStep } from '../../application/order-timeline.js';
import { type OrderHead, type OrderItem } from '../../domain/order.js';

/** pg returns a bigint as text, because it may exceed a safe integer. The domain keeps every amount within that range. */
export const minorUnits: ValueTransformer = { from: Number, to: (value: unknown) => value };

export const orderColumns = new Columns<OrderHead>({
  id: { type: 'uuid', primary: true, primaryKeyConstraintName: 'orders_pkey' },
  customerId: { type: 'varchar', length: 255 },
  status: { type: 'varchar', length: 20 },
  description: { type: 'varchar', length: 500, nullable: true },
  total: { type: 'bigint', transformer: minorUnits },
  currency: { type: 'char', length: 3, nullable: true },
  payment: { type: 'jsonb', nullable: true },
  cancelReason: { type: 'varchar', length: 500, nullable: true },
  dueAt: { type: 'timestamptz', precision: 3, nullable: true },
  version: { type: 'integer' },
  createdAt: { type: 'timestamptz', precision: 3 },
  updatedAt: { type: 'timestamptz', precision: 3 },
});

export const orderSchema = new EntitySchema<OrderHead>({
  name: 'Order',
  tableName: 'orders',
  columns: orderColumns.entity,
  indices: [
    { name: 'orders_customer', columns: ['customerId', 'id'] },
    { name: 'orders_status', columns: ['status', 'id'] },
    { name: 'orders_due', columns: ['status', 'dueAt'], where: 'due_at IS NOT NULL' },
    {
      name: 'orders_open',
      columns: ['customerId', 'status'],
      where: `status IN ('DRAFT', 'PLACED', 'PAYMENT_PENDING')`,
    },
    { name: 'orders_total', columns: ['total', 'id'], where: `status <> 'DRAFT'` },
  ],
});

export interface OrderItemRow extends OrderItem {
  readonly orderId: string;
}

export const itemRowColumns = new Columns<OrderItemRow>({
  orderId: { type: 'uuid', primary: true, primaryKeyConstraintName: 'order_items_pkey' },
  productId: { type: 'varchar', length: 64, primary: true, primaryKeyConstraintName: 'order_items_pkey' },
  name: { type: 'varchar', length: 200 },
  quantity: { type: 'integer' },
  unitPrice: { type: 'bigint', transformer: minorUnits },
});
export const itemColumns = itemRowColumns.without('orderId');

export const orderItemSchema = new EntitySchema<OrderItemRow>({
  name: 'OrderItem',
  tableName: 'order_items',
  columns: itemRowColumns.entity,
  checks: [{ name: 'order_items_quantity_positive', expression: 'quantity > 0' }],
  indices: [{ name: 'order_items_product', columns: ['productId', 'orderId'] }],
  foreignKeys: [
    { name: 'order_items_order_fkey', target: 'Order', columnNames: ['orderId'], referencedColumnNames: ['id'] },
  ],
});

/** Selects the items of the order `o`, as JSON. */
export const SELECT_ITEMS = `
  (select coalesce(json_agg(json_build_object(${itemColumns.jsonMembers}) order by product_id), '[]')
     from orders.order_items where order_id = o.id) as items`;

interface TimelineRow extends StoredStep {
  readonly orderId: string;
  readonly customerId: string;
}

export const stepColumns = new Columns<TimelineRow>({
  position: { type: 'bigint' },
  orderId: { type: 'uuid' },
  customerId: { type: 'varchar' },
  type: { type: 'varchar' },
  status: { type: 'varchar' },
  version: { type: 'integer' },
  at: { type: 'timestamptz' },
  actor: { type: 'varchar' },
  cause: { type: 'varchar' },
  messageId: { type: 'varchar' },
  detail: { type: 'jsonb' },
});
const addedColumns = stepColumns.without('position');

/** Builds the statement that inserts steps, in order, from the JSON of {@link stepRows} in a parameter such as `$1`. */
export function insertSteps(parameter: string): string {
  return `
    insert into orders.order_timeline (${addedColumns.names})
    select ${addedColumns.properties}
      from json_to_recordset(${parameter}::json) as s (${addedColumns.recordset})`;
}

export function stepRows(order: Pick<OrderHead, 'id' | 'customerId'>, steps: readonly Step[]): object[] {
  return steps.map((step) => ({ orderId: order.id, customerId: order.customerId, ...step }));
}
