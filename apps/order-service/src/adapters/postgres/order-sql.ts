import { type Step } from '../../application/order-timeline.js';
import { type OrderHead } from '../../domain/order.js';

/** Casts to float8, because pg returns a bigint as text. Amounts are safe integers, and a migration may widen `version`. */
export const ORDER_COLUMNS = `
  id, customer_id as "customerId", status, description, total::float8 as total, currency, payment,
  cancel_reason as "cancelReason", due_at as "dueAt", version::float8 as version, created_at as "createdAt", updated_at as "updatedAt"`;

/** Builds the statement that inserts steps, in order, from the JSON of {@link stepRows} in a parameter such as `$1`. */
export function insertSteps(parameter: string): string {
  return `
    insert into orders.order_timeline
      (order_id, customer_id, type, status, version, at, actor, cause, message_id, detail)
    select "orderId", "customerId", type, status, version, at, actor, cause, "messageId", detail
      from json_to_recordset(${parameter}::json)
        as s ("orderId" uuid, "customerId" text, type text, status text, version int, at timestamptz, actor text,
              cause text, "messageId" text, detail jsonb)`;
}

export function stepRows(order: Pick<OrderHead, 'id' | 'customerId'>, steps: readonly Step[]): object[] {
  return steps.map((step) => ({ orderId: order.id, customerId: order.customerId, ...step }));
}
