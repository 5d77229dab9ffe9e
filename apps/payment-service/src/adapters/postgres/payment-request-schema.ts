import { EntitySchema } from 'typeorm';
import { type PaymentRequest } from '../../domain/payment-request.js';

export const paymentRequestSchema = new EntitySchema<PaymentRequest>({
  name: 'PaymentRequest',
  tableName: 'payment_requests',
  columns: {
    id: { type: 'uuid', primary: true, primaryKeyConstraintName: 'payment_requests_pkey' },
    orderId: { name: 'order_id', type: 'uuid' },
    customerId: { name: 'customer_id', type: 'varchar', length: 255 },
    // pg gives a bigint as text, for it may be beyond a safe integer; the domain keeps every amount within.
    amount: { type: 'bigint', transformer: { from: Number, to: (value: unknown) => value } },
    currency: { type: 'char', length: 3 },
    status: { type: 'varchar', length: 20 },
    reason: { type: 'varchar', length: 500, nullable: true },
    decidedBy: { name: 'decided_by', type: 'varchar', length: 255, nullable: true },
    version: { type: 'integer' },
    createdAt: { name: 'created_at', type: 'timestamptz', precision: 3 },
    updatedAt: { name: 'updated_at', type: 'timestamptz', precision: 3 },
  },
  uniques: [{ name: 'payment_requests_order', columns: ['orderId'] }],
  indices: [
    { name: 'payment_requests_status', columns: ['status', 'id'] },
    { name: 'payment_requests_customer', columns: ['customerId', 'id'] },
  ],
});
