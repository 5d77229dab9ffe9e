import { type Step } from '../../application/payment-request-store.js';

export const STEP_COLUMNS = 'order_id, type, status, version, at, actor, cause, message_id, detail';

/** Selects steps from the JSON of {@link stepRows}, in a parameter such as `$1`. Add `order by s.n` to keep their order. */
export function selectSteps(parameter: string): string {
  return `
    select s.order_id, s.type, s.status, s.version, s.at, s.actor, s.cause, s.message_id, s.detail
      from rows from (json_to_recordset(${parameter}) as
             (order_id uuid, type varchar, status varchar, version int, at timestamptz, actor varchar, cause varchar,
              message_id varchar, detail jsonb))
           with ordinality as s (${STEP_COLUMNS}, n)`;
}

export function stepRows(orderId: string, steps: readonly Step[]): object[] {
  return steps.map(({ messageId, ...step }) => ({ order_id: orderId, message_id: messageId, ...step }));
}
