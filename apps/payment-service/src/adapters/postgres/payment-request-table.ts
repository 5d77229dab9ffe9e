import { Columns } from '@twinbox/api-kit';
import { EntitySchema } from 'typeorm';
import { type Step } from '../../application/payment-request-store.js';
import { type StoredStep } from '../../application/payment-timeline.js';
import { type PaymentRequest } from '../../domain/payment-request.js';

/** The state, plus the time since when the gateway may have received the charge. */
export interface PaymentRequestRow extends PaymentRequest {
  readonly chargeSentAt: Date | null;
}

const rowColumns = new Columns<PaymentRequestRow>({
  id: { type: 'uuid', primary: true, primaryKeyConstraintName: 'payment_requests_pkey' },
  orderId: { type: 'uuid' },
  customerId: { type: 'varchar', length: 255 },
  amount: { type: 'bigint' },
  currency: { type: 'char', length: 3 },
  gateway: { type: 'varchar', length: 40 },
  status: { type: 'varchar', length: 20 },
  reason: { type: 'varchar', length: 500, nullable: true },
  decidedBy: { type: 'varchar', length: 300, nullable: true },
  version: { type: 'integer' },
  expiresAt: { type: 'timestamptz', precision: 3 },
  createdAt: { type: 'timestamptz', precision: 3 },
  updatedAt: { type: 'timestamptz', precision: 3 },
  chargeSentAt: { type: 'timestamptz', precision: 3, nullable: true },
});

export const paymentRequestSchema = new EntitySchema<PaymentRequestRow>({
  name: 'PaymentRequest',
  tableName: 'payment_requests',
  columns: rowColumns.entity,
  uniques: [{ name: 'payment_requests_order', columns: ['orderId'] }],
  indices: [
    { name: 'payment_requests_status', columns: ['status', 'id'] },
    { name: 'payment_requests_customer', columns: ['customerId', 'id'] },
    { name: 'payment_requests_amount', columns: ['amount', 'id'] },
    { name: 'payment_requests_expiry', columns: ['expiresAt'], where: `status = 'PENDING'` },
  ],
});

export const requestColumns = rowColumns.without('chargeSentAt');
export const REQUEST_COLUMNS = requestColumns.select;

interface TimelineRow extends StoredStep {
  readonly orderId: string;
}

const timelineColumns = new Columns<TimelineRow>({
  position: { type: 'bigint' },
  orderId: { type: 'uuid' },
  type: { type: 'varchar' },
  status: { type: 'varchar' },
  version: { type: 'integer' },
  at: { type: 'timestamptz' },
  actor: { type: 'varchar' },
  cause: { type: 'varchar' },
  messageId: { type: 'varchar' },
  detail: { type: 'jsonb' },
});
const addedColumns = timelineColumns.without('position');

export const STEP_COLUMNS = timelineColumns.without('orderId').select;

/** Inserts the steps from the JSON of {@link stepRows}, which is the parameter `$1`, in their order. */
export const INSERT_STEPS = insertStepsWhere('true');

export function insertStepsWhere(condition: string): string {
  const { names, recordset } = addedColumns;
  return `
    insert into payments.payment_timeline (${names})
    select ${names}
      from rows from (json_to_recordset($1) as (${recordset})) with ordinality as step (${names}, n)
     where ${condition}
     order by n`;
}

export function stepRows(orderId: string, steps: readonly Step[]): object[] {
  return steps.map((step) => ({ orderId, ...step }));
}
