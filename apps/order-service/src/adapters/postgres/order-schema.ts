import { EntitySchema, type ValueTransformer } from 'typeorm';
import { type Order, type OrderItem } from '../../domain/order.js';

/** pg gives a bigint as text, for it may be beyond a safe integer; the domain keeps every amount within. */
export const minorUnits: ValueTransformer = { from: Number, to: (value: unknown) => value };

export type OrderRow = Omit<Order, 'items'>;

export const orderSchema = new EntitySchema<OrderRow>({
  name: 'Order',
  tableName: 'orders',
  columns: {
    id: { type: 'uuid', primary: true, primaryKeyConstraintName: 'orders_pkey' },
    customerId: { name: 'customer_id', type: 'varchar', length: 255 },
    status: { type: 'varchar', length: 20 },
    description: { type: 'varchar', length: 500, nullable: true },
    total: { type: 'bigint', transformer: minorUnits },
    currency: { type: 'char', length: 3 },
    payment: { type: 'jsonb', nullable: true },
    cancelReason: { name: 'cancel_reason', type: 'varchar', length: 500, nullable: true },
    version: { type: 'integer' },
    createdAt: { name: 'created_at', type: 'timestamptz', precision: 3 },
    updatedAt: { name: 'updated_at', type: 'timestamptz', precision: 3 },
  },
  indices: [{ name: 'orders_customer', columns: ['customerId', 'id'] }],
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
  foreignKeys: [
    { name: 'order_items_order_fkey', target: 'Order', columnNames: ['orderId'], referencedColumnNames: ['id'] },
  ],
});
