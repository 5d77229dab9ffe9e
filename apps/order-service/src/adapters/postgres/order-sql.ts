import { type Step } from '../../application/order-timeline.js';

/**
 * The columns of `orders.orders` as the fields of the domain's `OrderHead`. pg gives a bigint as text; every amount is a safe
 * integer, which a float8 holds exactly.
 */
export const ORDER_COLUMNS = `
  id, customer_id as "customerId", status, description, total::float8 as total, currency, payment,
  cancel_reason as "cancelReason", due_at as "dueAt", version, created_at as "createdAt", updated_at as "updatedAt"`;

/** Adds steps in their order. The parameters are the order's id, its customer, and the steps as `stepRows` gives them. */
export function insertSteps(orderId: string, customerId: string, steps: string): string {
  return `
    insert into orders.order_timeline
      (order_id, customer_id, type, status, version, at, actor, cause, message_id, detail)
    select ${orderId}, ${customerId}, type, status, version, at, actor, cause, "messageId", detail
      from json_to_recordset(${steps}::json)
        as s (type text, status text, version int, at timestamptz, actor text, cause text, "messageId" text, detail jsonb)`;
}

export function stepRows(steps: readonly Step[]): string {
  return JSON.stringify(steps);
}
