import { EntitySchema, type ValueTransformer } from 'typeorm';
import { type OrderHead, type OrderItem } from '../../domain/order.js';

/** pg returns a bigint as text, because it may exceed a safe integer. The domain keeps every amount within that range. */
export const minorUnits: ValueTransformer = { from: Number, to: (value: unknown) => value };

export const orderSchema = new EntitySchema<OrderHead>({
  name: 'Order',
  tableName: 'orders',
  columns: {
    id: { type: 'uuid', primary: true, primaryKeyConstraintName: 'orders_pkey' },
    customerId: { name: 'customer_id', type: 'varchar', length: 255 },
    status: { type: 'varchar', length: 20 },
    description: { type: 'varchar', length: 500, nullable: true },
    total: { type: 'bigint', transformer: minorUnits },
    currency: { type: 'char', length: 3, nullable: true },
    payment: { type: 'jsonb', nullable: true },
    cancelReason: { name: 'cancel_reason', type: 'varchar', length: 500, nullable: true },
    dueAt: { name: 'due_at', type: 'timestamptz', precision: 3, nullable: true },
    version: { type: 'integer' },
    createdAt: { name: 'created_at', type: 'timestamptz', precision: 3 },
    updatedAt: { name: 'updated_at', type: 'timestamptz', precision: 3 },
  },
  indices: [
    { name: 'orders_customer', columns: ['customerId', 'id'] },
    { name: 'orders_status', columns: ['status', 'id'] },
    { name: 'orders_due', columns: ['status', 'dueAt'], where: 'due_at IS NOT NULL' },
    { name: 'orders_total', columns: ['total', 'id'], where: `status <> 'DRAFT'` },
  ],
});

export interface OrderItemRow extends OrderItem {
  readonly orderId: string;
}

export const orderItemSchema = new EntitySchema<OrderItemRow>({
  name: 'OrderItem',
  tableName: 'order_items',
  columns: {
    orderId: { name: 'order_id', type: 'uuid', primary: true, primaryKeyConstraintName: 'order_items_pkey' },
    productId: {
      name: 'product_id',
      type: 'varchar',
      length: 64,
      primary: true,
      primaryKeyConstraintName: 'order_items_pkey',
    },
    name: { type: 'varchar', length: 200 },
    quantity: { type: 'integer' },
    unitPrice: { name: 'unit_price', type: 'bigint', transformer: minorUnits },
  },
  checks: [{ name: 'order_items_quantity_positive', expression: 'quantity > 0' }],
  indices: [{ name: 'order_items_product', columns: ['productId', 'orderId'] }],
  foreignKeys: [
    { name: 'order_items_order_fkey', target: 'Order', columnNames: ['orderId'], referencedColumnNames: ['id'] },
  ],
});
