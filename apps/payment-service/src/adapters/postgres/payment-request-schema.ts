import { EntitySchema } from 'typeorm';
import { type PaymentRequest } from '../../domain/payment-request.js';

/** The state, plus the time since when the gateway may have received the charge. */
export interface PaymentRequestRow extends PaymentRequest {
  readonly chargeSentAt: Date | null;
}

export const paymentRequestSchema = new EntitySchema<PaymentRequestRow>({
  name: 'PaymentRequest',
  tableName: 'payment_requests',
  columns: {
    id: { type: 'uuid', primary: true, primaryKeyConstraintName: 'payment_requests_pkey' },
    orderId: { name: 'order_id', type: 'uuid' },
    customerId: { name: 'customer_id', type: 'varchar', length: 255 },
    amount: { type: 'bigint' },
    currency: { type: 'char', length: 3 },
    gateway: { type: 'varchar', length: 40 },
    status: { type: 'varchar', length: 20 },
    reason: { type: 'varchar', length: 500, nullable: true },
    decidedBy: { name: 'decided_by', type: 'varchar', length: 300, nullable: true },
    version: { type: 'integer' },
    createdAt: { name: 'created_at', type: 'timestamptz', precision: 3 },
    updatedAt: { name: 'updated_at', type: 'timestamptz', precision: 3 },
    expiresAt: { name: 'expires_at', type: 'timestamptz', precision: 3 },
    chargeSentAt: { name: 'charge_sent_at', type: 'timestamptz', precision: 3, nullable: true },
  },
  uniques: [{ name: 'payment_requests_order', columns: ['orderId'] }],
  indices: [
    { name: 'payment_requests_status', columns: ['status', 'id'] },
    { name: 'payment_requests_customer', columns: ['customerId', 'id'] },
    { name: 'payment_requests_amount', columns: ['amount', 'id'] },
    { name: 'payment_requests_expiry', columns: ['expiresAt'], where: `status = 'PENDING'` },
  ],
});

/** Selects a row as the state. Amounts are safe integers, so float8 is exact. */
export const REQUEST_COLUMNS = `
  id, order_id as "orderId", customer_id as "customerId", amount::float8 as amount, currency, gateway, status, reason,
  decided_by as "decidedBy", version::float8 as version, expires_at as "expiresAt", created_at as "createdAt", updated_at as "updatedAt"`;
