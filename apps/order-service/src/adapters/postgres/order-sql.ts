import { type Step } from '../../application/order-timeline.js';
import { type OrderHead } from '../../domain/order.js';

/**
 * The columns of `orders.orders` as the fields of the domain's `OrderHead`. pg gives a bigint as text; every amount is a safe
 * integer, which a float8 holds exactly. So is the version, which stays a number when a migration widens its column.
 */
export const ORDER_COLUMNS = `
  id, customer_id as "customerId", status, description, total::float8 as total, currency, payment,
  cancel_reason as "cancelReason", due_at as "dueAt", version::float8 as version, created_at as "createdAt", updated_at as "updatedAt"`;

/** Adds steps in their order, from the JSON of {@link stepRows} in a parameter such as `$1`. */
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
